// What a client tells of its files, as a tar of what has changed since the last time: new and changed entries, then whiteouts.
import { failure } from "../../../base/errors.ts"
import { blockSize } from "../../../base/tar-header.ts"
import type { SyncedEntry } from "../../build.ts"
import { encodeEntry } from "../../operations/files/tar-entry.ts"
import { bytesOf, shown } from "./names.ts"
import { isDirectory, isFile, isSymlink, typeMask, types } from "./scan.ts"
import { walkOrder } from "./walk-order.ts"

/** What was told of each path. Paths are bytes as latin1 text. */
export type Told = Map<string, string>

const longestPath = 4095
const longestName = 255

const parentOf = (path: string): string => path.slice(0, Math.max(0, path.lastIndexOf("/")))
const refused = (path: string, why: string) =>
  failure("invalid", `the client sent a file that cannot be: "${shown(path)}" ${why}`)

/** Sees to it that paths come as the protocol has them: clean, in order, each in a directory that came before. */
class Order {
  #last = ""
  readonly #directories = new Set([""])

  check(path: string, mode: number): void {
    if (path === "" || path.length > longestPath || path.includes("\0"))
      throw refused(path, "has no usable name")
    for (const part of path.split("/")) {
      if (part === "" || part === "." || part === "..") throw refused(path, "is no plain path")
      if (part.length > longestName) throw refused(path, "has a name that is too long")
      if (part.startsWith(".wh.")) throw refused(path, "has a name that means a deletion in an image's layer")
    }
    if (this.#last !== "" && walkOrder(this.#last, path) >= 0) throw refused(path, "is out of order")
    if (!this.#directories.has(parentOf(path))) throw refused(path, "is in no directory that was told of")
    this.#last = path
    if (isDirectory(mode)) this.#directories.add(path)
  }

  isDirectory(path: string): boolean {
    return this.#directories.has(path)
  }
}

const attributesOf = (entry: SyncedEntry) =>
  [...entry.xattrs].map(([name, value]) => ({
    name: bytesOf(name),
    value: Buffer.from(value).toString("latin1"),
  }))

const signatureOf = (entry: SyncedEntry): string =>
  JSON.stringify([
    entry.mode,
    entry.uid,
    entry.gid,
    isDirectory(entry.mode) ? 0 : entry.size,
    String(entry.mtime),
    entry.link,
    attributesOf(entry),
  ])

const kindOf = (entry: SyncedEntry): string => {
  if (isDirectory(entry.mode)) return "5"
  if (isSymlink(entry.mode)) return "2"
  if ((entry.mode & typeMask) === types.fifo) return "6"
  return entry.link === "" ? "0" : "1"
}

const headerOf = (path: string, entry: SyncedEntry): Buffer => {
  const kind = kindOf(entry)
  return encodeEntry({
    name: kind === "5" ? `${path}/` : path,
    kind,
    mode: entry.mode & 0o7777,
    uid: entry.uid,
    gid: entry.gid,
    size: kind === "0" ? entry.size : 0,
    mtime: Number(entry.mtime / 1_000_000_000n),
    link: kind === "1" || kind === "2" ? bytesOf(entry.link) : "",
    major: 0,
    minor: 0,
    attributes: kind === "1" ? [] : attributesOf(entry),
  })
}

async function* bodyOf(
  path: string,
  entry: SyncedEntry,
  count: (bytes: number) => void,
): AsyncGenerator<Uint8Array> {
  let bytes = 0
  for await (const chunk of entry.open()) {
    bytes += chunk.length
    if (bytes > entry.size) break
    count(chunk.length)
    yield chunk
  }
  if (bytes !== entry.size) throw refused(path, `changed while it was sent: run the build again`)
  const gap = -bytes & (blockSize - 1)
  if (gap > 0) yield Buffer.alloc(gap)
}

/** What is not told of any more: a whiteout for each that has no one above it that is gone as well. */
const removals = (before: ReadonlyMap<string, string>, told: Told, order: Order): Buffer[] => {
  const headers: Buffer[] = []
  for (const path of before.keys()) {
    const parent = parentOf(path)
    if (told.has(path) || !order.isDirectory(parent)) continue
    const name = `${parent === "" ? "" : `${parent}/`}.wh.${path.slice(parent === "" ? 0 : parent.length + 1)}`
    const plain = {
      mode: 0o600,
      uid: 0,
      gid: 0,
      size: 0,
      mtime: 0,
      link: "",
      major: 0,
      minor: 0,
      attributes: [],
    }
    headers.push(encodeEntry({ name, kind: "0", ...plain }))
  }
  return headers
}

/** Types that a build has no use for, or that the protocol cannot tell enough of. */
const isLeftOut = (mode: number): boolean =>
  [types.socket, types.character, types.block].some((type) => type === (mode & typeMask))

/**
 * The tar that brings a directory from what was told `before` to what the entries tell; `told` is filled. `count` hears of
 * the bytes of files. Throws invalid for entries that no file system could have, or that come in the wrong order.
 */
export async function* tarOfChanges(
  entries: AsyncIterable<SyncedEntry>,
  before: ReadonlyMap<string, string>,
  told: Told,
  count: (bytes: number) => void,
): AsyncGenerator<Uint8Array> {
  const order = new Order()
  const rewritten = new Set<string>()
  for await (const entry of entries) {
    const path = bytesOf(entry.path)
    order.check(path, entry.mode)
    if (isLeftOut(entry.mode)) continue
    const hardLink = isFile(entry.mode) && entry.link !== ""
    if (hardLink && !told.has(bytesOf(entry.link)))
      throw refused(path, `is another name of "${shown(bytesOf(entry.link))}", which was not told of before`)
    const signature = signatureOf(entry)
    told.set(path, signature)
    const same = before.get(path) === signature && !(hardLink && rewritten.has(bytesOf(entry.link)))
    // Directories are always told: what happens in them changes their times.
    if (same && !isDirectory(entry.mode)) continue
    rewritten.add(path)
    yield headerOf(path, entry)
    if (kindOf(entry) === "0") yield* bodyOf(path, entry, count)
  }
  yield* removals(before, told, order)
  yield Buffer.alloc(2 * blockSize)
}
