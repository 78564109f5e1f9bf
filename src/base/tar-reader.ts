// Reads a tar archive as one forward stream: entries in order, each with its body, in flat memory.
import { type ByteReader, byteReader } from "./byte-reader.ts"
import { failure } from "./errors.ts"
import { blockSize, decodeHeader, type TarHeader, tarText } from "./tar-header.ts"

export interface TarEntry extends TarHeader {
  /** The body's bytes. What is not read when the next entry is asked for is skipped. Chunks are not to be changed. */
  readonly body: AsyncIterable<Uint8Array>
}

/** Longest extended header (pax records, GNU long names) that is accepted, in bytes. */
const extendedLimit = 1 << 20

const padding = (size: number): number => (blockSize - (size % blockSize)) % blockSize

/** Key=value records "LENGTH KEY=VALUE\n". Throws Failure "invalid". */
export const parsePax = (bytes: Uint8Array): Map<string, string> => {
  const records = new Map<string, string>()
  const malformed = () => failure("invalid", "the tar archive is damaged: malformed pax record")
  for (let at = 0; at < bytes.length; ) {
    // Some writers pad with NUL.
    if (bytes[at] === 0 && bytes.subarray(at).every((byte) => byte === 0)) break
    const space = bytes.indexOf(0x20, at)
    const digits = space < 0 ? "" : Buffer.from(bytes.subarray(at, space)).toString("latin1")
    if (!/^[0-9]{1,9}$/.test(digits)) throw malformed()
    const end = at + Number(digits)
    const equals = bytes.indexOf(0x3d, space)
    if (end > bytes.length || bytes[end - 1] !== 0x0a || equals < 0 || equals >= end) throw malformed()
    const key = Buffer.from(bytes.subarray(space + 1, equals)).toString("latin1")
    const value = bytes.subarray(equals + 1, end - 1)
    // Values of other keys (extended attributes) may be binary and are none of our business.
    if (key === "path" || key === "linkpath" || key === "size" || key.startsWith("GNU.sparse"))
      records.set(key, tarText(value))
    at = end
  }
  return records
}

const truncated = () => failure("invalid", "the tar archive is truncated")

const readWhole = async (reader: ByteReader, header: TarHeader): Promise<Uint8Array> => {
  if (header.size > extendedLimit)
    throw failure("invalid", `the tar archive holds an extended header of ${header.size} bytes`)
  const bytes = await reader.take(header.size + padding(header.size))
  if (bytes.length < header.size + padding(header.size)) throw truncated()
  return bytes.subarray(0, header.size)
}

const paxSize = (text: string | undefined, otherwise: number): number => {
  if (text === undefined) return otherwise
  const size = Number(text)
  if (!/^[0-9]+$/.test(text) || !Number.isSafeInteger(size))
    throw failure("invalid", "the tar archive is damaged: malformed pax size")
  return size
}

/**
 * Yields the entries of a tar archive (ustar, pax, GNU). Throws Failure "invalid" when it is damaged, truncated, or holds
 * a sparse file. Reads the source to its end after the archive's end, so that a sender is not cut off.
 */
export async function* readTar(source: AsyncIterable<Uint8Array>): AsyncGenerator<TarEntry> {
  const reader = byteReader(source)
  let pax = new Map<string, string>()
  let longName: string | undefined
  let longLink: string | undefined
  let first = true
  try {
    for (;;) {
      const block = await reader.take(blockSize)
      if (block.length === 0 && !first) break // An archive without its end marker is what some writers leave.
      if (block.length < blockSize)
        throw first ? failure("invalid", "this is not a tar archive") : truncated()
      first = false
      const header = decodeHeader(block)
      if (header === undefined) break
      if (header.type === "pax-global") await readWhole(reader, header)
      else if (header.type === "pax") pax = parsePax(await readWhole(reader, header))
      else if (header.type === "gnu-name") longName = tarText(await readWhole(reader, header))
      else if (header.type === "gnu-link") longLink = tarText(await readWhole(reader, header))
      else {
        if (header.type === "other" || [...pax.keys()].some((key) => key.startsWith("GNU.sparse")))
          throw failure(
            "invalid",
            `the tar archive holds "${header.name}", of a type that has no place in an image's archive`,
          )
        const size = header.type === "file" ? paxSize(pax.get("size"), header.size) : header.size
        let left = size
        const body = async function* () {
          while (left > 0) {
            const chunk = await reader.some(Math.min(left, 1 << 20))
            if (chunk === undefined) throw truncated()
            left -= chunk.length
            yield chunk
          }
        }
        yield {
          ...header,
          size,
          name: pax.get("path") ?? longName ?? header.name,
          linkName: pax.get("linkpath") ?? longLink ?? header.linkName,
          body: body(),
        }
        for await (const _ of body());
        const gap = padding(size)
        if (gap > 0 && (await reader.take(gap)).length < gap) throw truncated()
        pax = new Map()
        longName = undefined
        longLink = undefined
      }
    }
    while ((await reader.some(1 << 20)) !== undefined);
  } finally {
    await reader.close()
  }
}
