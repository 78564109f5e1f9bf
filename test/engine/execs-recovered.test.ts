// The engine ends while execs run: the next one knows them, and how those ended that nobody watched.
import { afterEach, beforeEach, expect, test } from "bun:test"
import { readdirSync } from "node:fs"
import { join } from "node:path"
import type { ExecConfig } from "../../src/engine/engine.ts"
import { busybox, type Ground, openGround, until } from "./ground.ts"

let ground: Ground
let id: string
beforeEach(async () => {
  ground = await openGround()
  const { containers } = ground.engine
  id = (await containers.create({ config: busybox(["sleep", "1000"]) })).id
  await containers.start(id)
}, 60_000)
afterEach(async () => {
  await ground.close()
}, 60_000)

const shell = (script: string): ExecConfig => ({
  command: ["sh", "-c", script],
  env: [],
  user: "",
  workingDirectory: "",
  tty: false,
  privileged: false,
  attachStdin: false,
  attachStdout: false,
  attachStderr: false,
})
const started = async (script: string): Promise<string> => {
  const exec = await ground.engine.execs.create(id, shell(script))
  await ground.engine.execs.start(exec, { detach: true, tty: false })
  return exec
}

test("one that runs on, one that ended unseen, one that had ended, one that never started", async () => {
  const running = await started("sleep 2; exit 7")
  const unseen = await started("sleep 0.3; exit 8")
  const ended = await started("exit 9")
  const idle = await ground.engine.execs.create(id, shell("true"))
  await until(() => ground.engine.execs.get(ended).exitCode === 9)
  const { pid } = ground.engine.execs.get(running)
  await ground.engine.close({ stopContainers: false })
  await Bun.sleep(500)
  ground = await ground.reopen()
  const { execs } = ground.engine
  expect(execs.get(running)).toMatchObject({ running: true, pid, containerId: id })
  expect(execs.get(running).command).toEqual(["sh", "-c", "sleep 2; exit 7"])
  expect(execs.get(unseen)).toMatchObject({ running: false, pid: 0, exitCode: 8 })
  expect(execs.get(ended)).toMatchObject({ running: false, pid: 0, exitCode: 9 })
  expect(() => execs.get(idle)).toThrow("No such exec instance")
  await expect(execs.start(running, { detach: true, tty: false })).rejects.toThrow("already running")
  await until(() => execs.get(running).exitCode === 7)
}, 20_000)

test("what is noted of them is bounded, and gone with the run", async () => {
  const directory = join(ground.root, "run", "c", id.slice(0, 16))
  const noted = () => readdirSync(directory).filter((name) => name.startsWith("exec-")).length
  for (let count = 0; count < 80; count++) await started("true")
  await until(() => noted() <= 64)
  expect(noted()).toBeGreaterThan(32)
  await ground.engine.containers.kill(id)
  await until(() => !readdirSync(join(ground.root, "run", "c")).includes(id.slice(0, 16)))
}, 20_000)
