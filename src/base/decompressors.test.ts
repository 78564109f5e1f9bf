// bzip2 and xz as their own tools make them.
import { describe, expect, test } from "bun:test"
import { spawnSync } from "node:child_process"
import { randomBytes } from "node:crypto"
import fc from "fast-check"
import { unbzip2 } from "./bzip2.ts"
import { InflateError } from "./inflate.ts"
import { unxz } from "./xz.ts"

async function* inPieces(bytes: Uint8Array, size: number) {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
}

describe.each([
  { tool: "bzip2", level: "-9", decompress: unbzip2 },
  { tool: "xz", level: "-6", decompress: unxz },
])("$tool", ({ tool, level, decompress }) => {
  const isMissing = Bun.which(tool) === null
  const packed = (bytes: Uint8Array, strength: string = level): Buffer =>
    spawnSync(tool, ["-c", strength], { input: bytes, maxBuffer: 1 << 28 }).stdout

  const unpacked = async (bytes: Uint8Array, size = 65_536): Promise<Buffer> => {
    const parts: Uint8Array[] = []
    for await (const part of decompress(inPieces(bytes, size))) parts.push(part)
    return Buffer.concat(parts)
  }

  test.skipIf(isMissing)(
    "what the tool packs comes out again",
    async () => {
      const text = Buffer.from("some words that come again and again, ".repeat(30_000))
      const samples = [
        Buffer.alloc(0),
        Buffer.from("a"),
        Buffer.alloc(1_500_000, 7),
        randomBytes(400_000),
        text,
      ]
      for (const bytes of samples) {
        expect((await unpacked(packed(bytes))).equals(bytes)).toBe(true)
        expect((await unpacked(packed(bytes, "-1"), 777)).equals(bytes)).toBe(true)
      }
      expect((await unpacked(Buffer.concat([packed(text), packed(text)]))).length).toBe(2 * text.length)
    },
    60_000,
  )

  test.skipIf(isMissing)(
    "any bytes, and any damage",
    async () => {
      await fc.assert(
        fc.asyncProperty(
          fc.uint8Array({ maxLength: 300 }),
          fc.nat(),
          fc.nat(255),
          async (bytes, place, value) => {
            const whole = packed(bytes)
            expect((await unpacked(whole)).equals(Buffer.from(bytes))).toBe(true)
            const broken = Buffer.from(whole)
            broken[place % broken.length] = value
            await unpacked(broken).catch((error: unknown) => expect(error).toBeInstanceOf(InflateError))
            await unpacked(whole.subarray(0, place % whole.length)).catch((error: unknown) =>
              expect(error).toBeInstanceOf(InflateError),
            )
          },
        ),
        { numRuns: 60 },
      )
    },
    60_000,
  )
})
