// Which paths of contexts a build needs at all, so that only those are sent and looked at.
import { posix } from "node:path"

export interface NeededPaths {
  /** `context`: "" = the main one. */
  add(context: string, path: string): void
  addAll(context: string): void
  /** Sorted patterns; undefined = everything; an empty list when the context is not used. */
  of(context: string): readonly string[] | undefined
  readonly contexts: readonly string[]
}

export const newNeededPaths = (): NeededPaths => {
  const paths = new Map<string, Set<string> | "all">()
  return {
    add: (context, path) => {
      const known = paths.get(context) ?? new Set<string>()
      paths.set(context, known)
      const cleaned = posix.normalize(`/${path}`).replace(/(.)\/$/, "$1")
      if (cleaned === "/") paths.set(context, "all")
      else if (known !== "all") known.add(cleaned.slice(1))
    },
    addAll: (context) => {
      paths.set(context, "all")
    },
    of: (context) => {
      const known = paths.get(context)
      return known === "all" ? undefined : [...(known ?? [])].toSorted()
    },
    get contexts() {
      return [...paths.keys()].filter((name) => name !== "").toSorted()
    },
  }
}
