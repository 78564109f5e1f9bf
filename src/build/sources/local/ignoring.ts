// What a context leaves out: the lines of .dockerignore on a scan's entries.
import { ignoreMatcher } from "../../ignore/ignore.ts"
import { bytesOf, textOf } from "./names.ts"
import { isDirectory, type ScannedEntry } from "./scan.ts"

export interface Ignoring {
  /** Paths that are left out with all beneath them: not even looked into. */
  readonly skip: readonly string[]
  /** The entries that stay, and the directories above them. The first is the root. */
  filter(entries: readonly ScannedEntry[]): readonly ScannedEntry[]
}

const mostSkips = 4000

/** undefined when nothing is left out. Throws Failure "invalid" for a pattern that cannot be read. */
export const ignoringOf = (patterns: readonly string[]): Ignoring | undefined => {
  if (patterns.length === 0) return undefined
  const matcher = ignoreMatcher(patterns)
  const plain = (pattern: string) => pattern !== "" && pattern !== "." && !/[*?[\]\\!^]/.test(pattern)
  return {
    skip: matcher.hasExceptions
      ? []
      : patterns
          .map((pattern) => pattern.replace(/^\/+|\/+$/g, ""))
          .filter(plain)
          .slice(0, mostSkips)
          .map(bytesOf),
    filter(entries) {
      const kept: ScannedEntry[] = []
      const waiting: { entry: ScannedEntry; prefix: string }[] = []
      for (const entry of entries) {
        const path = textOf(entry.path)
        const directory = isDirectory(entry.mode)
        while (waiting.length > 0 && !path.startsWith(waiting.at(-1)?.prefix ?? "")) waiting.pop()
        if (path === "" || !matcher.ignores(path, directory)) {
          for (const parent of waiting) kept.push(parent.entry)
          waiting.length = 0
          kept.push(entry)
        } else if (directory && matcher.mayHoldExceptions(path)) waiting.push({ entry, prefix: `${path}/` })
      }
      return kept
    },
  }
}
