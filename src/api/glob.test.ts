// Patterns of filters.
import { expect, test } from "bun:test"
import { globToRegExp } from "./glob.ts"

test("patterns as Go's path.Match reads them", () => {
  const cases: [pattern: string, text: string, matches: boolean][] = [
    ["busy*", "busybox", true],
    ["*", "library/busybox", false],
    ["*/*", "library/busybox", true],
    ["b?sybox", "busybox", true],
    ["[a-c]*", "busybox", true],
    ["[^a-c]*", "busybox", false],
    ["a.c", "abc", false],
    ["a\\*", "a*", true],
  ]
  for (const [pattern, text, matches] of cases) {
    expect([pattern, globToRegExp(pattern).test(text)]).toEqual([pattern, matches])
  }
  expect(() => globToRegExp("[a")).toThrow("syntax error in pattern")
})

test("many stars do not make it slow", () => {
  const started = performance.now()
  globToRegExp(`${"*".repeat(50)}x`).test("a".repeat(5000))
  expect(performance.now() - started).toBeLessThan(500)
})
