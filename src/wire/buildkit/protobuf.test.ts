// Protocol buffers: what is written is read again, the bytes are those of other implementations, and no bytes do harm.
import { expect, test } from "bun:test"
import fc from "fast-check"
import { HistoryEvent, SolveRequest, StatusResponse } from "./control.ts"
import { GatewaySolveResponse } from "./gateway.ts"
import { Op } from "./ops.ts"
import {
  big,
  byteLists,
  bytes,
  bytesMap,
  flag,
  integer,
  list,
  type Message,
  message,
  messageMap,
  nested,
  text,
  textMap,
  texts,
  WireError,
} from "./protobuf.ts"
import { Packet } from "./session.ts"

const Inner = message({ name: text(1), count: integer(2) })
const Every = message({
  text: text(1),
  bytes: bytes(2),
  integer: integer(3),
  big: big(4),
  flag: flag(5),
  texts: texts(6),
  lists: byteLists(7),
  inner: nested(8, Inner),
  inners: list(9, Inner),
  map: textMap(10),
  blobs: bytesMap(300),
  maps: messageMap(20_000, Inner),
})

const words = fc.string({ unit: "grapheme" })
const buffer = fc.uint8Array({ maxLength: 300 }).map((array) => Buffer.from(array))
const inner = fc.record({ name: words, count: fc.maxSafeInteger() })
const mapOf = <T>(value: fc.Arbitrary<T>) =>
  fc.array(fc.tuple(words, value), { maxLength: 5 }).map((entries) => new Map(entries))

test("what is written is read again", () => {
  fc.assert(
    fc.property(
      fc.record({
        text: words,
        bytes: buffer,
        integer: fc.maxSafeInteger(),
        big: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
        flag: fc.boolean(),
        texts: fc.array(words),
        lists: fc.array(buffer),
        inner: fc.option(inner, { nil: undefined }),
        inners: fc.array(inner),
        map: mapOf(words),
        blobs: mapOf(buffer),
        maps: mapOf(inner),
      }),
      (value) => {
        const read = Every.decode(Every.encode(value))
        expect(normal(read)).toEqual(normal(value))
      },
    ),
  )
})

/** Bytes as buffers, whatever they are views of. */
const normal = (value: unknown): unknown => {
  if (value instanceof Uint8Array) return Buffer.from(value).toString("hex")
  if (value instanceof Map) return [...value].map(([key, one]) => [key, normal(one)])
  if (Array.isArray(value)) return value.map(normal)
  if (typeof value === "object" && value !== null)
    return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, normal(one)]))
  return value
}

test("the bytes are protobuf's", () => {
  expect(Buffer.from(Inner.encode({ name: "testing", count: 150 })).toString("hex")).toBe(
    "0a0774657374696e67109601",
  )
  expect(Buffer.from(Inner.encode({ count: -1 })).toString("hex")).toBe("10ffffffffffffffffff01")
  expect(Buffer.from(Every.encode({ map: new Map([["a", "b"]]) })).toString("hex")).toBe(
    "52060a016112 0162".replace(" ", ""),
  )
  expect(Inner.decode(Buffer.from("10ffffffffffffffffff01", "hex")).count).toBe(-1)
  expect(Inner.encode({})).toHaveLength(0)
})

test("unknown fields are passed over, and fields of another wire type", () => {
  const odd = Buffer.from(
    "0a0161 1d00000000 21ffffffffffffffff 1003 0801 9a01027878".replaceAll(" ", ""),
    "hex",
  )
  expect(Inner.decode(odd)).toEqual({ name: "a", count: 3 })
})

test("what is no message is refused", () => {
  for (const hex of [
    "0a",
    "0aff",
    "0a05616263",
    "10",
    "10ffffffffffffffffffffff01",
    "0b",
    "00",
    "1d0000",
    "0a02c328",
  ])
    expect(() => Inner.decode(Buffer.from(hex, "hex"))).toThrow(WireError)
})

test("random bytes end in a value or a WireError, for every table", () => {
  const tables: readonly Message<unknown>[] = [
    Every,
    SolveRequest,
    StatusResponse,
    HistoryEvent,
    GatewaySolveResponse,
    Op,
    Packet,
  ] as never
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(tables.length - 1), (array, index) => {
      try {
        tables[index]?.decode(array)
      } catch (error) {
        expect(error).toBeInstanceOf(WireError)
      }
    }),
    { numRuns: 3000 },
  )
})

test("a cut anywhere in a message is found or leaves a shorter message", () => {
  const whole = Every.encode({
    text: "some text",
    inners: [{ name: "n", count: 5 }],
    map: new Map([["k", "v"]]),
  })
  for (let length = 0; length < whole.length; length++) {
    try {
      Every.decode(whole.subarray(0, length))
    } catch (error) {
      expect(error).toBeInstanceOf(WireError)
    }
  }
})
