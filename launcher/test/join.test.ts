// Further processes in a running container: namespaces, cgroups, security and terminal are the container's.
import { afterAll, beforeAll, expect, test } from "bun:test"
import { existsSync, mkdirSync, readFileSync, readlinkSync } from "node:fs"
import { join } from "node:path"
import {
  ask,
  type Connection,
  connect,
  type Operation,
  type Report,
  startLauncher,
  type TestLauncher,
} from "./client.ts"
import { attachOutput, demultiplex, launchPlan, makeRoot, standardMounts } from "./container.ts"

let launcher: TestLauncher
let container: Connection
let monitor: string
let pid: number
let count = 0
const cgroup = `/sys/fs/cgroup/pids/sloop-l1-join-${process.pid}`

beforeAll(async () => {
  launcher = await startLauncher()
  const root = makeRoot(join(launcher.directory, "root"))
  const at = join(launcher.directory, "c")
  mkdirSync(at)
  monitor = join(at, "monitor.sock")
  container = await connect(launcher.socket)
  const plan = launchPlan(at, {
    root: [["root-path", root]],
    mounts: standardMounts,
    argv: ["sleep", "60"],
    operations: [
      ["cgroup", cgroup],
      ["user", "user"],
    ],
  }).filter(([name]) => name !== "attach-expect")
  container.send(plan)
  const started = await container.report()
  expect(started.kind).toBe("started")
  pid = Number(started.fields[0])
})
afterAll(async () => {
  await ask(monitor, [["signal"], ["number", 9]])
  await container.reports()
  container.close()
  await launcher[Symbol.asyncDispose]()
  Bun.spawnSync(["rmdir", cgroup])
})

interface Executed {
  readonly reports: readonly Report[]
  readonly stdout: string
  readonly stderr: string
}

async function untilLast(connection: Connection): Promise<Report[]> {
  const all: Report[] = []
  while (all.at(-1)?.kind !== "failed" && all.at(-1)?.kind !== "exited") all.push(await connection.report())
  return all
}

async function execute(
  argv: readonly string[],
  operations: readonly Operation[] = [],
  tty = false,
): Promise<Executed> {
  const id = `e${++count}`
  const connection = await connect(monitor)
  connection.send([
    ["exec", id],
    ["stdio", tty ? "tty" : "pipe", "open", "once", tty ? 20 : 0, tty ? 70 : 0],
    ["attach-expect", 1],
    ["cgroup", cgroup],
    ["env", "PATH=/bin"],
    ...operations,
    ["argv", ...argv],
  ])
  const reports = untilLast(connection)
  const failed = reports.then((all) =>
    all.some(({ kind }) => kind === "failed") ? Buffer.alloc(0) : undefined,
  )
  const attach = async (): Promise<Buffer> => {
    for (let tries = 0; tries < 200; tries++) {
      try {
        return await attachOutput(monitor, "", id)
      } catch {
        await Bun.sleep(2)
      }
    }
    return Buffer.alloc(0)
  }
  const output = attach()
  const raw = (await Promise.race([failed.then((none) => none ?? output), output])) ?? Buffer.alloc(0)
  const all = await reports
  connection.close()
  return { reports: all, ...(tty ? { stdout: raw.toString(), stderr: "" } : demultiplex(raw)) }
}

test("an exec is in all the container's namespaces and its cgroup, as a child of the monitor", async () => {
  const script =
    "for n in mnt pid net uts ipc cgroup; do readlink /proc/self/ns/$n; done; grep pids /proc/self/cgroup; grep PPid /proc/self/status; hostname; id -u; sleep 0.3"
  const done = execute(["sh", "-c", script])
  await Bun.sleep(150)
  const inside = readFileSync(join(cgroup, "cgroup.procs"), "utf8").trim().split("\n").map(Number)
  expect(inside).toContain(pid)
  const other = inside.find((candidate) => candidate !== pid && parentOf(candidate) === parentOf(pid))
  expect(other).toBeDefined()
  const { stdout } = await done
  for (const kind of ["mnt", "pid", "net", "uts", "ipc", "cgroup"])
    expect(stdout).toContain(`${readlinkSync(`/proc/${pid}/ns/${kind}`)}\n`)
  expect(stdout).toContain("pids:/\n")
  expect(stdout).toEndWith("testbox\n0\n")
})

