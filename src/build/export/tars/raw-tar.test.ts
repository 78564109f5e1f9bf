// Raw entries: everything passes on byte for byte, changes reach names and times of any length, damage ends in a sentence.
import { expect, test } from "bun:test"
import fc from "fast-check"
import { gather } from "../../../../test/fixtures/busybox-image.ts"
import { Failure } from "../../../base/errors.ts"
import { readTar } from "../../../base/tar-reader.ts"
import { type TarSource, writeTar } from "../../../base/tar-writer.ts"
import { changedBlocks, entryBytes, readRawTar, tarEnd } from "./raw-tar.ts"
import { clampTimes } from "./rewrite.ts"

async function* chunks(bytes: Uint8Array, size = bytes.length): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += Math.max(size, 1))
    yield bytes.subarray(at, at + Math.max(size, 1))
}

const entry = fc.record({
  name: fc
    .array(fc.constantFrom("a", "bc", "long".repeat(20), "ümlaut"), { minLength: 1, maxLength: 5 })
    .map((parts) => parts.join("/")),
  mtime: fc.nat(2 ** 31),
  body: fc.uint8Array({ maxLength: 2000 }),
})

const archive = (entries: readonly { name: string; mtime: number; body: Uint8Array }[]) =>
  gather(writeTar(entries.map((one): TarSource => ({ ...one, type: "file" }))))

test("what is not changed is the same bytes, however they come", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(entry, { minLength: 1, maxLength: 5 }),
      fc.integer({ min: 1, max: 3000 }),
      async (entries, size) => {
        const bytes = await archive(entries)
        expect((await gather(clampTimes(chunks(bytes, size), 2 ** 32))).equals(bytes)).toBe(true)
      },
    ),
    { numRuns: 50 },
  )
})

test("changed names and times are read back by others", async () => {
  await fc.assert(
    fc.asyncProperty(entry, fc.nat(2 ** 34), async (one, time) => {
      const { name } = one
      async function* changed() {
        for await (const raw of readRawTar(chunks(await archive([one])))) {
          const longer = `in/${"deep/".repeat(25)}${raw.name}`
          yield* entryBytes(changedBlocks(raw, { name: longer, time }), raw.size, raw.body)
        }
        yield tarEnd
      }
      const found = []
      for await (const read of readTar(changed()))
        found.push([
          read.name,
          read.mtime,
          Buffer.from(await gather(read.body)).equals(Buffer.from(one.body)),
        ])
      expect(found).toEqual([[`in/${"deep/".repeat(25)}${name}`, time <= 0o77777777777 ? time : 0, true]])
    }),
    { numRuns: 50 },
  )
})

test("damage is an answer, and never a wait", async () => {
  const sound = await archive([
    { name: `${"long/".repeat(40)}x`, mtime: 5, body: Buffer.from("body") },
    { name: "b", mtime: 6, body: Buffer.alloc(1500, 7) },
  ])
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.nat(sound.length - 1), fc.nat(255)), { minLength: 1, maxLength: 20 }),
      fc.nat(sound.length),
      async (changes, length) => {
        const bytes = Buffer.from(sound.subarray(0, length))
        for (const [at, value] of changes) if (at < bytes.length) bytes[at] = value
        try {
          await gather(clampTimes(chunks(bytes, 700), 1))
        } catch (error) {
          if (!(error instanceof Failure)) throw error
        }
      },
    ),
    { numRuns: 500 },
  )
})

test("extended headers without end are refused", async () => {
  const header = Buffer.alloc(512)
  header.write("x", 0)
  header.write("0000644\x000000000\x000000000\x0000000000000\x0000000000000\0", 100, "latin1")
  header.write("x", 156)
  async function* endless() {
    for (;;) yield header
  }
  await expect(gather(clampTimes(endless(), 1))).rejects.toThrow("extended headers are too large")
})
