// What the monitor does about cgroups when its container ends: out of memory, leftovers, removal.
import { afterAll, expect, test } from "bun:test"
import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { connect, decodeReport, type Operation, startLauncher } from "./client.ts"
import { exec, monitorOf, shell, until } from "./monitored.ts"

const memory = "/sys/fs/cgroup/memory"
const freezer = "/sys/fs/cgroup/freezer"
const hybrid = existsSync(join(memory, "memory.limit_in_bytes")) && existsSync(freezer)
const parent = (root: string) => join(root, `sloop-monitor-${process.pid}`)

const launcher = await startLauncher()
afterAll(async () => {
  await launcher[Symbol.asyncDispose]()
  for (const root of [memory, freezer]) if (existsSync(parent(root))) rmdirSync(parent(root))
})

/** Neither gone nor a zombie that the machine's own init has not collected yet. */
function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, "utf8"))
  } catch {
    return false
  }
}

test.skipIf(!hybrid)(
  "an out-of-memory kill is told and recorded, the cgroup is gone when the connection ends",
  async () => {
    const directory = join(parent(memory), "oom")
    const extra: Operation[] = [
      ["cgroup", directory],
      ["cgroup-write", join(directory, "memory.limit_in_bytes"), String(6 << 20), "must"],
      ["oom-counter", join(directory, "memory.oom_control"), "oom_kill"],
    ]
    const container = await shell(launcher, "x=aaaaaaaa; while :; do x=$x$x; done", { extra })
    await container.started()
    const told: number[] = []
    const ended = await container.ended((kills) => told.push(kills))
    expect(ended.fields.slice(0, 3)).toEqual(["137", "9", "1"])
    expect(told).toEqual([1])
    expect(decodeReport(readFileSync(join(container.directory, "exit")))).toEqual(ended)
    expect(await container.plan.frame()).toBeUndefined()
    expect(existsSync(directory)).toBe(false)

    const fine = await shell(launcher, "exit 1", { extra })
    await fine.started()
    expect((await fine.ended()).fields.slice(0, 3)).toEqual(["1", "0", "0"])
    await fine.plan.reports()
  },
)

test.skipIf(!hybrid)("a child's out-of-memory kill is told while the container runs on", async () => {
  const directory = join(parent(memory), "oom-child")
  const extra: Operation[] = [
    ["cgroup", directory],
    ["cgroup-write", join(directory, "memory.limit_in_bytes"), String(6 << 20), "must"],
    ["oom-counter", join(directory, "memory.oom_control"), "oom_kill"],
  ]
  const hungry = "sh -c 'x=aaaaaaaa; while :; do x=$x$x; done'"
  const container = await shell(launcher, `${hungry}; read go; ${hungry}; read go`, { extra, stdin: "open" })
  await container.started()
  const early = await connect(container.socket)
  early.send([["watch"]])
  expect((await early.report()).kind).toBe("started")
  expect(await container.plan.report()).toMatchObject({ kind: "oom", fields: ["1"] })
  expect(await early.report()).toMatchObject({ kind: "oom", fields: ["1"] })
  const late = await connect(container.socket)
  late.send([["watch"]])
  expect((await late.report()).kind).toBe("started")
  expect(await late.report()).toMatchObject({ kind: "oom", fields: ["1"] })
  const client = await container.attach("stdin")
  client.socket.write("again\n")
  for (const watcher of [container.plan, early, late])
    expect(await watcher.report()).toMatchObject({ kind: "oom", fields: ["2"] })
  client.socket.end()
  expect((await container.ended()).fields.slice(0, 3)).toEqual(["1", "0", "1"])
  expect((await early.reports()).map(({ kind }) => kind)).toEqual(["exited"])
  await container.plan.reports()
  expect(existsSync(directory)).toBe(false)
})

