// Times in Docker's forms.
import { expect, test } from "bun:test"
import fc from "fast-check"
import { parseTimestamp, rfc3339, rfc3339Nano, ZERO_TIME } from "./times.ts"

test("Docker's forms of a time", () => {
  const now = 1_000_000_000_000_000_000n
  expect(parseTimestamp("1700000000", now)).toBe(1_700_000_000_000_000_000n)
  expect(parseTimestamp("1700000000.5", now)).toBe(1_700_000_000_500_000_000n)
  expect(parseTimestamp("1700000000.000000001", now)).toBe(1_700_000_000_000_000_001n)
  expect(parseTimestamp("1h30m", now)).toBe(now - 5_400_000_000_000n)
  expect(parseTimestamp("2023-11-14T22:13:20Z", now)).toBe(1_700_000_000_000_000_000n)
  expect(parseTimestamp("2023-11-14T23:13:20.25+01:00", now)).toBe(1_700_000_000_250_000_000n)
  expect(parseTimestamp("2023-11-14", now)).toBe(1_699_920_000_000_000_000n)
  for (const bad of ["", "soon", "1.2.3", "2023-99-99", "5 minutes", "1700000000.0000000001", "h", "-"]) {
    expect([bad, parseTimestamp(bad, now)]).toEqual([bad, undefined])
  }
})

test("zero is Go's zero time, fractions lose their trailing zeros", () => {
  expect(rfc3339(0)).toBe(ZERO_TIME)
  expect(rfc3339(1_700_000_000_000)).toBe("2023-11-14T22:13:20Z")
  expect(rfc3339(1_700_000_000_120.5)).toBe("2023-11-14T22:13:20.1205Z")
  expect(rfc3339Nano(1_700_000_000_000_000_001n)).toBe("2023-11-14T22:13:20.000000001Z")
})

test("what is printed is read back", () => {
  fc.assert(
    fc.property(fc.bigInt({ min: 1n, max: 4_000_000_000_000_000_000n }), (time) => {
      expect(parseTimestamp(rfc3339Nano(time))).toBe(time)
    }),
  )
})
