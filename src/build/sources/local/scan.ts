// Looks into roots through the launcher: what lies there, entry by entry. Paths are bytes as latin1 text throughout.
import { failure } from "../../../base/errors.ts"
import type { Kernel, Operation } from "../../../kernel/kernel.ts"

/** An extended attribute; both as latin1 text. */
export interface Attribute {
  readonly name: string
  readonly value: string
}

/** One entry as the file system has it. Paths and links are bytes as latin1 text, so that every name is exact. */
export interface ScannedEntry {
  /** Relative to the root that was looked into, without leading slash; "" is the root. */
  readonly path: string
  /** st_mode. */
  readonly mode: number
  readonly uid: number
  readonly gid: number
  /** How many names the file has. */
  readonly names: number
  readonly size: number
  /** Unix seconds and nanoseconds. */
  readonly mtime: number
  readonly mtimeFraction: number
  readonly ctime: number
  readonly ctimeFraction: number
  readonly inode: number
  readonly device: number
  readonly major: number
  readonly minor: number
  /** Target of a symbolic link. */
  readonly link: string
  /** Empty unless the scan was asked for them. */
  readonly attributes: readonly Attribute[]
  /** Where its record begins in the scan's bytes, and how many of the same look stand before it. */
  readonly at: number
  readonly row: number
}

/** What one look gave. */
export interface Look {
  /** errno; 0 when the path is there. */
  readonly error: number
  /** follow, resolve: the path without links, with what is missing of it at its end. */
  readonly path: string
  readonly entries: readonly ScannedEntry[]
}

const recordBytes = 80

export const typeMask = 0o170000
export const types = {
  socket: 0o140000,
  symlink: 0o120000,
  file: 0o100000,
  block: 0o060000,
  directory: 0o040000,
  character: 0o020000,
  fifo: 0o010000,
} as const

export const isDirectory = (mode: number): boolean => (mode & typeMask) === types.directory
export const isFile = (mode: number): boolean => (mode & typeMask) === types.file
export const isSymlink = (mode: number): boolean => (mode & typeMask) === types.symlink

const wide = (bytes: Buffer, at: number): number =>
  bytes.readUInt32LE(at) + bytes.readInt32LE(at + 4) * 2 ** 32

const noAttributes: readonly Attribute[] = []

const attributesAt = (bytes: Buffer, from: number, length: number): readonly Attribute[] => {
  if (length === 0) return noAttributes
  const attributes: Attribute[] = []
  for (let at = from; at < from + length; ) {
    const key = bytes.readUInt16LE(at)
    const value = bytes.readUInt32LE(at + 2)
    at += 6
    attributes.push({
      name: bytes.toString("latin1", at, at + key),
      value: bytes.toString("latin1", at + key, at + key + value),
    })
    at += key + value
  }
  return attributes
}

/** Length of the record at a place of the scan's bytes. */
export const recordLength = (bytes: Buffer, at: number): number =>
  recordBytes + bytes.readUInt16LE(at) + bytes.readUInt16LE(at + 2) + bytes.readUInt32LE(at + 20)

const entryAt = (bytes: Buffer, at: number, row: number): ScannedEntry => {
  const path = bytes.readUInt16LE(at)
  const link = bytes.readUInt16LE(at + 2)
  const pathAt = at + recordBytes
  const linkAt = pathAt + path
  return {
    path: bytes.toString("latin1", pathAt, linkAt),
    mode: bytes.readUInt32LE(at + 4),
    uid: bytes.readUInt32LE(at + 8),
    gid: bytes.readUInt32LE(at + 12),
    names: bytes.readUInt32LE(at + 16),
    size: wide(bytes, at + 24),
    mtime: wide(bytes, at + 32),
    mtimeFraction: bytes.readUInt32LE(at + 64),
    ctime: wide(bytes, at + 40),
    ctimeFraction: bytes.readUInt32LE(at + 68),
    inode: wide(bytes, at + 48),
    device: wide(bytes, at + 56),
    major: bytes.readUInt32LE(at + 72),
    minor: bytes.readUInt32LE(at + 76),
    link: link === 0 ? "" : bytes.toString("latin1", linkAt, linkAt + link),
    attributes: attributesAt(bytes, linkAt + link, bytes.readUInt32LE(at + 20)),
    at,
    row,
  }
}

/** Takes the bytes of a scan apart, look by look. */
export const decodeScan = (bytes: Buffer): Look[] => {
  const looks: { error: number; path: string; entries: ScannedEntry[] }[] = []
  for (let at = 0; at < bytes.length; at += recordLength(bytes, at)) {
    const entries = looks.at(-1)?.entries
    if (entries !== undefined && bytes.readUInt32LE(at + 4) !== 0)
      entries.push(entryAt(bytes, at, entries.length))
    else {
      const group = entryAt(bytes, at, 0)
      looks.push({ error: group.inode, path: group.link, entries: [] })
    }
  }
  return looks
}

export const hexOf = (path: string): string => Buffer.from(path, "latin1").toString("hex")

/** The bytes of a scan, as they came. Throws invalid for a path with a byte 0. */
export const scanBytes = async (
  kernel: Kernel,
  root: Operation,
  looks: readonly (readonly [kind: "beneath" | "entry" | "follow" | "resolve", path: string])[],
  options: { readonly attributes?: boolean; readonly skip?: readonly string[] },
  signal?: AbortSignal,
): Promise<Buffer> => {
  const chunks: Uint8Array[] = []
  const torn = looks.find(([, path]) => path.includes("\0"))
  if (torn !== undefined)
    throw failure("invalid", `the path ${JSON.stringify(torn[1])} holds a byte 0, which no path may`)
  const plan: Operation[] = [
    ["scan"],
    root,
    ...(options.attributes === true ? [["option", "xattrs", "yes"] as const] : []),
    ...(options.skip ?? []).map((path) => ["skip", hexOf(path)] as const),
    ...looks.map(([kind, path]) => [kind, hexOf(path)] as const),
  ]
  for await (const chunk of kernel.receive(plan, signal)) chunks.push(chunk)
  return Buffer.concat(chunks)
}

/**
 * Looks into a root. "beneath": an entry and everything beneath it, parents first, siblings by the bytes of their names;
 * "entry": that one alone; paths of both hold no links. "follow" and "resolve" (which does not follow the last name) find
 * out where a path leads and tell of the directories on that way, and of what is at its end, if it is there.
 */
export const scan = async (...words: Parameters<typeof scanBytes>): Promise<Look[]> =>
  decodeScan(await scanBytes(...words))
