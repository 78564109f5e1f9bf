// Metadata values: plain ones as they are, others escaped and said to be.
import { expect, test } from "bun:test"
import { headerValues } from "./header-values.ts"

test("plain values stay", () => {
  expect(headerValues("k", [])).toEqual({})
  expect(headerValues("k", ["a", "*/b c.txt", "!x"])).toEqual({ k: ["a", "*/b c.txt", "!x"] })
})

test("what a header cannot hold is escaped as Go does", () => {
  expect(headerValues("k", ["ä b", "x"])).toEqual({ k: ["%C3%A4+b", "x"], "k-encoded": ["1"] })
  for (const odd of ["", " a", "a ", "a\nb", "a, b", "a\0", "ü(*)!"]) {
    const { k = [], ...rest } = headerValues("k", [odd])
    expect(rest).toEqual({ "k-encoded": ["1"] })
    expect(decodeURIComponent((k[0] ?? "").replaceAll("+", " "))).toBe(odd)
  }
})
