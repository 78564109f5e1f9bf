// One lock per key.
import { expect, test } from "bun:test"
import { KeyedMutex } from "./keyed-mutex.ts"

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

test("the same key runs in order of arrival, one at a time", async () => {
  const mutex = new KeyedMutex()
  const seen: string[] = []
  const work = (name: string, ms: number) =>
    mutex.run("web", async () => {
      seen.push(`${name}+`)
      await sleep(ms)
      seen.push(`${name}-`)
    })
  await Promise.all([work("a", 5), work("b", 1), work("c", 0)])
  expect(seen).toEqual(["a+", "a-", "b+", "b-", "c+", "c-"])
  expect(mutex.held("web")).toBe(false)
})

test("different keys do not wait for each other", async () => {
  const mutex = new KeyedMutex()
  const release = await mutex.acquire("a")
  expect(await mutex.run("b", () => 7)).toBe(7)
  release()
})

test("an error gives the lock back", async () => {
  const mutex = new KeyedMutex()
  await expect(
    mutex.run("a", () => {
      throw new Error("no")
    }),
  ).rejects.toThrow("no")
  expect(await mutex.run("a", () => 1)).toBe(1)
})
