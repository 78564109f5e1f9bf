// Sizes in every spelling, and what is none.
import { expect, test } from "bun:test"
import { parseByteSize } from "./byte-size.ts"

test("sizes", () => {
  const cases: [string, number][] = [
    ["0", 0],
    ["12b", 12],
    ["1k", 1024],
    ["20GB", 20 * 2 ** 30],
    ["1.5 TiB", 1.5 * 2 ** 40],
  ]
  for (const [text, bytes] of cases) expect(parseByteSize(text, "x")).toBe(bytes)
  for (const text of ["", "GB", "-1g", "1x", "1 2", "9999999pb"])
    expect(() => parseByteSize(text, "--disk-budget")).toThrow(`invalid size "${text}" for --disk-budget`)
})
