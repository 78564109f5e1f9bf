// The time in both shapes.
import { expect, test } from "bun:test"
import { toNanoseconds, unixMilliseconds, unixNanoseconds } from "./clock.ts"

test("both shapes tell the system's time", () => {
  expect(Math.abs(unixMilliseconds() - Date.now())).toBeLessThan(5)
  expect(Math.abs(Number(unixNanoseconds() / 1_000_000n) - Date.now())).toBeLessThan(5)
  expect(toNanoseconds(1.5)).toBe(1_500_000n)
})
