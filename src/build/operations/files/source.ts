// Where a copy takes files from: a context whose list is known, or the layers of a step or image, looked into by the launcher.
import { failure } from "../../../base/errors.ts"
import type { Operation } from "../../../kernel/kernel.ts"
import { rootOperation } from "../../../kernel/mount.ts"
import type { BuildRooms } from "../../rooms.ts"
import type { Tree } from "../../solver/solver.ts"
import { digestFiles, type FileDigest } from "../../sources/local/digests.ts"
import { isDirectory, isSymlink, type ScannedEntry, scan } from "../../sources/local/scan.ts"
import { type LocalTree, localTree } from "../../sources/local/tree.ts"
import { walkOrder } from "../../sources/local/walk-order.ts"

/** Errors that only say that there is nothing of that name. */
const [ENOENT, ENOTDIR, ELOOP] = [2, 20, 40]

export interface Source {
  /** How the launcher opens its root. */
  readonly root: Operation
  /** Whether owners say nothing: files of contexts belong to whoever made them. */
  readonly ownerless: boolean
  /** What a path leads to, links followed inside the tree; undefined when there is nothing. */
  follow(path: string): Promise<ScannedEntry | undefined>
  /** The entry and everything beneath it: parents first, siblings by bytes. `path` holds no links. */
  under(path: string): Promise<readonly ScannedEntry[]>
  /** In the order of `entries`, which are files and directories. */
  digests(entries: readonly ScannedEntry[]): Promise<readonly FileDigest[]>
  /** Entries with their extended attributes. */
  attributed(entries: readonly ScannedEntry[]): Promise<readonly ScannedEntry[]>
  /** Files were seen to change while they were copied. */
  moved(): void
  /** The context that it is. */
  readonly local?: LocalTree
}

/** Index of the first entry that does not come before `path`. */
const placeOf = (entries: readonly ScannedEntry[], path: string): number => {
  let [low, high] = [0, entries.length]
  while (low < high) {
    const middle = (low + high) >>> 1
    if (walkOrder(entries[middle]?.path ?? "", path) < 0) low = middle + 1
    else high = middle
  }
  return low
}

/** First index beyond everything beneath `path`, which is at `from`. */
const endOf = (entries: readonly ScannedEntry[], path: string, from: number): number => {
  const prefix = path === "" ? "" : `${path}/`
  let [low, high] = [from + 1, entries.length]
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((entries[middle]?.path ?? "").startsWith(prefix)) low = middle + 1
    else high = middle
  }
  return low
}

/** Follows a path through a list of entries. `find` gives what a path without links is. */
const followIn = async (
  path: string,
  find: (path: string) => ScannedEntry | undefined | Promise<ScannedEntry | undefined>,
): Promise<ScannedEntry | undefined> => {
  const todo = path.split("/").toReversed()
  const found: string[] = []
  let links = 0
  while (todo.length > 0) {
    const part = todo.pop() ?? ""
    if (part === "" || part === ".") continue
    if (part === "..") {
      found.pop()
      continue
    }
    const entry = await find([...found, part].join("/"))
    if (entry === undefined) return undefined
    if (!isSymlink(entry.mode)) {
      if (!isDirectory(entry.mode) && todo.some((name) => name !== "" && name !== ".")) return undefined
      found.push(part)
      continue
    }
    if (++links > 255) throw failure("invalid", `"/${path}": too many levels of symbolic links`)
    if (entry.link.startsWith("/")) found.length = 0
    todo.push(...entry.link.split("/").toReversed())
  }
  return find(found.join("/"))
}

const fromList = (
  root: Operation,
  list: readonly ScannedEntry[],
): Pick<Source, "root" | "follow" | "under"> => {
  const find = (path: string): ScannedEntry | undefined => {
    const entry = list[placeOf(list, path)]
    return entry?.path === path ? entry : undefined
  }
  return {
    root,
    follow: (path) => followIn(path, find),
    under(path) {
      const from = placeOf(list, path)
      return Promise.resolve(list[from]?.path === path ? list.slice(from, endOf(list, path, from)) : [])
    },
  }
}

const openContextSource = async (
  rooms: BuildRooms,
  tree: Extract<Tree, { kind: "context" }>,
  signal: AbortSignal,
): Promise<Source> => {
  const local = localTree(rooms, tree.context, signal)
  return {
    ...fromList(local.root, await local.list()),
    ownerless: true,
    digests: (entries) => local.contents(entries),
    attributed: (entries) => local.attributed(entries),
    moved: () => local.moved(),
    local,
  }
}

const openLayersSource = (rooms: BuildRooms, chainId: string, signal: AbortSignal): Source => {
  const { kernel, snapshots } = rooms
  const root = rootOperation(snapshots.view(chainId))
  const look = async (kind: "beneath" | "follow", path: string) => {
    const [found] = await scan(kernel, root, [[kind, path]], { attributes: true }, signal)
    const error = found?.error ?? ENOENT
    if (error !== 0 && error !== ENOENT && error !== ENOTDIR)
      throw failure(
        "invalid",
        error === ELOOP ? `"/${path}": too many levels of symbolic links` : `"/${path}" cannot be looked at`,
      )
    return error === 0 ? found : undefined
  }
  return {
    root,
    ownerless: false,
    follow: async (path) => (await look("follow", path))?.entries.at(-1),
    under: async (path) => (await look("beneath", path))?.entries ?? [],
    digests: (entries) => digestFiles(kernel, root, entries, signal),
    attributed: (entries) => Promise.resolve(entries),
    moved() {},
  }
}

/** A directory of the engine's own, whose files have the owners that they shall have. */
export const openDirectorySource = async (
  rooms: BuildRooms,
  directory: string,
  signal: AbortSignal,
): Promise<Source> => {
  const root: Operation = ["root-path", directory]
  const [look] = await scan(rooms.kernel, root, [["beneath", ""]], { attributes: true }, signal)
  return {
    ...fromList(root, look?.entries ?? []),
    ownerless: false,
    digests: (entries) => digestFiles(rooms.kernel, root, entries, signal),
    attributed: (entries) => Promise.resolve(entries),
    moved() {},
  }
}

export const openSource = (rooms: BuildRooms, tree: Tree, signal: AbortSignal): Promise<Source> =>
  tree.kind === "context"
    ? openContextSource(rooms, tree, signal)
    : Promise.resolve(openLayersSource(rooms, tree.chainId, signal))
