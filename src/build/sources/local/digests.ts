// Digests of files, made by the launcher: two at once, each over half of the bytes.
import { failure } from "../../../base/errors.ts"
import type { Kernel, Operation } from "../../../kernel/kernel.ts"
import { shown } from "./names.ts"
import { hexOf, isDirectory, type ScannedEntry } from "./scan.ts"

export interface FileDigest {
  /** 32 bytes of SHA-256; zeros for what has no contents. */
  readonly contents: Buffer
  /** SHA-256 of the extended attributes; undefined when there are none. */
  readonly attributes?: Buffer
  /** The file is still as its entry says. */
  readonly steady: boolean
}

const answerBytes = 96
/** Bounds of one request. */
const mostFiles = 16_000
const mostHex = 3 << 20
/** What opening a file costs, in bytes read in that time. */
const openingBytes = 16 << 10

const wide = (bytes: Buffer, at: number): number =>
  bytes.readUInt32LE(at) + bytes.readInt32LE(at + 4) * 2 ** 32

const decode = (bytes: Buffer, at: number, entry: ScannedEntry): FileDigest => {
  if (bytes[at] !== 0)
    throw failure("invalid", `"/${shown(entry.path)}" vanished while it was read: run the build again`)
  const steady =
    wide(bytes, at + 80) === entry.mtime &&
    bytes.readUInt32LE(at + 88) === entry.mtimeFraction &&
    (isDirectory(entry.mode) || wide(bytes, at + 72) === entry.size)
  const contents = bytes.subarray(at + 8, at + 40)
  return bytes[at + 1] === 0
    ? { contents, steady }
    : { contents, steady, attributes: bytes.subarray(at + 40, at + 72) }
}

const digestSome = async (
  kernel: Kernel,
  root: Operation,
  entries: readonly ScannedEntry[],
  signal: AbortSignal | undefined,
): Promise<FileDigest[]> => {
  const chunks: Uint8Array[] = []
  const files = entries.map(({ path }) => ["file", hexOf(path)] as const)
  for await (const chunk of kernel.receive([["digest"], root, ...files], signal)) chunks.push(chunk)
  const bytes = Buffer.concat(chunks)
  return entries.map((entry, index) => decode(bytes, index * answerBytes, entry))
}

/** Cuts the entries where a request is full or has `share` bytes. */
const portions = (entries: readonly ScannedEntry[], share: number): ScannedEntry[][] => {
  const parts: ScannedEntry[][] = []
  let [part, weight, hex]: [ScannedEntry[], number, number] = [[], 0, 0]
  for (const entry of entries) {
    if (part.length === 0) parts.push(part)
    part.push(entry)
    weight += entry.size + openingBytes
    hex += entry.path.length * 2 + 8
    if (weight < share && part.length < mostFiles && hex < mostHex) continue
    ;[part, weight, hex] = [[], 0, 0]
  }
  return parts
}

/** Digests of files and directories (attributes only), in their order. Throws invalid for what has vanished. */
export const digestFiles = async (
  kernel: Kernel,
  root: Operation,
  entries: readonly ScannedEntry[],
  signal?: AbortSignal,
): Promise<FileDigest[]> => {
  if (entries.length === 0) return []
  const total = entries.reduce((sum, { size }) => sum + size + openingBytes, 0)
  // Small work is not worth a second process.
  const parts = portions(entries, total < 4 << 20 ? total + 1 : Math.max(total / 2, 1 << 20))
  const results: FileDigest[][] = []
  for (let at = 0; at < parts.length; at += 2)
    results.push(
      ...(await Promise.all(parts.slice(at, at + 2).map((part) => digestSome(kernel, root, part, signal)))),
    )
  return results.flat()
}
