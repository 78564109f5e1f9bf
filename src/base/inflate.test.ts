// The native handles are spoken to as node:zlib's own streams do: the same bytes, the same refusals, in few buffers.
import { expect, test } from "bun:test"
import { randomBytes } from "node:crypto"
import { gzipSync, zstdCompressSync } from "node:zlib"
import { InflateError, inflateInto, type Packing } from "./inflate.ts"

const text = Buffer.concat(
  Array.from({ length: 40 }, (_, at) => Buffer.concat([randomBytes(30_000), Buffer.alloc(90_000, at)])),
)
const packed: Readonly<Record<Packing, Buffer>> = { gzip: gzipSync(text), zstd: zstdCompressSync(text) }

async function* pieces(bytes: Buffer, size: number) {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
}

for (const kind of ["gzip", "zstd"] as const) {
  test(`${kind}: every byte, whatever the pieces; a chunk outlives the next one`, async () => {
    for (const size of [1000, 65_536, packed[kind].length]) {
      const parts: Buffer[] = []
      const buffers = new Set<ArrayBufferLike>()
      let last: Uint8Array = new Uint8Array(0)
      for await (const chunk of inflateInto(pieces(packed[kind], size), kind)) {
        buffers.add(chunk.buffer)
        parts.push(Buffer.from(last))
        last = chunk
      }
      parts.push(Buffer.from(last))
      expect(Buffer.concat(parts).equals(text)).toBe(true)
      expect(buffers.size).toBeLessThanOrEqual(3)
    }
  })

  test(`${kind}: damage is refused, and a reader may stop at any time`, async () => {
    const damaged = Buffer.from(packed[kind])
    // In the middle zstd has bytes that it stores as they are.
    damaged.fill(0xa5, kind === "gzip" ? 20_000 : 4, 30_000)
    const read = async () => {
      for await (const _ of inflateInto(pieces(damaged, 4096), kind));
    }
    await expect(read()).rejects.toBeInstanceOf(InflateError)
    for await (const chunk of inflateInto(pieces(packed[kind], 4096), kind)) {
      expect(chunk.length).toBeGreaterThan(0)
      break
    }
  })
}

test("gzip that ends too early is refused; several members are one stream", async () => {
  const sum = async (bytes: Buffer) => {
    let size = 0
    for await (const chunk of inflateInto(pieces(bytes, 7000), "gzip")) size += chunk.length
    return size
  }
  await expect(sum(packed.gzip.subarray(0, -9))).rejects.toBeInstanceOf(InflateError)
  expect(await sum(Buffer.concat([packed.gzip, packed.gzip]))).toBe(2 * text.length)
})
