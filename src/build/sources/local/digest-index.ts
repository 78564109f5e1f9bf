// What is remembered of a directory's files between builds: the last scan's bytes, and a row of digests for each entry. A file
// whose record in a new scan is the very same (device, inode, size, mode, times) keeps its row; content is never guessed otherwise.
//
//   "SLOOPIX1" · length of the scan (32 bits) · count of rows (32 bits) · scan · rows
//   a row: flags (1 contents are known, 2 there are attributes), 7 zeros, SHA-256 of contents, SHA-256 of attributes
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs"
import { dirname, join } from "node:path"
import { writeFileAtomic } from "../../../base/atomic-file.ts"
import type { FileDigest } from "./digests.ts"
import { recordLength } from "./scan.ts"

const magic = "SLOOPIX1"
const headBytes = 16
const rowBytes = 72
const pathAt = 80

export interface Remembered {
  readonly scan: Buffer
  readonly rows: Buffer
}

/** As the file has it; undefined when there is none or it is damaged. */
export const loadIndex = (path: string): Remembered | undefined => {
  if (!existsSync(path)) return undefined
  const bytes = readFileSync(path)
  if (bytes.length < headBytes || bytes.toString("latin1", 0, 8) !== magic) return undefined
  const [scanned, count] = [bytes.readUInt32LE(8), bytes.readUInt32LE(12)]
  if (bytes.length !== headBytes + scanned + count * rowBytes) return undefined
  return { scan: bytes.subarray(headBytes, headBytes + scanned), rows: bytes.subarray(headBytes + scanned) }
}

/** Most directories that are remembered; the one saved longest ago goes. */
const mostIndexes = 64

const dropOldest = (directory: string): void => {
  const names = readdirSync(directory).filter((name) => name.endsWith(".idx"))
  if (names.length <= mostIndexes) return
  const ages = names.map((name) => ({ name, at: statSync(join(directory, name)).mtimeMs }))
  for (const { name } of ages.toSorted((a, b) => a.at - b.at).slice(0, names.length - mostIndexes))
    rmSync(join(directory, name), { force: true })
}

export const saveIndex = (path: string, { scan, rows }: Remembered): void => {
  const head = Buffer.alloc(headBytes)
  head.write(magic, 0, "latin1")
  head.writeUInt32LE(scan.length, 8)
  head.writeUInt32LE(rows.length / rowBytes, 12)
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
  writeFileAtomic(path, Buffer.concat([head, scan, rows]))
  dropOldest(dirname(path))
}

export const emptyRows = (count: number): Buffer => Buffer.alloc(count * rowBytes)

const pathOf = (scan: Buffer, at: number): string =>
  scan.toString("latin1", at + pathAt, at + pathAt + scan.readUInt16LE(at))

/**
 * For each entry of a new scan the number of the very same record in an old one, or -1. `places` are the new scan's entries,
 * `order` that of scans.
 */
export const sameRecords = (
  old: Buffer,
  scan: Buffer,
  places: readonly { readonly at: number }[],
  order: (a: string, b: string) => number,
): Int32Array => {
  const same = new Int32Array(places.length)
  if (old.equals(scan)) return same.map((_, index) => index)
  same.fill(-1)
  // The first record is the look's own.
  let before = old.length === 0 ? 0 : recordLength(old, 0)
  let row = 0
  for (const [index, { at }] of places.entries()) {
    const end = at + recordLength(scan, at)
    while (before < old.length) {
      const length = recordLength(old, before)
      const equal = length === end - at && old.compare(scan, at, end, before, before + length) === 0
      const ordered = equal ? 0 : order(pathOf(old, before), pathOf(scan, at))
      if (ordered > 0) break
      if (equal) same[index] = row
      before += length
      row++
      if (ordered === 0) break
    }
  }
  return same
}

/** Rows for a new scan: those of entries whose records are the same, nothing for the rest. */
export const carryRows = (old: Remembered, same: Int32Array): Buffer => {
  const rows = emptyRows(same.length)
  for (let from = 0; from < same.length; ) {
    const row = same[from] ?? -1
    let to = from + 1
    if (row >= 0) {
      while (to < same.length && same[to] === row + to - from) to++
      old.rows.copy(rows, from * rowBytes, row * rowBytes, (row + to - from) * rowBytes)
    }
    from = to
  }
  return rows
}

/** The row's digests, if they are known. */
export const rowAt = (rows: Buffer, index: number): FileDigest | undefined => {
  const at = index * rowBytes
  const flags = rows[at] ?? 0
  if ((flags & 1) === 0) return undefined
  const contents = rows.subarray(at + 8, at + 40)
  return (flags & 2) === 0
    ? { contents, steady: true }
    : { contents, steady: true, attributes: rows.subarray(at + 40, at + 72) }
}

/** Whether an entry has extended attributes; undefined when that is not known. */
export const hasAttributes = (rows: Buffer, index: number): boolean | undefined => {
  const flags = rows[index * rowBytes] ?? 0
  return (flags & 1) === 0 ? undefined : (flags & 2) !== 0
}

export const putRow = (rows: Buffer, index: number, digest: FileDigest): void => {
  const at = index * rowBytes
  rows[at] = digest.attributes === undefined ? 1 : 3
  digest.contents.copy(rows, at + 8)
  digest.attributes?.copy(rows, at + 40)
}
