// A directory as a build's context: scanned once, digests from the index where nothing has changed, ignored files left out.
import { createHash } from "node:crypto"
import { realpathSync } from "node:fs"
import { join } from "node:path"
import { failure } from "../../../base/errors.ts"
import type { Operation } from "../../../kernel/kernel.ts"
import type { BuildRooms } from "../../rooms.ts"
import type { ContextTree, TreeEntry } from "../../solver/solver.ts"
import {
  carryRows,
  emptyRows,
  hasAttributes,
  loadIndex,
  putRow,
  type Remembered,
  rowAt,
  sameRecords,
  saveIndex,
} from "./digest-index.ts"
import { digestFiles, type FileDigest } from "./digests.ts"
import type { Ignoring } from "./ignoring.ts"
import { bytesOf, exactTextOf } from "./names.ts"
import { decodeScan, isDirectory, isFile, type ScannedEntry, scan, scanBytes, types } from "./scan.ts"
import { walkOrder } from "./walk-order.ts"

/** What copying needs to know of a context beyond its contract. */
export interface LocalTree {
  readonly root: Operation
  /** The root first, then everything that is not ignored, in the order of walks. */
  list(): Promise<readonly ScannedEntry[]>
  contents(entries: readonly ScannedEntry[]): Promise<readonly FileDigest[]>
  attributed(entries: readonly ScannedEntry[]): Promise<readonly ScannedEntry[]>
  /** Files were seen to change while they were read. */
  moved(): void
  /** What tells the scans of one directory apart: the next one's records are compared with these bytes. */
  scanned(): Promise<{ readonly scan: Buffer; readonly entries: readonly ScannedEntry[] }>
  /** Name of the directory among all. */
  readonly name: string
}

/** Milliseconds within which a file may change again without its times showing it; 2 s where times are whole seconds. */
const tick = 20
const coarseTick = 2000

const locals = new WeakMap<ContextTree, LocalTree>()

/** Where digests of a directory's files are remembered. */
export const contextsDirectory = (root: string): string => join(root, "contexts")
const indexPath = (root: string, directory: string): string =>
  join(contextsDirectory(root), `${createHash("sha256").update(directory).digest("hex").slice(0, 32)}.idx`)

const toTreeEntry = (entry: ScannedEntry): TreeEntry => {
  const text = exactTextOf(entry.path)
  const device = (entry.mode & 0o170000) === types.character || (entry.mode & 0o170000) === types.block
  return {
    path: text ?? entry.path,
    ...(text === undefined ? { raw: Buffer.from(entry.path, "latin1") } : {}),
    mode: entry.mode,
    uid: entry.uid,
    gid: entry.gid,
    size: entry.size,
    mtime: String(BigInt(entry.mtime) * 1_000_000_000n + BigInt(entry.mtimeFraction)),
    ...(entry.link === "" ? {} : { link: exactTextOf(entry.link) ?? entry.link }),
    ...(device ? { device: [entry.major, entry.minor] as const } : {}),
  }
}

/** Changed so shortly before it was looked at that another change may not show. */
export const isRacy = (entry: ScannedEntry, now: number): boolean => {
  const margin = entry.ctimeFraction === 0 ? coarseTick : tick
  return entry.ctime * 1000 + entry.ctimeFraction / 1e6 > now - margin
}

/** Scans that the last builds made, by the index's path: the next one need not read and decode them again. */
const recent = new Map<string, Remembered & { readonly entries: readonly ScannedEntry[] }>()
const mostRecent = 4
/** Milliseconds after the last build when they are forgotten, so that an idle engine is small. */
const forgottenAfter = 600_000
let forgetting: ReturnType<typeof setTimeout> | undefined
const forgetLater = (): void => {
  clearTimeout(forgetting)
  forgetting = setTimeout(() => recent.clear(), forgottenAfter)
  forgetting.unref()
}

interface Scanned {
  readonly entries: readonly ScannedEntry[]
  readonly remembered: Remembered
  readonly list: readonly ScannedEntry[]
}

