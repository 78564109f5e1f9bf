// Lint: whether a source of COPY is surely left out of the context by the ignore file.
import { cleanPath } from "./clean-path.ts"
import type { IgnoreMatcher } from "./ignore.ts"

/** With exceptions among the patterns it cannot be told by the path alone, and the answer is always no. */
export const leavesOut =
  (matcher: IgnoreMatcher): ((source: string) => boolean) =>
  (source) => {
    if (matcher.hasExceptions) return false
    const path = cleanPath(source)
    const isRoot = path === "." || path === "/"
    return (!isRoot || matcher.ignoresAll) && matcher.covers(path)
  }
