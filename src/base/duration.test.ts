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

test("ages in words, rounded as docker's", () => {
  const hour = 3600
  for (const [seconds, words] of [
    [0.5, "Less than a second"],
    [1, "1 second"],
    [59, "59 seconds"],
    [60, "About a minute"],
    [46 * 60, "46 minutes"],
    [hour, "About an hour"],
    [47 * hour, "47 hours"],
    [48 * hour, "2 days"],
    [15 * 24 * hour, "2 weeks"],
    [70 * 24 * hour, "2 months"],
    [800 * 24 * hour, "2 years"],
  ] as const)
    expect(humanDuration(seconds * 1000)).toBe(words)
})
