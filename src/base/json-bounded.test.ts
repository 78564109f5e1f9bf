// JSON from others: size, depth, encoding.
import { expect, test } from "bun:test"
import { parseJson, parseJsonObject } from "./json-bounded.ts"

const bytes = (text: string) => Buffer.from(text)

test("parses what is in bounds", () => {
  expect(parseJson(bytes('{"a":[1,"]{"]}'), "x")).toEqual({ a: [1, "]{"] })
})

test("refuses too much, too deep, not UTF-8, not JSON, not an object", () => {
  expect(() => parseJson(bytes("[1,2,3]"), "the list", 3)).toThrow("the list is 7 bytes long; at most 3")
  expect(() => parseJson(bytes("[".repeat(100_000)), "the list")).toThrow("nests deeper than 64")
  expect(() => parseJson(Buffer.from([0x22, 0xff, 0x22]), "the text")).toThrow("not UTF-8")
  expect(() => parseJson(bytes("{"), "the config")).toThrow("the config is not valid JSON")
  for (const text of ["[]", "null", "1", '"x"'])
    expect(() => parseJsonObject(bytes(text), "the config")).toThrow("the config is not a JSON object")
})
