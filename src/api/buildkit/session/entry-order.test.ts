// The order of a client's list: what a client may send, and what it may not.
import { expect, test } from "bun:test"
import fc from "fast-check"
import { EntryOrder } from "./entry-order.ts"

const FILE = 0o100644
const DIRECTORY = 0o040755

const check = (...entries: readonly (readonly [path: string, mode: number])[]) => {
  const order = new EntryOrder()
  for (const [path, mode] of entries) order.check(path, mode)
}

test("directories come before what is in them, siblings by name, a slash before all other bytes", () => {
  check(
    ["a", DIRECTORY],
    ["a/b", DIRECTORY],
    ["a/b/c", FILE],
    ["a/d", FILE],
    ["a-b", FILE],
    ["b", FILE],
    ["ä", FILE],
  )
})

const wrong: readonly (readonly [what: string, entries: readonly (readonly [string, number])[]])[] = [
  [
    "twice",
    [
      ["a", FILE],
      ["a", FILE],
    ],
  ],
  [
    "out of order",
    [
      ["b", FILE],
      ["a", FILE],
    ],
  ],
  ["no directory", [["a/b", FILE]]],
  [
    "beneath a file",
    [
      ["a", FILE],
      ["a/b", FILE],
    ],
  ],
  [
    "beneath a link",
    [
      ["a", 0o120777],
      ["a/b", FILE],
    ],
  ],
  [
    "a directory left",
    [
      ["a", DIRECTORY],
      ["b", FILE],
      ["a/c", FILE],
    ],
  ],
  [
    "another's child",
    [
      ["a", DIRECTORY],
      ["b/c", FILE],
    ],
  ],
  ...["", "/", "/a", "a/", "..", "../a", "a/../b", "./a", "a//b", "a\0b", "x".repeat(5000)].map(
    (path) => [JSON.stringify(path.slice(0, 20)), [[path, FILE]]] as const,
  ),
]

test.each(wrong)("refused: %s", (_what, entries) => {
  expect(() => check(...entries)).toThrow(/the client lists/)
})

test("a sorted list of any tree passes", () => {
  const name = fc
    .string({ minLength: 1, maxLength: 3 })
    .filter((text) => !/[/\0]|^\.{1,2}$/.test(text) && text.isWellFormed())
  fc.assert(
    fc.property(fc.array(fc.array(name, { minLength: 1, maxLength: 4 }), { maxLength: 20 }), (paths) => {
      const all = new Set(
        paths.flatMap((parts) => parts.map((_, index) => parts.slice(0, index + 1).join("\0"))),
      )
      const sorted = [...all].sort((one, other) => Buffer.compare(Buffer.from(one), Buffer.from(other)))
      check(...sorted.map((path) => [path.replaceAll("\0", "/"), DIRECTORY] as const))
    }),
  )
})
