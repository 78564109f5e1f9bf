// Mode words: Go's and POSIX's are each other's image.
import { expect, test } from "bun:test"
import { goMode, posixMode } from "./file-mode.ts"

test("every type and bit goes there and back", () => {
  for (const type of [0o100000, 0o040000, 0o120000, 0o020000, 0o060000, 0o010000, 0o140000])
    for (const bits of [0, 0o644, 0o777, 0o4755, 0o2755, 0o1777, 0o7777])
      expect(posixMode(goMode(type | bits))).toBe(type | bits)
})

test("the words are Go's", () => {
  expect(goMode(0o040755)).toBe(0x800001ed)
  expect(goMode(0o120777)).toBe(0x080001ff)
  expect(goMode(0o104755)).toBe(0x008001ed)
  expect(goMode(0o020620)).toBe(0x04200190)
  expect(posixMode(0o644)).toBe(0o100644)
})
