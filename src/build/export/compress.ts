// Compresses layers as streams: the same bytes with the same settings give the same bytes.
import type { Transform } from "node:stream"
import { pipeline } from "node:stream/promises"
import { constants, createGzip, createZstdCompress } from "node:zlib"
import { byteReader } from "../../base/byte-reader.ts"
import { detectCompression } from "../../base/decompress.ts"
import { gzipped, type LayerBytes } from "../../images/images.ts"
import type { Compression } from "./attributes.ts"

async function* through(source: AsyncIterable<Uint8Array>, make: Transform): AsyncGenerator<Uint8Array> {
  const feed = pipeline(source, make)
  feed.catch(() => {})
  try {
    for await (const chunk of make) yield chunk as Uint8Array
    await feed
  } finally {
    make.destroy()
    await feed.catch(() => {})
  }
}

const chunkSize = 1 << 20

export const compressed = (
  source: AsyncIterable<Uint8Array>,
  { kind, level }: Pick<Compression, "kind" | "level">,
): AsyncIterable<Uint8Array> => {
  if (kind === "uncompressed") return source
  if (kind === "zstd") {
    const params = { [constants.ZSTD_c_compressionLevel]: level ?? 3 }
    return through(source, createZstdCompress({ params, chunkSize }))
  }
  // Without a level as pushes do it, so that both make the same blob.
  return level === undefined ? gzipped(source) : through(source, createGzip({ level, chunkSize }))
}

/** How the bytes are compressed, by their first ones. Others than gzip and zstd count as none. */
export const compressionOf = async (bytes: LayerBytes): Promise<"uncompressed" | "gzip" | "zstd"> => {
  const reader = byteReader(bytes.open(0))
  const kind = detectCompression(await reader.take(6))
  await reader.close()
  return kind === "gzip" || kind === "zstd" ? kind : "uncompressed"
}
