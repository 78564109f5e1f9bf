// Headers of a layer's tar: ustar where they can hold the entry, pax records for what does not fit. Names are latin1 text.
import { blockSize } from "../../../base/tar-header.ts"
import type { Attribute } from "../../sources/local/scan.ts"

export interface TarEntry {
  /** Directories end with a slash. */
  readonly name: string
  /** "0" file, "1" hard link, "2" symbolic link, "3" character, "4" block, "5" directory, "6" fifo. */
  readonly kind: string
  readonly mode: number
  readonly uid: number
  readonly gid: number
  readonly size: number
  /** Unix seconds, whole: as the layers of other builders have it. */
  readonly mtime: number
  readonly link: string
  readonly major: number
  readonly minor: number
  readonly attributes: readonly Attribute[]
}

const record = (key: string, value: string): string => {
  const bare = key.length + value.length + 3
  let length = bare + String(bare).length
  if (bare + String(length).length !== length) length = bare + String(length).length
  return `${length} ${key}=${value}\n`
}

const isAscii = (text: string): boolean => {
  for (let at = 0; at < text.length; at++) if (text.charCodeAt(at) > 127) return false
  return true
}

const largest = (digits: number): number => 8 ** digits - 1

/** Where a long name is cut into ustar's prefix and name; -1 when it cannot be. */
const cut = (name: string): number => {
  if (name.length > 256) return -1
  const slash = name.lastIndexOf("/", 155)
  return slash > 0 && name.length - slash - 1 <= 100 && slash < name.length - 1 ? slash : -1
}

const octal = (block: Buffer, value: number, at: number, digits: number): void => {
  let rest = value
  for (let place = at + digits - 1; place >= at; place--) {
    block[place] = 48 + (rest % 8)
    rest = Math.floor(rest / 8)
  }
}

const empty = Buffer.alloc(blockSize)
empty.write("ustar\x0000", 257, "latin1")
for (const [at, digits] of [
  [100, 7],
  [108, 7],
  [116, 7],
  [124, 11],
  [136, 11],
] as const)
  empty.fill(48, at, at + digits)
empty.fill(32, 148, 156)

/** One header block at `at`; what does not fit is left out. */
const putHeader = (target: Buffer, at: number, entry: TarEntry): void => {
  const block = target.subarray(at, at + blockSize)
  empty.copy(block)
  const slash = entry.name.length > 100 ? cut(entry.name) : -1
  if (slash < 0) block.write(entry.name.slice(0, 100), 0, "latin1")
  else {
    block.write(entry.name.slice(slash + 1), 0, "latin1")
    block.write(entry.name.slice(0, slash), 345, "latin1")
  }
  octal(block, entry.mode, 100, 7)
  if (entry.uid <= largest(7)) octal(block, entry.uid, 108, 7)
  if (entry.gid <= largest(7)) octal(block, entry.gid, 116, 7)
  if (entry.size <= largest(11)) octal(block, entry.size, 124, 11)
  if (entry.mtime >= 0 && entry.mtime <= largest(11)) octal(block, entry.mtime, 136, 11)
  block[156] = entry.kind.charCodeAt(0)
  if (entry.link !== "") block.write(entry.link.slice(0, 100), 157, "latin1")
  if (entry.kind === "3" || entry.kind === "4") {
    octal(block, entry.major, 329, 7)
    octal(block, entry.minor, 337, 7)
  }
  let sum = 0
  for (let place = 0; place < 345; place++) sum += block[place] ?? 0
  if (slash >= 0) for (let place = 345; place < 500; place++) sum += block[place] ?? 0
  octal(block, sum, 148, 6)
  block[154] = 0
}

const recordsOf = (entry: TarEntry): string => {
  let text = ""
  if ((entry.name.length > 100 && cut(entry.name) < 0) || !isAscii(entry.name))
    text += record("path", entry.name)
  if (entry.link.length > 100 || !isAscii(entry.link)) text += record("linkpath", entry.link)
  if (entry.uid > largest(7)) text += record("uid", String(entry.uid))
  if (entry.gid > largest(7)) text += record("gid", String(entry.gid))
  if (entry.size > largest(11)) text += record("size", String(entry.size))
  if (entry.mtime < 0 || entry.mtime > largest(11)) text += record("mtime", String(entry.mtime))
  for (const { name, value } of entry.attributes) text += record(`SCHILY.xattr.${name}`, value)
  return text
}

/** Bytes of the blocks before an entry's body. */
export const headLength = (entry: TarEntry): number => {
  const records = recordsOf(entry).length
  return records === 0 ? blockSize : 2 * blockSize + Math.ceil(records / blockSize) * blockSize
}

/** The blocks before an entry's body. */
export const encodeEntry = (entry: TarEntry): Buffer => {
  const records = recordsOf(entry)
  if (records === "") {
    const block = Buffer.allocUnsafe(blockSize)
    putHeader(block, 0, entry)
    return block
  }
  const body = Math.ceil(records.length / blockSize) * blockSize
  const blocks = Buffer.alloc(blockSize + body + blockSize)
  const last = entry.name.replace(/\/$/, "").split("/").at(-1) ?? ""
  const name = `PaxHeaders.0/${isAscii(last) ? last.slice(0, 80) : "entry"}`
  putHeader(blocks, 0, {
    ...entry,
    name,
    kind: "x",
    mode: 0o644,
    uid: 0,
    gid: 0,
    mtime: 0,
    size: records.length,
    link: "",
  })
  blocks.write(records, blockSize, "latin1")
  putHeader(blocks, blockSize + body, entry)
  return blocks
}
