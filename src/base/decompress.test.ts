// Decompression: recognised by content, damaged and truncated input refused, bombs stopped.
import { expect, test } from "bun:test"
import { gzipSync, zstdCompressSync } from "node:zlib"
import fc from "fast-check"
import { decompress, defaultBounds, detectCompression } from "./decompress.ts"

async function* split(bytes: Uint8Array, size = 1000): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
}
const all = async (source: AsyncIterable<Uint8Array>, bounds = defaultBounds) => {
  const parts: Uint8Array[] = []
  for await (const chunk of decompress(source, "the archive", bounds)) parts.push(chunk)
  return Buffer.concat(parts)
}
const text = Buffer.from("some text, many times ".repeat(5000))

const skippable = Buffer.from([0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3])
const forms: readonly (readonly [string, Uint8Array])[] = [
  ["plain", text],
  ["gzip", gzipSync(text)],
  ["gzip in members", Buffer.concat([gzipSync(text.subarray(0, 5000)), gzipSync(text.subarray(5000))])],
  ["zstd", zstdCompressSync(text)],
  [
    "zstd in frames",
    Buffer.concat([zstdCompressSync(text.subarray(0, 5000)), zstdCompressSync(text.subarray(5000))]),
  ],
  ["zstd after a skippable frame", Buffer.concat([skippable, zstdCompressSync(text)])],
]
for (const [name, bytes] of forms)
  for (const size of [1, 7, 100_000])
    test(`${name} in chunks of ${size}`, async () => {
      expect((await all(split(bytes, size))).equals(text)).toBe(true)
    })

test("a stream of nothing is nothing", async () => {
  expect(await all(split(new Uint8Array(0)))).toHaveLength(0)
})

test("every truncation of gzip and zstd is noticed", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(gzipSync(text), zstdCompressSync(text)),
      fc.nat(),
      async (bytes, cut) => {
        const length = 6 + (cut % (bytes.length - 6))
        const failed = all(split(bytes.subarray(0, length), 50))
        await expect(failed).rejects.toMatchObject({ kind: "invalid" })
      },
    ),
    { numRuns: 60 },
  )
})

test("damage is invalid, in the name of the stream", async () => {
  const bytes = Buffer.from(gzipSync(text))
  bytes.fill(0xff, 30, 60)
  const failed = all(split(bytes))
  await expect(failed).rejects.toThrow("the archive is damaged gzip data")
})

test.each(["bzip2", "xz"])("%s is decompressed, and damage is told", async (tool) => {
  const text = Buffer.from("text ".repeat(1000))
  const packed = Bun.spawnSync([tool, "-c"], { stdin: text })
  if (packed.exitCode === 0) expect(Buffer.from(await all(split(packed.stdout))).equals(text)).toBe(true)
  const begin = tool === "xz" ? Buffer.from("fd377a585a0000", "hex") : Buffer.from("BZh91AY&SY")
  await expect(all(split(begin))).rejects.toThrow(`damaged ${tool} data`)
  expect(detectCompression(begin)).toBe(tool === "xz" ? "xz" : "bzip2")
  expect(detectCompression(Buffer.from("plain"))).toBe("none")
})

test("bombs are stopped by ratio and by size", async () => {
  const bomb = gzipSync(Buffer.alloc(8 << 20))
  const failed = all(split(bomb), { maximumBytes: 2 ** 40, maximumRatio: 100, ratioFreeBytes: 1 << 20 })
  await expect(failed).rejects.toThrow("decompression bomb")
  await expect(all(split(bomb), { ...defaultBounds, maximumBytes: 1 << 20 })).rejects.toThrow(
    "more than 1048576 bytes",
  )
})

test("an error of the source comes through, and a reader that stops closes the source", async () => {
  async function* broken() {
    yield gzipSync(text).subarray(0, 100)
    throw new Error("the source broke")
  }
  await expect(all(broken())).rejects.toThrow("the source broke")
  let closed = false
  async function* endless() {
    try {
      for (;;) yield Buffer.alloc(1000)
    } finally {
      closed = true
    }
  }
  for await (const _ of decompress(endless(), "it")) break
  expect(closed).toBe(true)
})
