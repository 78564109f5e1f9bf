// Recognises compressed streams by their first bytes and decompresses them in large chunks, within bounds.

import { type ByteReader, byteReader } from "./byte-reader.ts"
import { failure } from "./errors.ts"
import { InflateError, inflateInto, type Packing } from "./inflate.ts"
import { zstdFrames } from "./zstd-frames.ts"

export type Compression = "none" | "gzip" | "zstd" | "bzip2" | "xz"

/** Bounds of a decompressed stream, against archives made to fill the disk. */
export interface DecompressionBounds {
  /** Most bytes that may come out. */
  readonly maximumBytes: number
  /** Most bytes out per byte in, looked at once `ratioFreeBytes` have come out. */
  readonly maximumRatio: number
  readonly ratioFreeBytes: number
}

export const defaultBounds: DecompressionBounds = {
  maximumBytes: 2 ** 38,
  maximumRatio: 250,
  ratioFreeBytes: 2 ** 30,
}

const magics: readonly (readonly [Compression, readonly number[]])[] = [
  ["gzip", [0x1f, 0x8b, 0x08]],
  ["zstd", [0x28, 0xb5, 0x2f, 0xfd]],
  ["bzip2", [0x42, 0x5a, 0x68]],
  ["xz", [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]],
]

/** What the first bytes (six are enough) say. */
export const detectCompression = (head: Uint8Array): Compression => {
  for (const [kind, magic] of magics) if (magic.every((byte, at) => head[at] === byte)) return kind
  // A zstd stream may begin with a skippable frame.
  if (((head[0] ?? 0) & 0xf0) === 0x50 && head[1] === 0x2a && head[2] === 0x4d && head[3] === 0x18)
    return "zstd"
  return "none"
}

async function* remaining(head: Uint8Array, reader: ByteReader, count: (bytes: number) => void) {
  try {
    if (head.length > 0) {
      count(head.length)
      yield head
    }
    for (let chunk = await reader.some(1 << 20); chunk; chunk = await reader.some(1 << 20)) {
      count(chunk.length)
      yield chunk
    }
  } finally {
    await reader.close()
  }
}

async function* inflated(
  source: AsyncIterable<Uint8Array>,
  kind: Exclude<Compression, "none">,
  what: string,
) {
  try {
    // Rare ones are loaded when one comes.
    if (kind === "bzip2") yield* (await import("./bzip2.ts")).unbzip2(source)
    else if (kind === "xz") yield* (await import("./xz.ts")).unxz(source)
    else yield* inflateInto(source, kind satisfies Packing)
  } catch (cause) {
    if (!(cause instanceof InflateError)) throw cause
    throw failure("invalid", `${what} is damaged ${kind} data: ${cause.message}`, { cause })
  }
}

/** Chunks of their own, for those who keep them. */
async function* copied(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  for await (const chunk of source) yield Buffer.from(chunk)
}

/**
 * The bytes of `source`, decompressed when they are gzip, zstd, bzip2 or xz. `what` names the stream in messages. Throws Failure
 * "invalid" for damaged or truncated data, and when the bounds are passed. `reuse`: a chunk stays as it
 * is only until the second one after it is asked for.
 */
export async function* decompress(
  source: AsyncIterable<Uint8Array>,
  what: string,
  bounds: DecompressionBounds = defaultBounds,
  { reuse = false }: { reuse?: boolean } = {},
): AsyncGenerator<Uint8Array> {
  const reader = byteReader(source)
  let input = 0
  let output = 0
  try {
    const head = await reader.take(6)
    const kind = detectCompression(head)
    const plain = remaining(head, reader, (bytes) => {
      input += bytes
    })
    const opened =
      kind === "none" ? plain : inflated(kind === "zstd" ? zstdFrames(plain, what) : plain, kind, what)
    const bytes = reuse || kind === "none" ? opened : copied(opened)
    for await (const chunk of bytes) {
      output += chunk.length
      if (output > bounds.maximumBytes)
        throw failure("invalid", `${what} unpacks to more than ${bounds.maximumBytes} bytes`)
      if (kind !== "none" && output > bounds.ratioFreeBytes && output / input > bounds.maximumRatio)
        throw failure(
          "invalid",
          `${what} unpacks to more than ${bounds.maximumRatio} times its size, as a decompression bomb does`,
        )
      yield chunk
    }
  } finally {
    await reader.close()
  }
}
