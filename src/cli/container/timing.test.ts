import { expect, test } from "bun:test"
import { timingLines } from "./timing.ts"

test("each step counts from the one before; steps that were not reached are left out", () => {
  const lines = timingLines(
    new Map([
      ["client", 5],
      ["create", 8],
      ["start", 28],
      ["exit", 30],
    ]),
  )
  expect(lines.map((line) => line.slice(0, 25).trimEnd())).toEqual([
    "client             5.0 ms",
    "create             3.0 ms",
    "start             20.0 ms",
    "exit               2.0 ms",
    "total             30.0 ms",
  ])
  expect(lines[2]).toContain("####################")
})

test("a step that ended before its predecessor took no time", () => {
  const lines = timingLines(
    new Map([
      ["start", 30],
      ["first output", 29],
      ["exit", 31],
    ]),
  )
  expect(lines[1]).toContain("  0.0 ms")
  expect(lines[2]).toContain("  1.0 ms")
})
