// Durations as Go and people write them.
import { expect, test } from "bun:test"
import fc from "fast-check"
import { humanDuration, parseDuration } from "./duration.ts"

test("parses what Go parses and refuses the rest", () => {
  expect(parseDuration("1h30m")).toBe(5_400_000)
  expect(parseDuration("1.5s")).toBe(1500)
  expect(parseDuration("-2m")).toBe(-120_000)
  expect(parseDuration("0")).toBe(0)
  expect(parseDuration(".5ms")).toBe(0.5)
  for (const bad of ["", "1", "s", "1 s", "1x", "1h-3m", "--1s"]) expect(() => parseDuration(bad)).toThrow()
})

test("any number of milliseconds", () => {
  fc.assert(
    fc.property(fc.integer({ min: -1e10, max: 1e10 }), (ms) => {
      expect(parseDuration(`${ms}ms`)).toBe(ms)
    }),
  )
})

test("ages in words", () => {
  expect(humanDuration(500)).toBe("Less than a second")
  expect(humanDuration(61_000)).toBe("About a minute")
  expect(humanDuration(3 * 3_600_000)).toBe("3 hours")
  expect(humanDuration(72 * 3_600_000)).toBe("3 days")
})
