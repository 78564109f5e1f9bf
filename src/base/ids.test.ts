// Ids, names and their grammar.
import { expect, test } from "bun:test"
import { isName, newId, randomName, shortId } from "./ids.ts"

test("ids are 64 hex digits and their short form is no number", () => {
  for (let count = 0; count < 200; count++) {
    const id = newId()
    expect(id).toMatch(/^[0-9a-f]{64}$/)
    expect(shortId(id)).not.toMatch(/^\d+$/)
  }
  expect(shortId(`sha256:${"a".repeat(64)}`)).toBe("aaaaaaaaaaaa")
})

test("random names keep the grammar and avoid what is taken", () => {
  const taken = new Set<string>()
  for (let count = 0; count < 3000; count++) {
    const name = randomName((candidate) => taken.has(candidate))
    expect(taken.has(name)).toBe(false)
    expect(isName(name)).toBe(true)
    taken.add(name)
  }
  expect(randomName((name) => !/\d$/.test(name))).toMatch(/\d$/)
})

test("names refuse paths, signs and single letters", () => {
  for (const bad of ["a", "", ".a", "-a", "a/b", "a b", "../x", "a\n", "é1"]) expect(isName(bad)).toBe(false)
})
