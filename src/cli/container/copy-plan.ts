// Where cp puts things: docker's rules, pure. A trailing "/." means the contents, a trailing "/" means a directory.
import { posix } from "node:path"
import { failure } from "../../base/errors.ts"

export interface Source {
  readonly path: string
  readonly isDirectory: boolean
  /** Name of the archive's top entry. */
  readonly base: string
  /** The name it should have where nothing else is said; differs from `base` for a followed link. */
  readonly name: string
}

export interface Destination {
  readonly path: string
  readonly exists: boolean
  readonly isDirectory: boolean
}

/** Directory to unpack in and the new name of the archive's top entry. */
export interface Placement {
  readonly directory: string
  readonly name: string
}

/** A path's parent and last name; "/x/." keeps its dot as the name. */
export function splitPath(path: string): { directory: string; base: string } {
  if (path === "." || path.endsWith("/.")) return { directory: posix.normalize(`${path}/`), base: "." }
  const clean = posix.normalize(path).replace(/(.)\/+$/, "$1")
  return { directory: posix.dirname(clean), base: posix.basename(clean) || "/" }
}

export const meansDirectory = (path: string): boolean => /\/\.?$/.test(path) || path === "."

/** Decides from both ends. Throws Failure with docker's words. */
export function placeCopy(source: Source, destination: Destination): Placement {
  if (destination.exists && destination.isDirectory) return { directory: destination.path, name: source.name }
  if (destination.exists && source.isDirectory) throw failure("invalid", "cannot copy directory")
  if (!source.isDirectory && meansDirectory(destination.path)) throw failure("not-found", "no such directory")
  const { directory, base } = splitPath(destination.path)
  return { directory, name: base }
}

const escapePattern = (text: string): string => text.replace(/[\\,&^$.*[\]]/g, "\\$&")

/** Words that make GNU tar call the top entry `to` instead of `from`, in names and hard links but not in symbolic ones. */
export function renameWords(from: string, to: string): string[] {
  if (from === to) return []
  const pattern = from === "/" ? "\\(\\./\\|/\\)*" : escapePattern(from)
  return ["--transform", `flags=rhS;s,^${pattern},${escapePattern(to)}${from === "/" ? "/" : ""},`]
}