test.skipIf(!hybrid)("an exec tells of an out-of-memory kill that is new, the init of any", async () => {
  const directory = join(parent(memory), "oom-exec")
  const extra: Operation[] = [
    ["cgroup", directory],
    ["cgroup-write", join(directory, "memory.limit_in_bytes"), String(6 << 20), "must"],
    ["oom-counter", join(directory, "memory.oom_control"), "oom_kill"],
  ]
  const container = await shell(launcher, "read go; exit 2", { extra, stdin: "open" })
  await container.started()
  const inside = { extra: [["cgroup", directory] satisfies Operation] }
  const ends: string[][] = []
  for (const script of ["true", "x=aaaaaaaa; while :; do x=$x$x; done", "true"]) {
    const process = await exec(container, `exec-${ends.length}`, script, inside)
    expect((await process.report()).kind).toBe("started")
    ends.push([...(await process.report()).fields.slice(0, 3)])
  }
  expect(ends).toEqual([
    ["0", "0", "0"],
    ["137", "9", "1"],
    ["0", "0", "0"],
  ])
  const client = await container.attach("stdin")
  client.socket.end()
  expect((await container.ended()).fields.slice(0, 3)).toEqual(["2", "0", "1"])
  await container.plan.reports()
})

test.skipIf(!hybrid)(
  "what the init leaves in its cgroup is killed with it, nested and frozen or not",
  async () => {
    for (const frozen of [false, true]) {
      const directory = join(parent(freezer), "left")
      const extra: Operation[] = [
        ["cgroup", directory],
        ["kill-on-end", directory],
      ]
      const container = await shell(launcher, "sleep 1000 & echo $!; read go", {
        extra,
        pid: "host",
        stdin: "open",
      })
      await container.started()
      await until(() => container.text("stdout").endsWith("\n"), "the child is named")
      const child = Number(container.text("stdout"))
      const nested = join(directory, "nested")
      mkdirSync(nested)
      if (frozen) {
        writeFileSync(join(nested, "cgroup.procs"), String(child))
        writeFileSync(join(nested, "freezer.state"), "FROZEN")
      }
      expect(isAlive(child)).toBe(true)
      const client = await container.attach("stdin")
      client.socket.end()
      await container.ended()
      await container.plan.reports()
      await until(() => !isAlive(child), "the child is dead")
      expect(existsSync(directory)).toBe(false)
    }
  },
)

test.skipIf(!hybrid)(
  "an exec that outlives the init in a shared pid namespace dies with the cgroup and is told",
  async () => {
    const directory = join(parent(freezer), "exec")
    const extra: Operation[] = [
      ["cgroup", directory],
      ["kill-on-end", directory],
    ]
    const container = await shell(launcher, "read go; exit 2", { extra, pid: "host", stdin: "open" })
    const monitor = monitorOf(await container.started())
    const longer = await exec(container, "longer", "sleep 1000", { extra: [["cgroup", directory]] })
    expect((await longer.report()).kind).toBe("started")
    const client = await container.attach("stdin")
    client.socket.end()
    expect((await container.ended()).fields[0]).toBe("2")
    expect((await longer.report()).fields.slice(0, 2)).toEqual(["137", "9"])
    await until(() => !isAlive(monitor), "the monitor is gone")
    expect(existsSync(directory)).toBe(false)
  },
)

test("a monitor ends with its container, even with a client that never reads", async () => {
  const container = await shell(launcher, "sleep 0.1; echo short", { expect: 1 })
  const monitor = monitorOf(await container.started())
  const client = await container.attach("stdin,stdout")
  client.socket.pause()
  client.socket.write("never read")
  await container.ended()
  await until(() => !isAlive(monitor), "the monitor is gone")
  client.close()
})

test("a monitor that is killed takes its container with it", async () => {
  const container = await shell(launcher, "sleep 1000")
  const init = await container.started()
  process.kill(monitorOf(init), "SIGKILL")
  await until(() => !isAlive(init), "the init is dead")
  expect(existsSync(join(container.directory, "exit"))).toBe(false)
})

test("a monitor is deaf to the signals of a terminal and of a shutdown; its init is not", async () => {
  const container = await shell(launcher, "trap 'exit 12' TERM; echo ready; while :; do sleep 0.02; done")
  const monitor = monitorOf(await container.started())
  await until(() => container.text("stdout") === "ready\n", "the trap is set")
  for (const signal of ["SIGTERM", "SIGHUP", "SIGINT"] as const) process.kill(monitor, signal)
  await Bun.sleep(20)
  await container.ask([["signal"], ["number", 15]])
  expect((await container.ended()).fields[0]).toBe("12")
})
