// Never more than n at once.
import { expect, test } from "bun:test"
import { Limiter } from "./limiter.ts"

test("never more than the limit at once, all of it done, errors included", async () => {
  const limiter = new Limiter(2)
  let running = 0
  let most = 0
  const results = await Promise.allSettled(
    Array.from({ length: 9 }, (_, index) =>
      limiter.run(async () => {
        most = Math.max(most, ++running)
        await new Promise((resolve) => setTimeout(resolve, 1))
        running--
        if (index === 3) throw new Error("three")
        return index
      }),
    ),
  )
  expect(most).toBe(2)
  expect(results.filter((result) => result.status === "fulfilled").length).toBe(8)
  expect(await limiter.run(() => 1)).toBe(1)
})
