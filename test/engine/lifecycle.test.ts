// Containers on the real kernel: create, start, attach, wait, logs, stop, kill, exec, remove.
import { afterAll, beforeAll, expect, test } from "bun:test"
import { busybox, type Ground, gatherStreams, openGround, run } from "./ground.ts"

let ground: Ground
beforeAll(async () => {
  ground = await openGround()
}, 60_000)
afterAll(async () => {
  await ground.close()
}, 60_000)

test("run gives both streams and the exit code", async () => {
  const result = await run(ground.engine, busybox(["sh", "-c", "echo out; echo err >&2; exit 3"]))
  expect(result).toMatchObject({ stdout: "out\n", stderr: "err\n", exitCode: 3 })
  const record = ground.engine.containers.get(result.id)
  expect(record).toMatchObject({ status: "exited", exitCode: 3, pid: 0 })
  await ground.engine.containers.remove(result.id, { force: false, volumes: false })
})