export const openTree = (
  rooms: BuildRooms,
  directory: string,
  options: {
    readonly ignoring?: Ignoring
    readonly signal: AbortSignal
    readonly release?: () => void
    /** The directory lasts beyond the build, so that its digests are worth keeping; it does unless told otherwise. */
    readonly lasts?: boolean
  },
): ContextTree => {
  const { kernel } = rooms
  const { signal } = options
  const root: Operation = ["root-path", directory]
  const index = indexPath(rooms.root, realpathSync(directory))
  let moved = false
  let changed = false
  let scanning: Promise<Scanned> | undefined

  const scanNow = async (): Promise<Scanned> => {
    const skip = options.ignoring?.skip ?? []
    const bytes = await scanBytes(kernel, root, [["beneath", ""]], { skip }, signal)
    const before = recent.get(index) ?? loadIndex(index)
    const known = recent.get(index)
    const entries = known?.scan.equals(bytes) === true ? known.entries : (decodeScan(bytes)[0]?.entries ?? [])
    if (entries.length === 0 || !isDirectory(entries[0]?.mode ?? 0))
      throw failure("invalid", `the context ${directory} is not a directory`)
    const rows =
      before === undefined
        ? emptyRows(entries.length)
        : carryRows(before, sameRecords(before.scan, bytes, entries, walkOrder))
    const list = options.ignoring === undefined ? entries : options.ignoring.filter(entries)
    return { entries, remembered: { scan: bytes, rows }, list }
  }
  const scanned = (): Promise<Scanned> => {
    scanning ??= scanNow()
    return scanning
  }
  const contents = async (entries: readonly ScannedEntry[]): Promise<readonly FileDigest[]> => {
    const { remembered } = await scanned()
    const found: (FileDigest | undefined)[] = entries.map(({ row }) => rowAt(remembered.rows, row))
    const missing = entries.filter((_, at) => found[at] === undefined)
    if (missing.length === 0) return found.filter((digest) => digest !== undefined)
    const now = Date.now()
    const made = await digestFiles(kernel, root, missing, signal)
    let next = 0
    return found.map((digest) => {
      if (digest !== undefined) return digest
      const entry = missing[next]
      const fresh = made[next++]
      if (entry === undefined || fresh === undefined) throw failure("internal", "a digest is missing")
      if (!fresh.steady) moved = true
      if (fresh.steady && !isRacy(entry, now)) {
        putRow(remembered.rows, entry.row, fresh)
        changed = true
      }
      return fresh
    })
  }

  const keep = async (): Promise<void> => {
    const done = await scanning?.catch(() => undefined)
    if (done === undefined || options.lasts === false) return
    forgetLater()
    recent.delete(index)
    recent.set(index, { ...done.remembered, entries: done.entries })
    for (const oldest of [...recent.keys()].slice(0, Math.max(0, recent.size - mostRecent)))
      recent.delete(oldest)
    if (changed) saveIndex(index, done.remembered)
  }

  const local: LocalTree = {
    root,
    list: async () => (await scanned()).list,
    contents,
    async attributed(entries) {
      const { rows } = (await scanned()).remembered
      const may = entries.filter(
        ({ mode, row }) => (isFile(mode) || isDirectory(mode)) && hasAttributes(rows, row) !== false,
      )
      if (may.length === 0) return entries
      const digests = await contents(may)
      if (digests.every(({ attributes }) => attributes === undefined)) return entries
      return withAttributes(rooms, root, entries, signal)
    },
    moved() {
      moved = true
    },
    async scanned() {
      const { entries, remembered } = await scanned()
      return { scan: remembered.scan, entries }
    },
    name: index,
  }
  const tree: ContextTree = {
    directory,
    entries: async () => (await local.list()).slice(1).map(toTreeEntry),
    async digests(paths) {
      const list = await local.list()
      const byPath = new Map(list.map((entry) => [entry.path, entry]))
      const wanted = paths.flatMap((path) => {
        const entry = byPath.get(bytesOf(path)) ?? byPath.get(path)
        return entry !== undefined && isFile(entry.mode) ? [{ path, entry }] : []
      })
      const digests = await contents(wanted.map(({ entry }) => entry))
      return new Map(
        wanted.map(({ path }, at) => [path, `sha256:${digests[at]?.contents.toString("hex") ?? ""}`]),
      )
    },
    // Everything that is read is compared with the scan after it was read: by digests and by the copies into layers.
    unchanged: () => Promise.resolve(!moved),
    release() {
      void keep()
        .catch(() => {})
        .finally(options.release)
    },
  }
  locals.set(tree, local)
  return tree
}

const mostLooks = 20_000

/** The entries as they are now, with their attributes; those that have gone are left out. */
const withAttributes = async (
  rooms: BuildRooms,
  root: Operation,
  entries: readonly ScannedEntry[],
  signal: AbortSignal,
): Promise<ScannedEntry[]> => {
  const found: ScannedEntry[] = []
  for (let from = 0; from < entries.length; from += mostLooks) {
    const part = entries.slice(from, from + mostLooks)
    const looks = part.map(({ path }) => ["entry", path] as const)
    const now = await scan(rooms.kernel, root, looks, { attributes: true }, signal)
    for (const [at, entry] of part.entries())
      found.push({ ...entry, attributes: now[at]?.entries[0]?.attributes ?? [] })
  }
  return found
}

/** A tree that another source made, through its contract only. */
const adapted = (rooms: BuildRooms, context: ContextTree, signal: AbortSignal): LocalTree => {
  let listing: Promise<readonly ScannedEntry[]> | undefined
  const root: Operation = ["root-path", context.directory]
  const keep = async (): Promise<readonly ScannedEntry[]> => {
    const told = new Set([
      "",
      ...(await context.entries()).map(({ path, raw }) => (raw === undefined ? bytesOf(path) : path)),
    ])
    const [look] = await scan(rooms.kernel, root, [["beneath", ""]], { attributes: true }, signal)
    return (look?.entries ?? []).filter(({ path }) => told.has(path))
  }
  return {
    root,
    list() {
      listing ??= keep()
      return listing
    },
    contents: (entries) => digestFiles(rooms.kernel, root, entries, signal),
    attributed: (entries) => Promise.resolve(entries),
    moved() {},
    scanned: async () => ({ scan: Buffer.alloc(0), entries: [] }),
    name: "",
  }
}

export const localTree = (rooms: BuildRooms, context: ContextTree, signal: AbortSignal): LocalTree =>
  locals.get(context) ?? adapted(rooms, context, signal)
