// A rotated log as its files: PATH.n … PATH.1, PATH from oldest to newest, each held open so that a rename loses nothing.
// Many readers of one file share its descriptor and the lines that were read last: each line is read and parsed once.
import { closeSync, fstatSync, openSync, readSync, statSync } from "node:fs"
import { parseLine } from "./json-file.ts"
import type { LogEntry } from "./logs.ts"

/** More rotated files than any policy keeps. */
const mostFiles = 100_000
/** So many numbers in a row without a file end the log. */
const mostMissing = 3
const blockBytes = 64 << 10
const newline = 10
/** A line longer than this is no line of a log: it is dropped. */
const longestLine = 8 << 20
/** Blocks of lines kept for other readers, of all logs together: about 0.3 MB each. */
const mostBlocks = 24

/** Whole lines as entries, and where what follows them begins. */
interface Block {
  readonly entries: readonly LogEntry[]
  readonly next: number
}

/** A file as all of its readers have it. */
interface OpenFile {
  readonly key: string
  readonly descriptor: number
  readonly inode: bigint
  readonly blocks: Map<number, Block>
  readers: number
}

export interface LogFile {
  readonly open: OpenFile
  readonly inode: bigint
  /** How far it has been read: the beginning of a line. */
  offset: number
}

/** By device and inode, which stay a file's own while it is open. */
const openNow = new Map<string, OpenFile>()
/** The blocks that are kept, oldest first. */
const kept = new Set<{ readonly file: OpenFile; readonly offset: number }>()

const isMissing = (error: unknown): boolean =>
  error instanceof Error && "code" in error && error.code === "ENOENT"

const openFile = (path: string): LogFile | undefined => {
  let descriptor: number
  try {
    descriptor = openSync(path, "r")
  } catch (error) {
    if (isMissing(error)) return undefined
    throw error
  }
  const { dev, ino: inode } = fstatSync(descriptor, { bigint: true })
  const key = `${dev}:${inode}`
  let open = openNow.get(key)
  if (open === undefined) {
    open = { key, descriptor, inode, blocks: new Map(), readers: 0 }
    openNow.set(key, open)
  } else closeSync(descriptor)
  open.readers++
  return { open, inode, offset: 0 }
}

export const closeFiles = (files: readonly LogFile[]): void => {
  for (const { open } of files) {
    if (--open.readers > 0) continue
    openNow.delete(open.key)
    for (const block of kept) if (block.file === open) kept.delete(block)
    closeSync(open.descriptor)
  }
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

/** Shared by all readers: nothing of it outlives a call. */
const scratch = Buffer.allocUnsafeSlow(blockBytes)

const parseLines = (bytes: Buffer): LogEntry[] => {
  const entries: LogEntry[] = []
  for (let start = 0; start < bytes.length; ) {
    const end = bytes.indexOf(newline, start)
    const entry = parseLine(bytes.toString("utf8", start, end))
    if (entry !== undefined) entries.push(entry)
    start = end + 1
  }
  return entries
}

/** Reads the whole lines at an offset: about a block of them, or one long line; undefined while there is none. */
const readBlock = (descriptor: number, offset: number): Block | undefined => {
  let bytes = scratch
  for (;;) {
    const count = readSync(descriptor, bytes, 0, bytes.length, offset)
    const end = bytes.subarray(0, count).lastIndexOf(newline) + 1
    if (end > 0) return { entries: parseLines(bytes.subarray(0, end)), next: offset + end }
    if (count < bytes.length) return undefined
    // What is left of such a line is no line either: it is passed over, too.
    if (bytes.length >= longestLine) return { entries: [], next: offset + count }
    bytes = Buffer.allocUnsafeSlow(bytes.length * 2)
  }
}

/** The next whole lines of a file, undefined at its present end. */
export const readMore = (file: LogFile): readonly LogEntry[] | undefined => {
  const { open, offset } = file
  const block = open.blocks.get(offset) ?? readBlock(open.descriptor, offset)
  if (block === undefined) return undefined
  if (open.readers > 1 && !open.blocks.has(offset)) {
    open.blocks.set(offset, block)
    kept.add({ file: open, offset })
    for (const oldest of kept) {
      if (kept.size <= mostBlocks) break
      kept.delete(oldest)
      oldest.file.blocks.delete(oldest.offset)
    }
  }
  file.offset = block.next
  return block.entries
}

/** What is left behind the last whole line: an entry, when the line lacks only its end. */
export const readRest = ({ open, offset }: LogFile): LogEntry | undefined => {
  const left = Number(fstatSync(open.descriptor, { bigint: true }).size) - offset
  if (left <= 0 || left > longestLine) return undefined
  const bytes = Buffer.allocUnsafe(left)
  return parseLine(bytes.toString("utf8", 0, readSync(open.descriptor, bytes, 0, left, offset)))
}

/** Where the last `wanted` lines of one file begin, and how many lines it could not give. */
const seekTail = (file: LogFile, wanted: number): number => {
  const size = Number(fstatSync(file.open.descriptor, { bigint: true }).size)
  let missing = wanted
  let end = size
  while (end > 0) {
    const start = Math.max(0, end - blockBytes)
    const block = Buffer.allocUnsafe(end - start)
    readSync(file.open.descriptor, block, 0, block.length, start)
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
    else file.offset = Number(fstatSync(file.open.descriptor, { bigint: true }).size)
  }
}
