// Somebody has removed the files of a run: its monitor cannot be asked any more, and the container can be ended all the same.
import { afterEach, beforeEach, expect, test } from "bun:test"
import { readdirSync, rmSync } from "node:fs"
import { join } from "node:path"
import { busybox, type Ground, openGround, until } from "./ground.ts"

let ground: Ground
beforeEach(async () => {
  ground = await openGround()
}, 60_000)
afterEach(async () => {
  await ground.close()
}, 60_000)

/** A container that runs and whose files in RUN_ROOT/c are gone; it hears no TERM. */
const orphan = async (more = {}): Promise<{ id: string; pid: number }> => {
  const { containers } = ground.engine
  const command = ["sh", "-c", "trap '' TERM; while :; do sleep 1; done"]
  const { id } = await containers.create({ config: busybox(command, more) })
  await containers.start(id)
  const { pid } = containers.get(id)
  rmSync(join(ground.root, "run", "c", id.slice(0, 16)), { recursive: true })
  return { id, pid }
}
const isGone = (pid: number) => until(() => !readdirSync("/proc").includes(String(pid)))

test("it is removed by force", async () => {
  const { id, pid } = await orphan()
  await ground.engine.containers.remove(id, { force: true, volumes: true })
  await isGone(pid)
  await ground.settle()
  expect(ground.cgroups()).toEqual([])
}, 20_000)

test("it is stopped without the patience that nobody would hear of, with a reason, and starts again", async () => {
  const { containers } = ground.engine
  const { id, pid } = await orphan({ stopTimeout: 60 })
  const { ended } = containers.wait(id, "not-running")
  await containers.stop(id)
  expect((await ended).exitCode).toBe(137)
  await isGone(pid)
  expect(containers.get(id)).toMatchObject({ status: "exited", exitCode: 137, stoppedByUser: true })
  expect(containers.get(id).error).toContain("killed by its cgroup")
  await containers.start(id)
  expect(containers.get(id)).toMatchObject({ status: "running", error: "" })
}, 20_000)

test("it is killed, also when it is paused; another signal says that it cannot be told", async () => {
  const { containers } = ground.engine
  const { id, pid } = await orphan()
  await expect(containers.kill(id, "HUP")).rejects.toThrow("cannot be reached")
  await containers.pause(id)
  await containers.kill(id)
  await isGone(pid)
  expect(containers.get(id)).toMatchObject({ status: "exited", exitCode: 137 })
}, 20_000)
