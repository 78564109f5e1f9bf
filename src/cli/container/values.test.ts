import { expect, test } from "bun:test"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import fc from "fast-check"
import { readBytes, readDuration, readPairs, readVariables, splitCsv, splitWords } from "./values.ts"

test("sizes", () => {
  expect(["1", "1b", "1k", "1kb", "1KiB", "1.5g", "-1"].map(readBytes)).toEqual([
    1,
    1,
    1024,
    1024,
    1024,
    1.5 * 1024 ** 3,
    -1,
  ])
  expect(() => readBytes("x")).toThrow("invalid size: 'x'")
  expect(() => readBytes("1x")).toThrow("invalid suffix: 'x'")
})

test("durations", () => {
  expect(["0", "1s", "1m30s", "1.5h", "500ms", "-1s"].map(readDuration)).toEqual([
    0, 1e9, 90e9, 5400e9, 5e8, -1e9,
  ])
  for (const wrong of ["", "1", "s", "1 s", "1x"])
    expect(() => readDuration(wrong)).toThrow("invalid duration")
})

test("variables: given, inherited, absent, from files, and wrong", () => {
  const directory = mkdtempSync("/tmp/slq-values-")
  try {
    const file = join(directory, "env")
    writeFileSync(file, "# comment\n\nA=1\nHOME\r\nGONE\n")
    expect(readVariables(["B=x=y", "C="], [file], { HOME: "/h" })).toEqual(["A=1", "HOME=/h", "B=x=y", "C="])
    expect(() => readVariables([], [join(directory, "nope")], {})).toThrow("no such file or directory")
    expect(() => readVariables(["A B=1"], [], {})).toThrow("invalid environment variable")
  } finally {
    rmSync(directory, { recursive: true })
  }
})

test("pairs keep everything after the first =", () => {
  expect(readPairs(["a=b=c", "d"])).toEqual({ a: "b=c", d: "" })
})

test("words and fields", () => {
  expect(splitWords(`a "b c" 'd e' f\\ g`)).toEqual(["a", "b c", "d e", "f g"])
  expect(splitCsv('a=1,"b=2,3","c=""q"""')).toEqual(["a=1", "b=2,3", 'c="q"'])
})

test("any fields survive being quoted", () => {
  fc.assert(
    fc.property(fc.array(fc.string({ minLength: 1 }), { minLength: 1 }), (fields) => {
      const clean = fields.map((field) => field.replace(/[\r\n]/g, ""))
      const line = clean.map((field) => `"${field.replaceAll('"', '""')}"`).join(",")
      expect(splitCsv(line)).toEqual(clean)
    }),
  )
})
