// Flags as docker's CLI reads them (pflag's rules): `-it`, `-e=A=1`, `-eA=1`, `--rm=false`, `--name x`, `--`, and for verbs
// that run a command, everything from the first positional on is the command's.
import { errorMessage, failure } from "../base/errors.ts"

type Kind = "bool" | "string" | "list" | "int"

/** One flag of a verb. `value` is what the help shows for its argument. */
export interface Flag {
  readonly name: string
  readonly short?: string
  readonly kind: Kind
  readonly summary: string
  readonly value?: string
  readonly default?: string | boolean
  /** An optional argument: `--flag` alone means this value (pflag's NoOptDefVal). */
  readonly bare?: string
  readonly hidden?: boolean
  /** Throws for a value that cannot be meant; its message is told with the flag's name and the usage. */
  readonly check?: (value: string) => unknown
}

/** Values by long name. A flag that was not given keeps its default; `given` tells them apart. */
export interface Parsed {
  readonly arguments: readonly string[]
  given(name: string): boolean
  bool(name: string): boolean
  string(name: string): string | undefined
  int(name: string): number | undefined
  list(name: string): readonly string[]
}

const truth: Readonly<Record<string, boolean>> = {
  "1": true,
  t: true,
  T: true,
  true: true,
  TRUE: true,
  True: true,
  "0": false,
  f: false,
  F: false,
  false: false,
  FALSE: false,
  False: false,
}

/** Edit distance with transpositions, for suggestions. */
export function distance(a: string, b: string): number {
  const rows: number[][] = Array.from({ length: a.length + 1 }, (_, i) => [
    i,
    ...Array<number>(b.length).fill(0),
  ])
  const at = (i: number, j: number) => rows[i]?.[j] ?? 0
  for (let j = 0; j <= b.length; j++) (rows[0] ?? [])[j] = j
  for (let i = 1; i <= a.length; i++) {
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1] ? 0 : 1
      let best = Math.min(at(i - 1, j) + 1, at(i, j - 1) + 1, at(i - 1, j - 1) + same)
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        best = Math.min(best, at(i - 2, j - 2) + 1)
      ;(rows[i] ?? [])[j] = best
    }
  }
  return at(a.length, b.length)
}

/** The nearest of the known words, when it is near enough to be meant. */
export function nearest(word: string, known: readonly string[]): string | undefined {
  const ranked = known.map((name) => ({ name, far: distance(word, name) })).sort((a, b) => a.far - b.far)
  const best = ranked[0]
  return best && best.far <= Math.max(1, Math.floor(word.length / 3)) ? best.name : undefined
}

function unknown(flag: string, flags: readonly Flag[]): never {
  if (flag.length === 1) throw failure("invalid", `unknown shorthand flag: '${flag}'`)
  const near = nearest(
    flag,
    flags.filter(({ hidden }) => !hidden).map(({ name }) => name),
  )
  throw failure("invalid", `unknown flag: --${flag}${near ? `; did you mean --${near}?` : ""}`)
}

function check(flag: Flag, value: string, shown: string): string {
  if (flag.kind === "bool" && truth[value] === undefined)
    throw failure(
      "invalid",
      `invalid argument "${value}" for "${shown}" flag: strconv.ParseBool: parsing "${value}": invalid syntax`,
    )
  if (flag.kind === "int" && !/^[+-]?(0x[0-9a-fA-F]+|\d+)$/.test(value))
    throw failure(
      "invalid",
      `invalid argument "${value}" for "${shown}" flag: strconv.ParseInt: parsing "${value}": invalid syntax`,
    )
  try {
    flag.check?.(value)
  } catch (error) {
    throw failure("invalid", `invalid argument "${value}" for "${shown}" flag: ${errorMessage(error)}`, {
      cause: error,
    })
  }
  return value
}

const shownName = (flag: Flag) => (flag.short ? `-${flag.short}, --${flag.name}` : `--${flag.name}`)

/** Splits words into flags and arguments. `interspersed` false = stop at the first positional. Throws Failure "invalid". */
export function parseFlags(
  words: readonly string[],
  flags: readonly Flag[],
  options: { interspersed: boolean },
): Parsed {
  const values = new Map<string, string[]>()
  const positional: string[] = []
  const queue = [...words]
  const put = (flag: Flag, value: string) => {
    check(flag, value, shownName(flag))
    values.set(flag.name, flag.kind === "list" ? [...(values.get(flag.name) ?? []), value] : [value])
  }
  const take = (flag: Flag, shown: string): string => {
    if (flag.kind === "bool") return "true"
    if (flag.bare !== undefined) return flag.bare
    const value = queue.shift()
    if (value === undefined) throw failure("invalid", `flag needs an argument: ${shown}`)
    return value
  }
  const long = (word: string) => {
    const equals = word.indexOf("=")
    const name = equals < 0 ? word.slice(2) : word.slice(2, equals)
    const flag = flags.find((candidate) => candidate.name === name) ?? unknown(name, flags)
    put(flag, equals < 0 ? take(flag, `--${name}`) : word.slice(equals + 1))
  }
  const shorts = (word: string) => {
    let rest = word.slice(1)
    while (rest !== "") {
      const letter = rest[0] ?? ""
      const flag = flags.find((candidate) => candidate.short === letter)
      if (!flag) throw failure("invalid", `unknown shorthand flag: '${letter}' in ${word}`)
      rest = rest.slice(1)
      if (rest.startsWith("=")) return put(flag, rest.slice(1))
      if (flag.kind === "bool" || flag.bare !== undefined) put(flag, flag.bare ?? "true")
      else if (rest !== "") return put(flag, rest)
      else put(flag, take(flag, `'${letter}' in ${word}`))
    }
  }
  for (let word = queue.shift(); word !== undefined; word = queue.shift()) {
    if (word === "--") {
      positional.push(...queue)
      break
    }
    if (word.startsWith("--")) long(word)
    else if (word.startsWith("-") && word.length > 1) shorts(word)
    else {
      positional.push(word)
      if (options.interspersed) continue
      positional.push(...queue)
      break
    }
  }
  return parsed(values, flags, positional)
}

function parsed(
  values: ReadonlyMap<string, readonly string[]>,
  flags: readonly Flag[],
  positional: readonly string[],
): Parsed {
  const byName = new Map(flags.map((flag) => [flag.name, flag]))
  const find = (name: string): Flag => {
    const flag = byName.get(name)
    if (!flag) throw failure("internal", `the verb asked for a flag that it does not declare: --${name}`)
    return flag
  }
  const string = (name: string): string | undefined => {
    const value = values.get(name)?.at(-1) ?? find(name).default
    return value === undefined ? undefined : String(value)
  }
  return {
    arguments: positional,
    given: (name) => values.has(name),
    bool: (name) => truth[string(name) ?? "false"] ?? false,
    string,
    int: (name) => {
      const value = string(name)
      return value === undefined ? undefined : Number(value)
    },
    list: (name) => {
      find(name)
      return values.get(name) ?? []
    },
  }
}
