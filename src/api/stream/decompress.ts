// Archives as clients send them: plain, gzip or zstd, told apart by their first bytes.
import { Readable } from "node:stream"
import { createGunzip, createZstdDecompress } from "node:zlib"
import { failure } from "../../base/errors.ts"

const CHUNK = 1024 * 1024

/** The plain bytes. Throws invalid for compressions that are not taken and for damaged data. */
export async function* decompressed(bytes: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
  const iterator = bytes[Symbol.asyncIterator]()
  const { head, ended } = await firstBytes(iterator)
  const whole = rejoined(head, ended ? undefined : iterator)
  const decoder = decoderFor(head)
  if (decoder === undefined) {
    yield* whole
    return
  }
  const source = Readable.from(whole, { objectMode: false, highWaterMark: CHUNK })
  source.once("error", (error) => decoder.destroy(error))
  try {
    for await (const chunk of source.pipe(decoder)) yield chunk as Buffer
  } catch (cause) {
    throw failure("invalid", "the archive's compressed data is damaged", { cause })
  } finally {
    source.destroy()
    decoder.destroy()
  }
}

function decoderFor(head: Buffer) {
  if (head[0] === 0x1f && head[1] === 0x8b) return createGunzip({ chunkSize: CHUNK })
  if (head.length >= 4 && head.readUInt32LE(0) === 0xfd2fb528)
    return createZstdDecompress({ chunkSize: CHUNK })
  const refused =
    head.subarray(0, 3).toString("latin1") === "BZh"
      ? "bzip2"
      : head.subarray(0, 6).toString("latin1") === "\xfd7zXZ\0"
        ? "xz"
        : undefined
  if (refused === undefined) return undefined
  throw failure("invalid", `the archive is compressed with ${refused}: send it plain, or with gzip or zstd`)
}

async function firstBytes(iterator: AsyncIterator<Uint8Array>): Promise<{ head: Buffer; ended: boolean }> {
  let head = Buffer.alloc(0)
  while (head.length < 6) {
    const next = await iterator.next()
    if (next.done === true) return { head, ended: true }
    head = head.length === 0 ? Buffer.from(next.value) : Buffer.concat([head, next.value])
  }
  return { head, ended: false }
}

async function* rejoined(
  head: Buffer,
  rest: AsyncIterator<Uint8Array> | undefined,
): AsyncIterable<Uint8Array> {
  if (head.length > 0) yield head
  if (rest !== undefined) yield* { [Symbol.asyncIterator]: () => rest }
}
