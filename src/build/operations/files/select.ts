// Which files of a source a copy takes, and under which names.
import { failure } from "../../../base/errors.ts"
import type { CopyAction } from "../../graph/graph.ts"
import { bytesOf, shown, textOf } from "../../sources/local/names.ts"
import { isDirectory, type ScannedEntry } from "../../sources/local/scan.ts"
import { hasWildcard, matchName, splitWildcards } from "./match.ts"
import { patternsMatcher } from "./patterns.ts"
import type { Source } from "./source.ts"

/** One thing that a source of COPY names: a file, or a directory with what is taken of it. */
export interface Selection {
  /** Last name as the Dockerfile or the match has it: what a file is called in a directory. */
  readonly name: string
  readonly top: ScannedEntry
  /** What is taken beneath `top`, without it, in order; paths as in the source. */
  readonly inside: readonly ScannedEntry[]
  /** Directories above the first one taken are made as they are in the source, but `top` counts only with something in it. */
  readonly patterned: boolean
}

type Asked = Pick<CopyAction, "sources" | "exclude" | "parents" | "follow" | "required">

const baseName = (path: string): string => path.slice(path.lastIndexOf("/") + 1)

/** A path of a Dockerfile as bytes, without dots and doubled slashes; ".." never leads out. */
const cleanPath = (path: string): string => {
  const parts: string[] = []
  for (const part of path.split("/")) {
    if (part === "" || part === ".") continue
    if (part === "..") parts.pop()
    else parts.push(part)
  }
  return parts.join("/")
}

/** As patterns are written, without the escapes that hide wildcards. */
const unescaped = (text: string): string => text.replace(/\\(.)/gs, "$1")

const missing = (text: string) => failure("invalid", `"/${shown(bytesOf(text))}": not found`)

const matches = async (source: Source, text: string): Promise<{ name: string; path: string }[]> => {
  const [plain, pattern] = splitWildcards(text)
  const below = await source.follow(bytesOf(unescaped(plain)))
  if (below === undefined || !isDirectory(below.mode)) return []
  const found: { name: string; path: string }[] = []
  const prefix = below.path === "" ? 0 : below.path.length + 1
  let inside: string | undefined
  for (const { path } of (await source.under(below.path)).slice(1)) {
    // What is matched is not looked into.
    if (inside !== undefined && path.startsWith(inside)) continue
    if (!matchName(pattern, textOf(path.slice(prefix)))) continue
    found.push({ name: baseName(path), path })
    inside = `${path}/`
  }
  return found
}

const withPatterns = async (
  source: Source,
  top: ScannedEntry,
  include: readonly string[],
  exclude: readonly string[],
): Promise<readonly ScannedEntry[]> => {
  const all = (await source.under(top.path)).slice(1)
  if (include.length === 0 && exclude.length === 0) return all
  const cut = top.path === "" ? 0 : top.path.length + 1
  return patternsMatcher(include, exclude).filter(all, (entry) => textOf(entry.path.slice(cut)))
}

const selectOne = async (source: Source, action: Asked, text: string): Promise<Selection[]> => {
  const [before, ...after] = action.parents ? text.split("/./") : [text]
  const pivot = after.length > 0
  const include = action.parents ? [cleanPath(pivot ? after.join("/./") : text)] : []
  const from = cleanPath(action.parents ? (pivot ? (before ?? "") : "") : text)
  const named = hasWildcard(from)
    ? await matches(source, from)
    : [{ name: baseName(unescaped(from)), path: bytesOf(unescaped(from)) }]
  const selections: Selection[] = []
  for (const { name, path } of named) {
    const top = action.follow
      ? await source.follow(path)
      : ((await source.under(path))[0] ?? (await source.follow(path)))
    if (top === undefined) {
      if (hasWildcard(from)) continue
      if (action.required) throw missing(from)
      continue
    }
    const inside = isDirectory(top.mode) ? await withPatterns(source, top, include, action.exclude) : []
    if (action.parents && inside.length === 0 && include[0] !== "") {
      if (action.required && !hasWildcard(include[0] ?? "")) throw missing(include[0] ?? "")
      continue
    }
    selections.push({ name: bytesOf(name), top, inside, patterned: action.parents })
  }
  if (selections.length === 0 && action.required && (hasWildcard(from) || action.parents)) throw missing(text)
  return selections
}

/** Throws Failure "invalid" (`"/x": not found`) when a required source matches nothing. */
export const selectFiles = async (source: Source, action: Asked): Promise<Selection[]> => {
  const selections: Selection[] = []
  for (const text of action.sources) selections.push(...(await selectOne(source, action, text)))
  return selections
}
