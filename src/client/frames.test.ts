import { expect, test } from "bun:test"
import fc from "fast-check"
import { Demultiplexer } from "./frames.ts"

const frame = (stream: number, bytes: Uint8Array) => {
  const header = Buffer.alloc(8)
  header[0] = stream
  header.writeUInt32BE(bytes.length, 4)
  return Buffer.concat([header, bytes])
}

test("whatever the cuts, each stream's bytes come out whole and in order", () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.constantFrom(1, 2), fc.uint8Array({ maxLength: 40 }))),
      fc.array(fc.integer({ min: 1, max: 30 })),
      (frames, cuts) => {
        let wire = Buffer.concat(frames.map(([stream, bytes]) => frame(stream, bytes)))
        const split = new Demultiplexer()
        const got = { stdout: [] as Buffer[], stderr: [] as Buffer[] }
        while (wire.length > 0) {
          const cut = cuts.shift() ?? wire.length
          for (const { to, bytes } of split.split(wire.subarray(0, cut))) got[to].push(bytes)
          wire = wire.subarray(cut)
        }
        const sent = (wanted: number) =>
          Buffer.concat(frames.filter(([stream]) => stream === wanted).map(([, bytes]) => bytes))
        expect(Buffer.concat(got.stdout).equals(sent(1))).toBe(true)
        expect(Buffer.concat(got.stderr).equals(sent(2))).toBe(true)
      },
    ),
  )
})
