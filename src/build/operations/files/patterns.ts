// Which entries of a directory --parents and --exclude take: directories on the way to what is taken come along.
import { ignoreMatcher } from "../../ignore/ignore.ts"
import { isDirectory, type ScannedEntry } from "../../sources/local/scan.ts"

/** Those that are wanted, and the directories above them. `entries` are in the order of a walk; `pathOf` is relative to its top. */
const withParents = (
  entries: readonly ScannedEntry[],
  pathOf: (entry: ScannedEntry) => string,
  wants: (path: string, directory: boolean) => boolean,
): ScannedEntry[] => {
  const taken: ScannedEntry[] = []
  /** Directories that come along only if something beneath them does. */
  const waiting: { entry: ScannedEntry; prefix: string }[] = []
  for (const entry of entries) {
    const path = pathOf(entry)
    const directory = isDirectory(entry.mode)
    while (waiting.length > 0 && !path.startsWith(waiting.at(-1)?.prefix ?? "")) waiting.pop()
    if (wants(path, directory)) {
      for (const parent of waiting) taken.push(parent.entry)
      waiting.length = 0
      taken.push(entry)
    } else if (directory) waiting.push({ entry, prefix: `${path}/` })
  }
  return taken
}

/** `include` empty = everything. */
export const patternsMatcher = (include: readonly string[], exclude: readonly string[]) => {
  const all = include.every((pattern) => pattern === "")
  const wanted = ignoreMatcher(include)
  const unwanted = ignoreMatcher(exclude)
  return {
    filter: (entries: readonly ScannedEntry[], pathOf: (entry: ScannedEntry) => string): ScannedEntry[] =>
      withParents(entries, pathOf, (path, directory) => {
        // Both are asked in any case: they remember what matched the directories above.
        const isWanted = all || wanted.ignores(path, directory)
        return !unwanted.ignores(path, directory) && isWanted
      }),
  }
}
