import { expect, test } from "bun:test"
import { binarySize, ellipsis, goTimeOf, humanSize, shortId } from "./units.ts"

test("sizes", () => {
  expect([0, 999, 1000, 1_983_000, 12_345_678_900].map((bytes) => humanSize(bytes))).toEqual([
    "0B",
    "999B",
    "1kB",
    "1.983MB",
    "12.35GB",
  ])
  expect(humanSize(1_983_000, 3)).toBe("1.98MB")
  expect(binarySize(188 * 1024)).toBe("188KiB")
})

test("ids, cuts and times", () => {
  expect(shortId("sha256:0123456789abcdef")).toBe("0123456789ab")
  expect(ellipsis("abcdef", 4)).toBe("abc…")
  expect(goTimeOf("2026-11-21T09:59:11.100Z")).toMatch(/^2026-11-2\d \d\d:\d\d:11\.1 [+-]\d{4} \S+$/)
})
