// --disk-budget: dangling images go, the least recently used first, and nothing that is named or used.
import { afterAll, expect, test } from "bun:test"
import { eventually, startEngine } from "../fixtures/engine.ts"

const engine = await startEngine({ flags: ["--disk-budget", "11MB"] })
afterAll(() => engine.close(), 30_000)
const { ok } = engine

/** An image with a layer of so many megabytes over busybox. */
const make = async (name: string, megabytes: number): Promise<string> => {
  await ok(
    "run",
    "--name",
    name,
    "busybox",
    "dd",
    "if=/dev/urandom",
    "of=/big",
    "bs=1M",
    `count=${megabytes}`,
  )
  await ok("commit", name, `${name}:1`)
  await ok("rm", name)
  return ok("image", "inspect", "-f", "{{.Id}}", `${name}:1`)
}
const ids = async () => (await ok("images", "-q", "--no-trunc")).split("\n")

test("dangling images go when there is too much, in the order of their use", async () => {
  const [a, b, c] = [await make("aa", 3), await make("bb", 3), await make("cc", 3)]
  await ok("run", "--name", "user", "--rm", "aa:1", "true")
  await ok("rmi", "aa:1")
  expect(await ids()).not.toContain(a)
  // Names move on and leave the images behind.
  for (const name of ["bb:1", "cc:1"]) await ok("tag", "busybox", name)
  expect(await ids()).toEqual(expect.arrayContaining([b, c]))
  await ok("run", "--rm", b, "true")
  const d = await make("dd", 4)
  await eventually("the budget is kept", async () => !(await ids()).includes(c))
  await Bun.sleep(300)
  expect(await ids()).toEqual(expect.arrayContaining([b, d]))
}, 30_000)
