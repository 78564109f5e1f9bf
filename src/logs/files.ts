// A rotated log as its files: PATH.n … PATH.1, PATH from oldest to newest, each held open so that a rename loses nothing.
import { closeSync, fstatSync, openSync, readSync, statSync } from "node:fs"

/** More rotated files than any policy keeps. */
const mostFiles = 100_000
/** So many numbers in a row without a file end the log. */
const mostMissing = 3
const blockBytes = 64 << 10
const newline = 10

export interface LogFile {
  readonly descriptor: number
  readonly inode: bigint
  /** How far it has been read. */
  offset: number
}

const isMissing = (error: unknown): boolean =>
  error instanceof Error && "code" in error && error.code === "ENOENT"

const openFile = (path: string): LogFile | undefined => {
  try {
    const descriptor = openSync(path, "r")
    return { descriptor, inode: fstatSync(descriptor, { bigint: true }).ino, offset: 0 }
  } catch (error) {
    if (isMissing(error)) return undefined
    throw error
  }
}

export const closeFiles = (files: readonly LogFile[]): void => {
  for (const file of files) closeSync(file.descriptor)
}

const openOnce = (path: string): LogFile[] => {
  const files: LogFile[] = []
  for (let index = 0, missing = 0; index < mostFiles && missing < mostMissing; index++) {
    const file = openFile(index === 0 ? path : `${path}.${index}`)
    missing = file === undefined ? missing + 1 : 0
    if (file !== undefined) files.push(file)
  }
  return files.reverse()
}

/**
 * Opens every file, oldest first. Rotations may be under way: each leaves one number free for a moment, and one between
 * two opens shows a file twice; then it is tried again.
 */
export const openFiles = (path: string): LogFile[] => {
  for (let attempt = 0; ; attempt++) {
    const files = openOnce(path)
    if (new Set(files.map((file) => file.inode)).size === files.length || attempt === 100) return files
    closeFiles(files)
  }
}

/** Whether PATH is still the file that was opened as the newest. */
export const isNewest = (path: string, file: LogFile): boolean => {
  try {
    return statSync(path, { bigint: true }).ino === file.inode
  } catch {
    return false
  }
}

/** Shared by all readers: most reads at a log's end bring a line or none, and get a buffer of that size. */
const scratch = Buffer.allocUnsafeSlow(blockBytes)

/** The next bytes of a file, undefined at its present end. */
export const readMore = (file: LogFile): Uint8Array | undefined => {
  const count = readSync(file.descriptor, scratch, 0, blockBytes, file.offset)
  if (count === 0) return undefined
  file.offset += count
  return Buffer.from(scratch.subarray(0, count))
}

/** Where the last `wanted` lines of one file begin, and how many lines it could not give. */
const seekTail = (file: LogFile, wanted: number): number => {
  const size = Number(fstatSync(file.descriptor, { bigint: true }).size)
  let missing = wanted
  let end = size
  while (end > 0) {
    const start = Math.max(0, end - blockBytes)
    const block = Buffer.allocUnsafe(end - start)
    readSync(file.descriptor, block, 0, block.length, start)
    for (let index = block.length - 1; index >= 0; index--) {
      // The newline at the very end closes the last line and begins none.
      if (block[index] !== newline || start + index === size - 1) continue
      if (--missing === 0) {
        file.offset = start + index + 1
        return 0
      }
    }
    end = start
  }
  file.offset = 0
  return size > 0 ? missing - 1 : missing
}

/** Sets the offsets so that only the last `lines` lines of all files together are read. */
export const seekLastLines = (files: readonly LogFile[], lines: number): void => {
  let missing = lines
  for (let index = files.length - 1; index >= 0; index--) {
    const file = files[index]
    if (file === undefined) continue
    if (missing > 0) missing = seekTail(file, missing)
    else file.offset = Number(fstatSync(file.descriptor, { bigint: true }).size)
  }
}
