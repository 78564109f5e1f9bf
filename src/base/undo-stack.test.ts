// Unwinding in reverse.
import { expect, test } from "bun:test"
import { setLogLevel } from "./log.ts"
import { UndoStack } from "./undo-stack.ts"

test("unwinds last first, past steps that fail, once", async () => {
  setLogLevel("silent")
  const seen: string[] = []
  const stack = new UndoStack()
  stack.push("one", () => seen.push("one"))
  stack.push("two", async () => {
    throw new Error("cannot")
  })
  stack.push("three", async () => seen.push("three"))
  await stack.unwind()
  await stack.unwind()
  expect(seen).toEqual(["three", "one"])
  setLogLevel("info")
})

test("a discarded stack undoes nothing", async () => {
  const stack = new UndoStack()
  let undone = false
  stack.push("x", () => {
    undone = true
  })
  stack.discard()
  await stack.unwind()
  expect(undone).toBe(false)
})
