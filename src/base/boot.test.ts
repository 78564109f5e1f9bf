import { expect, test } from "bun:test"
import { currentBoot } from "./boot.ts"

test("a boot has one name", () => {
  expect(currentBoot()).toMatch(/^[0-9a-f-]{36}$/)
  expect(currentBoot()).toBe(currentBoot())
})
