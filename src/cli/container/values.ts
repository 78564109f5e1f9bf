// Reads the values that docker's flags take: sizes, durations, key=value lists, files of variables.
import { failure } from "../../base/errors.ts"
import { fileSystem } from "../lazy-modules.ts"

const factors: Readonly<Record<string, number>> = {
  "": 1,
  b: 1,
  k: 1024,
  m: 1024 ** 2,
  g: 1024 ** 3,
  t: 1024 ** 4,
  p: 1024 ** 5,
}

/** "512m", "1.5g", "64kb" in bytes; -1 passes. Throws invalid. */
export function readBytes(value: string): number {
  if (value === "-1") return -1
  const match = /^(\d+(?:\.\d+)?) ?([kmgtp]?)i?b?$/i.exec(value)
  const factor = factors[(match?.[2] ?? "?").toLowerCase()]
  if (!match || factor === undefined) {
    const suffix = /^\d+(?:\.\d+)? ?(.+)$/.exec(value)?.[1]
    throw failure("invalid", suffix ? `invalid suffix: '${suffix}'` : `invalid size: '${value}'`)
  }
  return Math.floor(Number(match[1]) * factor)
}

const units: Readonly<Record<string, number>> = {
  ns: 1,
  us: 1e3,
  µs: 1e3,
  ms: 1e6,
  s: 1e9,
  m: 60e9,
  h: 3600e9,
}

/** Go's duration form ("1m30s", "500ms") in nanoseconds. Throws invalid. */
export function readDuration(value: string): number {
  if (value === "0") return 0
  if (value.startsWith("-")) return -readDuration(value.slice(1))
  const parts = [...value.matchAll(/(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)/g)]
  if (parts.length === 0 || parts.map(([whole]) => whole).join("") !== value)
    throw failure("invalid", `time: invalid duration "${value}"`)
  return parts.reduce((sum, [, number, unit]) => sum + Number(number) * (units[unit ?? ""] ?? 0), 0)
}

/** Non-empty, non-comment lines of a file. */
export function readLinesOf(path: string): string[] {
  try {
    return fileSystem()
      .readFileSync(path === "-" ? 0 : path, "utf8")
      .split(/\r?\n/)
      .map((line) => line.trimStart())
      .filter((line) => line !== "" && !line.startsWith("#"))
  } catch (error) {
    throw failure("invalid", `open ${path}: no such file or directory`, { cause: error })
  }
}

/** KEY=VALUE as it is; KEY alone takes the value of our own environment or, when there is none, vanishes. */
export function readVariables(
  values: readonly string[],
  files: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): string[] {
  const lines = [...files.flatMap(readLinesOf), ...values]
  return lines.flatMap((line) => {
    const [name = ""] = line.split("=", 1)
    if (name === "" || /\s/.test(name)) throw failure("invalid", `invalid environment variable: ${line}`)
    if (line.includes("=")) return [line]
    return env[name] === undefined ? [] : [`${name}=${env[name]}`]
  })
}

/** "a=1" pairs as an object; a key alone has the empty value. */
export const readPairs = (values: readonly string[]): Record<string, string> =>
  Object.fromEntries(
    values.map((value) => {
      const equals = value.indexOf("=")
      return equals < 0 ? [value, ""] : [value.slice(0, equals), value.slice(equals + 1)]
    }),
  )

/** A shell-like line into words: quotes and backslashes. */
export function splitWords(line: string): string[] {
  return [...line.matchAll(/(?:[^\s"'\\]|\\.|"(?:\\.|[^"\\])*"|'[^']*')+/g)].map(([word]) =>
    word.replace(
      /"((?:\\.|[^"\\])*)"|'([^']*)'|\\(.)/g,
      (_, double?: string, single?: string, escaped?: string) =>
        double !== undefined ? double.replace(/\\(["\\$`])/g, "$1") : (single ?? escaped ?? ""),
    ),
  )
}

/** Fields of one CSV line, as --mount takes them. */
export function splitCsv(line: string): string[] {
  return [...line.matchAll(/(?:^|,)(?:"((?:[^"]|"")*)"|([^,]*))/g)].map(
    ([, quoted, plain]) => quoted?.replaceAll('""', '"') ?? plain ?? "",
  )
}