const parentOf = (process: number): number =>
  Number(/PPid:\s+(\d+)/.exec(readFileSync(`/proc/${process}/status`, "utf8"))?.[1])

test("user, capabilities, working directory and code are the exec plan's own", async () => {
  const result = await execute(
    ["sh", "-c", "id -u; pwd; grep CapEff /proc/self/status; exit 5"],
    [
      ["user", "1000"],
      ["cwd", "/tmp", "exist"],
      ["capabilities", "a80425fb", "a80425fb", "a80425fb", "0", "0"],
    ],
  )
  expect(result.stdout).toBe("1000\n/tmp\nCapEff:\t0000000000000000\n")
  expect(result.reports.at(-1)?.fields[0]).toBe("5")
})

test("a terminal comes from the container's own devpts", async () => {
  const result = await execute(
    ["sh", "-c", "tty; stty size; ls -l /proc/self/fd/0 | grep -c /dev/pts"],
    [],
    true,
  )
  expect(result.stdout).toMatch(/^\/dev\/pts\/\d+\r\n20 70\r\n1\r\n/)
})

test("no descriptor leaks into an exec", async () => {
  expect(
    (await execute(["sh", "-c", "ls /proc/self/fd | grep -v '^[0-3]$'; readlink /proc/self/cwd"])).stdout,
  ).toBe("/\n")
})

test("failures tell their step, and leave nothing", async () => {
  const missing = await execute(["/none"])
  expect(missing.reports.map(({ kind, fields }) => [kind, ...fields.slice(0, 3)])).toEqual([
    ["failed", "exec", "/none", "2"],
  ])
  for (const [path, errno] of [
    ["/proc/self/fd/3", 40],
    ["/proc/1/root", 40],
    ["/nowhere", 2],
  ] as const) {
    const refused = await execute(["true"], [["cwd", path, "exist"]])
    expect(refused.reports[0]?.fields.slice(0, 3)).toEqual(["cwd", path, String(errno)])
  }
  expect((await execute(["true"], [["mount", "a", "b", "c", "d", "e"]])).reports[0]?.kind).toBe("failed")
  expect(readFileSync(join(cgroup, "cgroup.procs"), "utf8").trim()).toBe(String(pid))
  expect(existsSync(`/proc/${pid}`)).toBe(true)
})

test("an exec joins a user namespace too", async () => {
  const at = join(launcher.directory, "mapped")
  const root = makeRoot(join(at, "root"))
  Bun.spawnSync(["chown", "-R", "100000:100000", root])
  const socket = join(at, "monitor.sock")
  const connection = await connect(launcher.socket)
  const plan = launchPlan(at, {
    root: [["root-path", root]],
    mounts: standardMounts,
    argv: ["sleep", "60"],
    namespaces: ["user", "mount", "pid", "network", "uts", "ipc"],
    operations: [
      ["uid-map", 0, 100000, 65536],
      ["gid-map", 0, 100000, 65536],
    ],
  })
  connection.send(plan.filter(([name]) => name !== "attach-expect"))
  expect((await connection.report()).kind).toBe("started")
  const exec = await connect(socket)
  exec.send([
    ["exec", "x"],
    ["stdio", "pipe", "open", "once", 0, 0],
    ["attach-expect", 1],
    ["env", "PATH=/bin"],
    ["argv", "sh", "-c", "id -u; cat /proc/self/uid_map; touch /by-exec"],
  ])
  const { stdout } = demultiplex(await attachOutput(socket, "", "x"))
  expect(stdout.replaceAll(/ +/g, " ")).toBe("0\n 0 100000 65536\n")
  expect(Bun.spawnSync(["stat", "-c", "%u", join(root, "by-exec")]).stdout.toString()).toBe("100000\n")
  exec.close()
  await ask(socket, [["signal"], ["number", 9]])
  await connection.reports()
  connection.close()
})
