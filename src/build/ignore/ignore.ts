// What a .dockerignore leaves out of a context: reading the file, and asking for paths while a tree is walked. Moby's rules.
import { failure } from "../../base/errors.ts"
import { cleanPath } from "./clean-path.ts"
import { compilePattern } from "./pattern.ts"

/** Patterns of an ignore file, cleaned: no comments, no blank lines, no leading "/"; exceptions begin with "!". */
export const readIgnore = (bytes: Uint8Array): readonly string[] => {
  const patterns: string[] = []
  for (const line of new TextDecoder().decode(bytes).split("\n")) {
    if (line.startsWith("#")) continue
    const written = line.trim()
    if (written === "") continue
    const exception = written.startsWith("!")
    const text = exception ? written.slice(1).trim() : written
    const cleaned = text === "" ? "" : cleanPath(text)
    const relative = cleaned.length > 1 && cleaned.startsWith("/") ? cleaned.slice(1) : cleaned
    patterns.push(exception ? `!${relative}` : relative)
  }
  return patterns
}

export interface IgnoreMatcher {
  /**
   * Whether the path (relative, "/" between parts) is left out: the last pattern that matches it or a parent decides. Fast when
   * a tree is walked parents first.
   */
  ignores(path: string, isDirectory: boolean): boolean
  /** Whether something beneath an ignored directory may be wanted after all, so that it must be walked. */
  mayHoldExceptions(directory: string): boolean
  /** Whether a path that is written somewhere (COPY's source) is left out, asked on its own; for lint. */
  covers(path: string): boolean
  /** There are patterns that take paths in again. */
  readonly hasExceptions: boolean
  /** Everything at the context's top is left out: "*", "**" or "**∕*" is among the patterns. */
  readonly ignoresAll: boolean
}

interface Pattern {
  readonly exception: boolean
  readonly text: string
  readonly matches: (path: string) => boolean
}

const readPattern = (written: string): Pattern | undefined => {
  const trimmed = written.trim()
  if (trimmed === "") return undefined
  const text = cleanPath(trimmed)
  const exception = text.startsWith("!")
  if (text === "!") throw failure("invalid", 'illegal exclusion pattern: "!"')
  const pattern = exception ? text.slice(1) : text
  return { exception, text: pattern, matches: compilePattern(pattern) }
}

/** Throws Failure (invalid) for a pattern that cannot be read. */
export const ignoreMatcher = (written: readonly string[]): IgnoreMatcher => {
  const patterns = written.map(readPattern).filter((pattern) => pattern !== undefined)
  const exceptions = patterns.filter((pattern) => pattern.exception)
  const beneath = exceptionsBeneath(exceptions)
  const nothing = new Uint8Array(patterns.length)
  /** Directories from the top to the last one asked for, and which patterns matched each. */
  const parents: { readonly prefix: string; readonly matched: Uint8Array }[] = []

  const matchesOf = (path: string, parent: Uint8Array): { matched: Uint8Array; ignored: boolean } => {
    const matched = new Uint8Array(patterns.length)
    let ignored = false
    for (const [index, pattern] of patterns.entries()) {
      // A pattern that cannot change the answer is not asked, and so does not count for what is beneath either.
      const hit = parent[index] === 1 || (pattern.exception === ignored && pattern.matches(path))
      if (!hit) continue
      matched[index] = 1
      ignored = !pattern.exception
    }
    return { matched, ignored }
  }

  const ask = (path: string, isDirectory: boolean): boolean => {
    while (parents.length > 0 && !path.startsWith(parents.at(-1)?.prefix ?? "")) parents.pop()
    const known = parents.at(-1)?.prefix.length ?? 0
    for (let slash = path.indexOf("/", known); slash > 0; slash = path.indexOf("/", slash + 1))
      ask(path.slice(0, slash), true)
    const { matched, ignored } = matchesOf(path, parents.at(-1)?.matched ?? nothing)
    if (isDirectory) parents.push({ prefix: `${path}/`, matched })
    return ignored
  }

  return {
    ignores: (path, isDirectory) => path !== "" && path !== "." && ask(path, isDirectory),
    mayHoldExceptions: beneath,
    covers: (path) => {
      let ignored = false
      for (const pattern of patterns)
        if (pattern.exception === ignored && matchesItOrParent(pattern, path)) ignored = !pattern.exception
      return ignored
    },
    hasExceptions: exceptions.length > 0,
    ignoresAll: patterns.some((pattern) => !pattern.exception && ["*", "**", "**/*"].includes(pattern.text)),
  }
}

const matchesItOrParent = (pattern: Pattern, path: string): boolean => {
  if (pattern.matches(path)) return true
  const folder = path.lastIndexOf("/")
  if (folder < 0) return false
  for (let slash = path.indexOf("/"); slash >= 0; slash = path.indexOf("/", slash + 1))
    if (pattern.matches(path.slice(0, slash))) return true
  return false
}

const exceptionsBeneath = (exceptions: readonly Pattern[]): ((directory: string) => boolean) => {
  const bases = exceptions.map(({ text }) => text.replace(/\/\*\*$/, "").replace(/\/\*$/, ""))
  // Exceptions with wildcards may lie anywhere.
  if (bases.some((base) => /[*[\]?^\\]/.test(base))) return () => true
  return (directory) => bases.some((base) => `${base}/`.startsWith(`${directory}/`))
}
