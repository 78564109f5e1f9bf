// The engine ends and another takes over: containers run on with their streams, ends are not forgotten.
import { afterEach, beforeEach, expect, test } from "bun:test"
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { currentBoot } from "../../src/base/boot.ts"
import { busybox, type Ground, gatherStreams, logText, openGround, until } from "./ground.ts"

let ground: Ground
beforeEach(async () => {
  ground = await openGround()
}, 60_000)
afterEach(async () => {
  await ground.close()
}, 60_000)

/** The monitor of a container: the parent of its init. */
const monitorOf = (pid: number): number =>
  Number(/^PPid:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1])

test("a running container is found again: attach, log, exec, exit code", async () => {
  const script = "trap 'echo bye; exit 9' TERM; while :; do echo tick; sleep 0.05; done"
  const { id } = await ground.engine.containers.create({
    config: busybox(["sh", "-c", script], { networkMode: "default" }),
  })
  await ground.engine.containers.start(id)
  const { pid, endpoints } = ground.engine.containers.get(id)
  const before = (await logText(ground, id)).length
  ground = await ground.reopen()
  const { containers, networks } = ground.engine
  expect(containers.get(id)).toMatchObject({ status: "running", pid, endpoints })
  expect(networks.list().map((network) => network.name)).toContain("bridge")
  const { stream } = await containers.attach(id, {
    stdin: false,
    stdout: true,
    stderr: true,
    logs: false,
    stream: true,
  })
  const output = gatherStreams(stream)
  const attached = (await logText(ground, id)).length
  expect(attached).toBeGreaterThanOrEqual(before)
  await until(async () => (await logText(ground, id)).length > attached + 10)
  const { ended } = containers.wait(id, "not-running")
  await containers.stop(id)
  expect((await ended).exitCode).toBe(9)
  expect((await output).stdout).toMatch(/^(tick\n)+bye\n$/)
  expect(containers.get(id)).toMatchObject({ status: "exited", exitCode: 9 })
})

test("an end that nobody saw has the code and time that the monitor recorded", async () => {
  const { containers } = ground.engine
  const { id } = await containers.create({ config: busybox(["sh", "-c", "sleep 0.3; exit 6"]) })
  const { id: gone } = await containers.create({ config: busybox(["sleep", "0.3"], { autoRemove: true }) })
  await containers.start(id)
  await containers.start(gone)
  const started = Date.now()
  // Released before it ends, so that this engine sees nothing of it.
  await ground.engine.close({ stopContainers: false })
  await Bun.sleep(600)
  ground = await ground.reopen()
  const record = ground.engine.containers.get(id)
  expect(record).toMatchObject({ status: "exited", exitCode: 6, pid: 0 })
  expect(record.finishedAt - started).toBeGreaterThan(200)
  expect(record.finishedAt - started).toBeLessThan(550)
  expect(ground.engine.containers.find(gone)).toBeUndefined()
})

test("a killed monitor's container is reported dead with a reason", async () => {
  const { containers } = ground.engine
  const { id } = await containers.create({ config: busybox(["sleep", "100"]) })
  await containers.start(id)
  const { pid } = containers.get(id)
  const { ended } = containers.wait(id, "not-running")
  process.kill(monitorOf(pid), "SIGKILL")
  expect((await ended).exitCode).toBe(137)
  expect(containers.get(id).error).not.toBe("")
  await until(() => ground.cgroups().length === 0)
  await until(() => !readdirSync("/proc").includes(String(pid)))
  await containers.start(id)
  expect(containers.get(id)).toMatchObject({ status: "running", error: "" })
})

test("a paused container stays paused, and policies start what should run", async () => {
  const { containers } = ground.engine
  const { id: paused } = await containers.create({ config: busybox(["sleep", "100"]) })
  await containers.start(paused)
  await containers.pause(paused)
  const { id: always } = await containers.create({
    config: busybox(["sleep", "100"], { restart: { name: "always", maximumRetries: 0 } }),
  })
  const { id: unless } = await containers.create({
    config: busybox(["sleep", "100"], { restart: { name: "unless-stopped", maximumRetries: 0 } }),
  })
  for (const id of [always, unless]) {
    await containers.start(id)
    await containers.stop(id, { timeout: 0 })
  }
  ground = await ground.reopen()
  const now = ground.engine.containers
  expect(now.get(paused).status).toBe("paused")
  await now.unpause(paused)
  await until(() => now.get(always).status === "running")
  expect(now.get(unless).status).toBe("exited")
})

test("stopping all at the end leaves nothing running, and policies start it again", async () => {
  const { containers } = ground.engine
  const config = busybox(["sh", "-c", "trap 'exit 0' TERM; while :; do sleep 0.05; done"], {
    restart: { name: "unless-stopped", maximumRetries: 0 },
  })
  const { id } = await containers.create({ config })
  await containers.start(id)
  // An init that has not set its trap yet is deaf to SIGTERM.
  const trapped = () =>
    /SigCgt:\s*0*[1-9a-f]/.test(readFileSync(`/proc/${containers.get(id).pid}/status`, "utf8"))
  await until(trapped)
  await ground.engine.close({ stopContainers: true })
  expect(ground.state.containers.find(id)).toMatchObject({ status: "exited", stoppedByUser: false })
  expect(readdirSync(join(ground.root, "run", "c"))).toEqual([])
  ground = await ground.reopen()
  await until(() => ground.engine.containers.get(id).status === "running")
})

test("clients that vanish in mid-attach leave nothing behind", async () => {
  const { containers } = ground.engine
  const { id } = await containers.create({ config: busybox(["cat"], { openStdin: true }) })
  const attach = () =>
    containers.attach(id, { stdin: true, stdout: true, stderr: true, logs: false, stream: true })
  for (let count = 0; count < 100; count++) (await attach()).stream.destroy()
  await containers.start(id)
  for (let count = 0; count < 100; count++) (await attach()).stream.destroy()
  const { stream } = await attach()
  stream.write("still here\n")
  let seen = ""
  stream.on("data", (chunk: Buffer) => {
    seen += chunk.toString()
  })
  await until(() => seen.includes("still here"))
  stream.destroy()
})

test("a start whose success power loss forgot is a run that ended", async () => {
  const { id } = await ground.engine.containers.create({ config: busybox(["sleep", "60"]) })
  const { id: here } = await ground.engine.containers.create({ config: busybox(["sleep", "60"]) })
  const at = Date.now() - 5000
  // What the disk holds of it: the intent, of an earlier boot; and, beside it, one of this boot that got nowhere.
  for (const [key, boot] of [[id, "earlier"] as const, [here, currentBoot()] as const]) {
    const record = ground.engine.containers.get(key)
    ground.state.containers.put(key, { ...record, starting: { at, boot } })
  }
  ground = await ground.reopen()
  const { containers } = ground.engine
  expect(containers.get(id)).toMatchObject({ status: "exited", startedAt: at, exitCode: 137 })
  expect(containers.get(id).error).not.toBe("")
  expect(containers.get(here)).toMatchObject({ status: "created", startedAt: 0 })
  for (const key of [id, here]) expect(containers.get(key).starting).toBeUndefined()
})
