// Variables of a stage: what the image's environment, ENV and ARG have set so far, in order of their last setting.

export type Environment = ReadonlyMap<string, string>

/** Splits "KEY=value" at the first "="; without one the value is empty. */
export const splitVariable = (line: string): readonly [key: string, value: string] => {
  const at = line.indexOf("=")
  return at < 0 ? [line, ""] : [line.slice(0, at), line.slice(at + 1)]
}

/** A variable set anew goes to the end, as BuildKit orders them. */
export const withVariable = (env: Environment, key: string, value: string): Environment => {
  const next = new Map(env)
  next.delete(key)
  return next.set(key, value)
}

export const environmentOf = (lines: readonly string[]): Environment => {
  const env = new Map<string, string>()
  for (const line of lines) {
    const [key, value] = splitVariable(line)
    env.delete(key)
    env.set(key, value)
  }
  return env
}

export const environmentLines = (env: Environment): string[] =>
  [...env].map(([key, value]) => `${key}=${value}`)

/** An image's Env with a variable set: in its place when it was there, else at the end. */
export const withImageVariable = (lines: readonly string[], key: string, value: string): string[] => {
  const at = lines.findIndex((line) => splitVariable(line)[0] === key)
  return at < 0 ? [...lines, `${key}=${value}`] : lines.with(at, `${key}=${value}`)
}

export const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
