// The decoder takes any stream of frames apart, however it is cut, and refuses what breaks the protocol.
import { expect, test } from "bun:test"
import fc from "fast-check"
import { decodeFields, type Frame, FrameReader } from "./frames.ts"
import { encodePlan, frameHeader, frameKind, writeHeader } from "./plan.ts"

const frameOf = (kind: number, payload: Buffer): Buffer => {
  const header = Buffer.alloc(frameHeader)
  writeHeader(header, kind, payload.length)
  return Buffer.concat([header, payload])
}

const field = fc.string({ unit: "grapheme" }).filter((text) => !text.includes("\0"))
const sent = fc.oneof(
  fc.array(field, { minLength: 1, maxLength: 6 }).map((fields) => ({ kind: frameKind.report, fields })),
  fc.uint8Array({ maxLength: 300 }).map((bytes) => ({ kind: frameKind.data, bytes })),
)

const readAll = (reader: FrameReader): Frame[] => {
  const frames: Frame[] = []
  for (let frame = reader.read(); frame !== undefined; frame = reader.read()) frames.push(frame)
  return frames
}

/** Frames with neighbouring pieces of data joined, as they can be compared whatever the cuts were. */
const joined = (frames: readonly Frame[]): unknown[] => {
  const list: unknown[] = []
  let data: Buffer[] = []
  const flush = () => {
    if (data.length > 0) list.push(Buffer.concat(data).toString("hex"))
    data = []
  }
  for (const frame of frames) {
    if (frame.type === "data") data.push(frame.bytes)
    else {
      flush()
      list.push(frame.type === "end" ? "end" : frame.fields)
    }
  }
  flush()
  return list
}

test("frames come out the same however the stream is cut", () => {
  fc.assert(
    fc.property(fc.array(sent, { maxLength: 8 }), fc.array(fc.nat(40), { maxLength: 60 }), (frames, cuts) => {
      const stream = Buffer.concat(
        frames.map((frame) =>
          "fields" in frame
            ? frameOf(frame.kind, Buffer.from(frame.fields.map((text) => `${text}\0`).join("")))
            : frameOf(frame.kind, Buffer.from(frame.bytes)),
        ),
      )
      const whole = new FrameReader()
      whole.push(stream)
      const expected = joined(readAll(whole))
      const reader = new FrameReader()
      const got: Frame[] = []
      let at = 0
      for (const cut of cuts) {
        reader.push(stream.subarray(at, at + cut))
        at += cut
        got.push(...readAll(reader))
      }
      reader.push(stream.subarray(at))
      got.push(...readAll(reader))
      expect(joined(got)).toEqual(expected)
      expect(reader.pendingBytes).toBe(0)
      expect(expected.filter(Array.isArray)).toEqual(
        frames.flatMap((frame) => ("fields" in frame ? [frame.fields] : [])),
      )
    }),
  )
})

test("what follows a report can be taken as it is", () => {
  const reader = new FrameReader()
  reader.push(frameOf(frameKind.report, Buffer.from("ok\0")))
  reader.push(Buffer.from("raw "))
  reader.push(Buffer.from("bytes"))
  expect(reader.read()).toEqual({ type: "report", fields: ["ok"] })
  expect(reader.takeRest().toString()).toBe("raw bytes")
  expect(reader.read()).toBeUndefined()
})

test.each([
  ["another version", Buffer.from([2, 2, 0, 0, 0, 0, 0, 0])],
  ["an unknown kind", Buffer.from([1, 9, 0, 0, 0, 0, 0, 0])],
  ["a plan", Buffer.from([1, 1, 0, 0, 0, 0, 0, 0])],
  ["reserved bytes in use", Buffer.from([1, 2, 1, 0, 0, 0, 0, 0])],
  ["too long a payload", Buffer.from([1, 3, 0, 0, 1, 0, 0x10, 0])],
])("a header with %s is refused", (_, header) => {
  const reader = new FrameReader()
  reader.push(header)
  expect(() => reader.read()).toThrow("breaks its protocol")
})

test("a plan is names, counts and arguments, each ended by NUL", () => {
  const frame = encodePlan([["launch", "id"], ["env", "Ä=ü"], ["init"]])
  expect(frame.subarray(0, 4)).toEqual(Buffer.from([1, 1, 0, 0]))
  expect(frame.readUInt32LE(4)).toBe(frame.length - frameHeader)
  expect(decodeFields(frame.subarray(frameHeader))).toEqual([
    "launch",
    "1",
    "id",
    "env",
    "1",
    "Ä=ü",
    "init",
    "0",
  ])
})

test("a plan beyond the protocol's bounds is refused", () => {
  expect(() => encodePlan([["env", "A=\0"]])).toThrow('An argument of "env" contains a NUL byte')
  expect(() => encodePlan([["env", "x".repeat(5 << 20)]])).toThrow("more than the launcher takes")
  expect(() => encodePlan(Array.from({ length: 65_537 }, () => ["init"] as const))).toThrow(
    "65537 operations",
  )
})
