// Links go together once nothing else is asked, and what waits for a name waits for that.
import { expect, test } from "bun:test"
import { fakeKernel } from "../kernel/fake.ts"
import { Removals } from "./removals.ts"

// A kernel without a machine: nothing happens to the links named here. "lo" is there, the others are not.
const made = (script: Parameters<typeof fakeKernel>[0] = {}) => {
  const kernel = fakeKernel(script)
  const warnings: string[] = []
  return { kernel, warnings, removals: new Removals(kernel, (message) => warnings.push(message)) }
}

test("removals that come together are one request; what is gone already needs none", async () => {
  const { kernel, removals } = made()
  const done: string[] = []
  for (const name of ["lo", "sl-missing", "lo"])
    removals.remove(name, async () => {
      done.push(name)
    })
  expect(kernel.plans).toEqual([])
  expect(removals.names()).toEqual(["lo", "sl-missing"])
  await Bun.sleep(80)
  expect(kernel.plans).toHaveLength(1)
  expect(done).toEqual(["lo", "sl-missing", "lo"])
  expect(removals.names()).toEqual([])
})

test("who needs a name has it removed at once; other names are free", async () => {
  const { kernel, removals } = made()
  removals.remove("lo")
  await removals.free("another")
  expect(kernel.plans).toEqual([])
  await removals.free("lo")
  expect(kernel.plans).toHaveLength(1)
  await removals.settled()
  expect(kernel.plans).toHaveLength(1)
})

test("one that cannot be removed keeps nothing else, and is told of", async () => {
  const { removals, warnings } = made({
    perform: () => {
      throw new Error("not today")
    },
  })
  let followed = false
  removals.remove("lo", async () => {
    followed = true
    throw new Error("nor that")
  })
  await removals.settled()
  expect(followed).toBe(true)
  expect(warnings).toEqual([
    "could not remove network interface lo: not today",
    "could not clear up after network interface lo: nor that",
  ])
})
