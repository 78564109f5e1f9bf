import { expect, test } from "bun:test"
import { excerpt } from "./excerpt.ts"

const source = new TextEncoder().encode(
  Array.from({ length: 12 }, (_, index) => `line ${index + 1}`).join("\n"),
)
const lines = (first: number, last = first) => {
  const shown = excerpt("Dockerfile", source, { first, last }).split("\n")
  return shown.slice(2, -2).map((line) => line.replace("line ", ""))
}

test("one line has four of company, as far as there are lines", () => {
  expect(excerpt("a/Dockerfile", source, { first: 5, last: 5 })).toBe(
    [
      "a/Dockerfile:5",
      "--------------------",
      "   3 |     line 3",
      "   4 |     line 4",
      "   5 | >>> line 5",
      "   6 |     line 6",
      "   7 |     line 7",
      "--------------------",
      "",
    ].join("\n"),
  )
  expect(lines(1)).toEqual(["   1 | >>> 1", "   2 |     2", "   3 |     3"])
  expect(lines(12)).toEqual(["  10 |     10", "  11 |     11", "  12 | >>> 12"])
})

test("more lines have two of company", () => {
  expect(lines(4, 5)).toEqual(["   3 |     3", "   4 | >>> 4", "   5 | >>> 5", "   6 |     6"])
  expect(lines(11, 99)).toEqual(["  10 |     10", "  11 | >>> 11", "  12 | >>> 12"])
})

test("a place that is not there has none, and nothing steers the terminal", () => {
  expect(excerpt("x", source, { first: 0, last: 0 })).toBe("")
  expect(excerpt("x", source, { first: 13, last: 13 })).toBe("")
  const hostile = new TextEncoder().encode("RUN \u001b[2J\ta\r\n")
  expect(excerpt("x", hostile, { first: 1, last: 1 })).toContain(">>> RUN \ufffd[2J\ta\n")
})
