// Secrets and SSH agents that a build may ask for; nothing of them leaves before it does.
import { readFileSync, statSync } from "node:fs"
import { failure } from "../../base/errors.ts"
import { readFields } from "./attributes.ts"

type Environment = Readonly<Record<string, string | undefined>>

/** By id: reads the secret when it is asked for. */
export type Secrets = ReadonlyMap<string, () => Uint8Array | undefined>

/** --secret id=ID[,src=FILE|env=NAME]. Throws invalid; a file that is not there is told at once. */
export function readSecrets(lines: readonly string[], env: Environment): Secrets {
  return new Map(
    lines.map((line) => {
      const { type = "", id, src, source, env: variable, ...rest } = readFields(line, "secret")
      const [unknown] = Object.keys(rest)
      if (unknown !== undefined)
        throw failure("invalid", `unexpected key '${unknown}' in '${unknown}=${rest[unknown]}'`)
      if (!["", "file", "env"].includes(type)) throw failure("invalid", `unsupported secret type "${type}"`)
      if (id === undefined || id === "")
        throw failure("invalid", `a secret needs an id: write id=ID in "${line}"`)
      const path = src ?? source
      const name = variable ?? (type === "env" ? (path ?? id) : undefined)
      if (name !== undefined || (path === undefined && type === "" && env[id] !== undefined))
        return [id, () => textBytes(env[name ?? id])] as const
      const file = path ?? id
      if (statSync(file, { throwIfNoEntry: false }) === undefined)
        throw failure(
          "not-found",
          `failed to stat ${file}: no such file or directory: it is the secret ${id}`,
        )
      return [id, () => readFileSync(file)] as const
    }),
  )
}

const textBytes = (text: string | undefined): Uint8Array | undefined =>
  text === undefined ? undefined : Buffer.from(text)

/** A socket of an agent, or keys that an agent of our own is to hold. */
export type Agent = { readonly socket: string } | { readonly keys: readonly string[] }

/** By id. */
export type Agents = ReadonlyMap<string, Agent>

/** --ssh default|ID[=SOCKET|KEY[,KEY]]. Throws invalid. */
export function readAgents(lines: readonly string[], env: Environment): Agents {
  return new Map(
    lines.map((line): [string, Agent] => {
      const equals = line.indexOf("=")
      const id = equals < 0 ? line : line.slice(0, equals)
      const paths = (equals < 0 ? "" : line.slice(equals + 1))
        .split(",")
        .filter((path) => path !== "" && !path.startsWith("raw="))
      if (paths.length === 0) {
        const socket = env.SSH_AUTH_SOCK
        if (socket === undefined || socket === "")
          throw failure("invalid", "invalid empty ssh agent socket: make sure SSH_AUTH_SOCK is set")
        return [id, { socket }]
      }
      for (const path of paths)
        if (statSync(path, { throwIfNoEntry: false }) === undefined)
          throw failure(
            "not-found",
            `failed to stat ${path}: no such file or directory: it is given to --ssh ${id}`,
          )
      const [first = ""] = paths
      if (statSync(first).isSocket()) {
        if (paths.length > 1) throw failure("invalid", "only a single socket allowed for --ssh")
        return [id, { socket: first }]
      }
      return [id, { keys: paths }]
    }),
  )
}
