// A process of a container is killed for want of memory while its init lives on: told at once, once, and kept.
import { afterEach, beforeEach, expect, test } from "bun:test"
import { busybox, type Ground, openGround, until } from "./ground.ts"

let ground: Ground
beforeEach(async () => {
  ground = await openGround()
}, 60_000)
afterEach(async () => {
  await ground.close()
}, 60_000)

const limited = (script: string) =>
  busybox(["sh", "-c", script], { resources: { memory: 16 << 20, memorySwap: 16 << 20 } })

/** Actions of a container's events from now on. */
const listen = (id: string): string[] => {
  const actions: string[] = []
  ground.engine.events.subscribe((event) => {
    if (event.type === "container" && event.id === id) actions.push(event.action)
  })
  return actions
}

test("the kill of a child is told while the init runs, and not again by the next engine nor at the end", async () => {
  const { containers } = ground.engine
  const config = limited("(head -c 64m /dev/zero | tail) 2>/dev/null; sleep 1000")
  const { id } = await containers.create({ config })
  const actions = listen(id)
  await containers.start(id)
  await until(() => actions.includes("oom"))
  expect(containers.get(id)).toMatchObject({ status: "running", oomKilled: true })
  expect(actions).not.toContain("die")
  ground = await ground.reopen()
  const later = listen(id)
  await Bun.sleep(300)
  await ground.engine.containers.kill(id)
  expect(later.filter((action) => action === "oom")).toEqual([])
  expect(ground.engine.containers.get(id)).toMatchObject({ status: "exited", oomKilled: true })
}, 20_000)

test("a kill that no engine saw is told by the next one", async () => {
  const { containers } = ground.engine
  const { id } = await containers.create({
    config: limited("sleep 0.5; (head -c 64m /dev/zero | tail) 2>/dev/null; sleep 1000"),
  })
  await containers.start(id)
  await ground.engine.close({ stopContainers: false })
  await Bun.sleep(1200)
  ground = await ground.reopen()
  await until(() => ground.engine.containers.get(id).oomKilled)
  expect(ground.engine.containers.get(id).status).toBe("running")
}, 20_000)

test("the kill of the init is told once", async () => {
  const { containers } = ground.engine
  const { id } = await containers.create({ config: limited("sleep 0.1; exec tail /dev/zero") })
  const actions = listen(id)
  const { ended } = containers.wait(id, "next-exit")
  await containers.start(id)
  expect((await ended).exitCode).toBe(137)
  expect(containers.get(id).oomKilled).toBe(true)
  expect(actions.filter((action) => action === "oom" || action === "die")).toEqual(["oom", "die"])
}, 20_000)
