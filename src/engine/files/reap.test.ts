// Directories vanish at once and are deleted in few requests.
import { afterAll, expect, test } from "bun:test"
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fakeKernel } from "../../kernel/kernel.ts"
import { Reaper } from "./reap.ts"

const directory = mkdtempSync(join(tmpdir(), "reap-"))
afterAll(() => rmSync(directory, { recursive: true, force: true }))

test("taken directories are gone at once, deleted together, and found again by the next engine", async () => {
  const kernel = fakeKernel()
  const reaper = new Reaper(join(directory, "reap"), kernel)
  for (const name of ["a", "b"]) mkdirSync(join(directory, name, "deep"), { recursive: true })
  reaper.take(join(directory, "a"))
  reaper.take(join(directory, "b"))
  reaper.take(join(directory, "missing"))
  expect(existsSync(join(directory, "a"))).toBe(false)
  const graves = readdirSync(join(directory, "reap")).map((name) => join(directory, "reap", name))
  await reaper.settle()
  expect(kernel.plans.length).toBe(1)
  expect(
    kernel.plans[0]
      ?.slice(1)
      .map(([, path]) => path)
      .toSorted(),
  ).toEqual(graves.toSorted())
  // The fake deleted nothing: a later engine finds them.
  const next = new Reaper(join(directory, "reap"), kernel)
  next.recover()
  await next.settle()
  expect(kernel.plans[1]?.length).toBe(3)
})
