// Writes a tar archive as a stream, the same bytes for the same entries.
import { failure } from "./errors.ts"
import { blockSize, encodeHeader, type WritableType } from "./tar-header.ts"

/** What is written. Owner is root. */
export interface TarSource {
  readonly name: string
  readonly type: Exclude<WritableType, "pax">
  readonly mode?: number
  /** Unix seconds, whole; 0 by default. */
  readonly mtime?: number
  readonly linkName?: string
  /** Bytes of the body; needed with a streamed body. */
  readonly size?: number
  readonly body?: Uint8Array | AsyncIterable<Uint8Array>
}

const largestOctal = 0o77777777777

/** One pax record: its length counts its own digits. */
const paxRecord = (key: string, value: string): string => {
  const bare = Buffer.byteLength(` ${key}=${value}\n`)
  let length = bare + String(bare).length
  if (bare + String(length).length !== length) length = bare + String(length).length
  return `${length} ${key}=${value}\n`
}

const padded = (bytes: Uint8Array): Uint8Array =>
  bytes.length % blockSize === 0
    ? bytes
    : Buffer.concat([bytes, Buffer.alloc(blockSize - (bytes.length % blockSize))])

/** Headers of an entry: a pax one first when a name or the size does not fit. */
const headers = (entry: TarSource, size: number): Uint8Array => {
  const linkName = entry.linkName ?? ""
  const records: [string, string][] = []
  if (Buffer.byteLength(entry.name) > 100) records.push(["path", entry.name])
  if (Buffer.byteLength(linkName) > 100) records.push(["linkpath", linkName])
  if (size > largestOctal) records.push(["size", String(size)])
  const base = { uid: 0, gid: 0, mtime: entry.mtime ?? 0 }
  const header = encodeHeader({
    ...base,
    name: entry.name,
    type: entry.type,
    size: size > largestOctal ? 0 : size,
    linkName,
    mode: entry.mode ?? (entry.type === "directory" ? 0o755 : entry.type === "symlink" ? 0o777 : 0o644),
  })
  if (records.length === 0) return header
  const pax = Buffer.from(records.map(([key, value]) => paxRecord(key, value)).join(""))
  const paxHeader = encodeHeader({
    ...base,
    name: "pax",
    type: "pax",
    size: pax.length,
    linkName: "",
    mode: 0o644,
  })
  return Buffer.concat([paxHeader, padded(pax), header])
}

/** The archive of the entries, with its end marker. Throws internal when a body is not as long as announced. */
export async function* writeTar(
  entries: Iterable<TarSource> | AsyncIterable<TarSource>,
): AsyncGenerator<Uint8Array> {
  for await (const entry of entries) {
    if (entry.body === undefined || entry.body instanceof Uint8Array) {
      const body = entry.body ?? new Uint8Array(0)
      yield headers(entry, body.length)
      if (body.length > 0) yield padded(body)
      continue
    }
    const size = entry.size
    if (size === undefined)
      throw failure("internal", `the size of "${entry.name}" is not known before it is written`)
    yield headers(entry, size)
    let written = 0
    for await (const chunk of entry.body) {
      written += chunk.length
      if (written > size) break
      yield chunk
    }
    if (written !== size)
      throw failure(
        "internal",
        `"${entry.name}" is not the ${size} bytes long that it was when it was opened`,
      )
    const gap = (blockSize - (size % blockSize)) % blockSize
    if (gap > 0) yield new Uint8Array(gap)
  }
  yield new Uint8Array(2 * blockSize)
}
