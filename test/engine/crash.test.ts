// The daemon is killed at every step; the next one finds the world whole: nothing half there, nothing left over.
import { afterAll, expect, test } from "bun:test"
import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs"
import { join } from "node:path"
import { type Ground, openGround } from "./ground.ts"

/** Scenario, where it is killed, and the states that the victim may be in afterwards ("" = it is not there). */
const cases: readonly (readonly [scenario: string, step: string, states: readonly string[]])[] = [
  ["create", "create:begun", [""]],
  ["create", "create:volumes", [""]],
  ["create", "create:recorded", ["created"]],
  ["start", "start:begun", ["created"]],
  ["start", "start:joined", ["created"]],
  ["start", "start:intended", ["created"]],
  ["start", "start:launched", ["running"]],
  ["start", "start:recorded", ["running"]],
  ["exit", "exit:known", ["exited"]],
  ["exit", "exit:recorded", ["exited"]],
  ["exit", "exit:left", ["exited"]],
  ["auto-remove", "exit:known", [""]],
  ["auto-remove", "remove:recorded", [""]],
  ["auto-remove", "remove:volumes", [""]],
  ["auto-remove", "remove:down", [""]],
  ["auto-remove", "remove:snapshot", [""]],
  ["auto-remove", "remove:directory", [""]],
  ["auto-remove", "remove:done", [""]],
  ["exec", "exec:launched", ["running"]],
  ["stop", "stop:signalled", ["running", "exited"]],
  ["stop", "stop:ended", ["exited"]],
  ["remove", "remove:begun", ["running"]],
  ["remove", "remove:recorded", [""]],
  ["remove", "remove:snapshot", [""]],
]

const roots: string[] = []
afterAll(() => {
  for (const root of roots) rmSync(root, { recursive: true, force: true })
})

const crash = async (root: string, scenario: string, step: string): Promise<void> => {
  const daemon = Bun.spawn([process.execPath, join(import.meta.dir, "crash-daemon.ts"), root, scenario], {
    env: { ...process.env, SLOOP_CRASH_AT: step },
    stdout: "pipe",
    stderr: "pipe",
  })
  const [output, errors] = await Promise.all([
    new Response(daemon.stdout).text(),
    new Response(daemon.stderr).text(),
  ])
  await daemon.exited
  if (daemon.signalCode !== "SIGKILL") throw new Error(`${step} was not reached: ${output}${errors}`)
}

/** Everything that the machine and the disk hold, against what the records say. */
const expectWhole = async (ground: Ground): Promise<void> => {
  const { state, engine, root } = ground
  const records = state.containers.list()
  const ids = records.map((record) => record.id).toSorted()
  const running = records.filter((record) => record.status === "running")
  for (const record of running) expect(existsSync(`/proc/${record.pid}/root`)).toBe(true)
  expect(state.removals.list()).toEqual([])
  expect(
    state.snapshots
      .list()
      .flatMap((snapshot) => (snapshot.kind === "active" ? [snapshot.key] : []))
      .toSorted(),
  ).toEqual(ids)
  // One that has written nothing has no directory.
  expect(ids).toEqual(expect.arrayContaining(readdirSync(join(root, "data", "containers"))))
  expect(readdirSync(join(root, "run", "c")).toSorted()).toEqual(
    running.map((record) => record.id.slice(0, 16)).toSorted(),
  )
  expect(ground.cgroups().toSorted()).toEqual(running.map((record) => record.id).toSorted())
  const used = records.flatMap((record) => record.mountPoints.map((point) => point.name ?? ""))
  expect(
    engine.volumes
      .list()
      .map((volume) => volume.name)
      .toSorted(),
  ).toEqual(used.toSorted())
}

for (const [scenario, step, states] of cases) {
  test(`${scenario}, killed at ${step}`, async () => {
    const root = mkdtempSync("/tmp/sle-")
    roots.push(root)
    const crashed = crash(root, scenario, step)
    await Promise.allSettled([crashed])
    // Opened even when the step was not reached, so that nothing of it stays on the machine.
    const ground = await openGround(root)
    try {
      await crashed
      const records = ground.state.containers.list()
      expect(records.length).toBeLessThanOrEqual(1)
      expect(states).toContain(records[0]?.status ?? "")
      if (scenario === "exit" && records[0] !== undefined) expect(records[0].exitCode).toBe(5)
      await ground.settle()
      await expectWhole(ground)
      // What survived is a container like any other.
      const [survivor] = records
      if (survivor?.status === "created") await ground.engine.containers.start(survivor.id)
      if (survivor !== undefined)
        await ground.engine.containers.remove(survivor.id, { force: true, volumes: true })
      await ground.settle()
      await expectWhole(ground)
    } finally {
      await ground.close()
    }
  }, 30_000)
}
