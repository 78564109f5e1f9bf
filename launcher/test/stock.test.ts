// Namespaces made ahead: nobody gets another's, what they hold is what a new one holds, and they end with their launcher.
import { afterAll, beforeAll, expect, test } from "bun:test"
import { existsSync, mkdirSync, readdirSync, readlinkSync, rmdirSync } from "node:fs"
import { join } from "node:path"
import { connect, type Operation, startLauncher, type TestLauncher } from "./client.ts"
import { type ContainerWish, launchPlan, makeRoot, run, standardMasks, standardMounts } from "./container.ts"

let launcher: TestLauncher
let root: string
beforeAll(async () => {
  launcher = await startLauncher()
  root = makeRoot(join(launcher.directory, "root"))
})
afterAll(() => launcher[Symbol.asyncDispose]())

let runs = 0
const own = ["mnt", "ipc", "net", "pid", "uts", "cgroup"]
// Long enough that all of a round live at once: the number of a namespace that has ended is given again.
const script = `for n in ${own.join(" ")}; do readlink /proc/self/ns/$n; done; sleep 0.7`
const wish = (command: string, more: Partial<ContainerWish> = {}): ContainerWish => ({
  root: [["root-path", root]],
  argv: ["/bin/sh", "-c", command],
  ...more,
})
const start = (command: string, more?: Partial<ContainerWish>) =>
  run(launcher.socket, join(launcher.directory, `c${runs++}`), wish(command, more))

/** What is made ahead is made a few milliseconds after a launch. */
const quiet = () => Bun.sleep(40)

test("containers one after the other and at once have namespaces of their own", async () => {
  const host = own.map((name) => readlinkSync(`/proc/self/ns/${name}`))
  for (let round = 0; round < 4; round++) {
    const results = await Promise.all(Array.from({ length: 1 + (round % 3) * 3 }, () => start(script)))
    const seen: string[] = []
    for (const { stdout, code } of results) {
      const namespaces = stdout.trim().split("\n")
      expect([code, namespaces.length]).toEqual([0, own.length])
      expect(namespaces.filter((name) => host.includes(name))).toEqual([])
      seen.push(...namespaces)
    }
    expect(new Set(seen).size).toBe(seen.length)
    await quiet()
  }
}, 20_000)

test("the first container of a launcher sees the same as one whose namespaces were made ahead", async () => {
  const roots = ["cpu", "memory", "pids"]
    .map((kind) => `/sys/fs/cgroup/${kind}`)
    .filter((path) => existsSync(join(path, "cgroup.procs")))
  const directories = roots.map((path) => join(path, `sloop-stock-${process.pid}`))
  const more: Partial<ContainerWish> = {
    operations: directories.map((path): Operation => ["cgroup", path]),
    mounts: [
      ...standardMounts,
      ["mount", "tmpfs", "cgroup", "/sys/fs/cgroup", "nosuid,noexec,nodev", "mode=755"],
      ...roots.flatMap((path): Operation[] => [
        ["directory", path, "755", 0, 0],
        ["mount", "cgroup", "cgroup", path, "nosuid,noexec,nodev,relatime,ro", path.split("/").at(-1) ?? ""],
      ]),
      ...standardMasks,
      ["sysctl", "net.ipv4.ip_unprivileged_port_start", "79"],
      ["sysctl", "kernel.msgmax", "4242"],
    ],
  }
  const look =
    "cut -d' ' -f4- /proc/self/mountinfo; ls -a /..; cat /proc/self/cgroup /proc/net/dev; ls /sys/class/net /dev;" +
    "cat /proc/sys/net/ipv4/ip_unprivileged_port_start /proc/sys/kernel/msgmax; ip addr | grep -c UP"
  await using fresh = await startLauncher()
  makeRoot(join(fresh.directory, "root"))
  const views: string[] = []
  for (let round = 0; round < 3; round++) {
    const directory = join(fresh.directory, `c${round}`)
    const { stdout, stderr, code } = await run(fresh.socket, directory, wish(look, more))
    expect({ stderr, code }).toEqual({ stderr: "", code: 0 })
    views.push(stdout)
    await quiet()
  }
  expect(views[0]).toContain("79\n4242\n1\n")
  expect(views[1]).toBe(views[0] ?? "")
  expect(views[2]).toBe(views[0] ?? "")
  for (const path of directories) if (existsSync(path)) rmdirSync(path)
})

test("what is left in the stock ends with the launcher", async () => {
  const networks = () =>
    new Set(
      readdirSync("/proc")
        .filter((name) => /^\d+$/.test(name))
        .flatMap((pid) => {
          try {
            return readdirSync(`/proc/${pid}/fd`).map((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`))
          } catch {
            return []
          }
        })
        .filter((target) => target.startsWith("net:[")),
    )
  let kept: string[] = []
  {
    await using short = await startLauncher()
    makeRoot(join(short.directory, "root"))
    await run(short.socket, join(short.directory, "c"), wish("true"))
    await quiet()
    const pid = short.process.pid
    kept = readdirSync(`/proc/${pid}/fd`)
      .map((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`))
      .filter((target) => target.startsWith("net:[") && target !== readlinkSync("/proc/self/ns/net"))
    expect(kept).toHaveLength(1)
  }
  await quiet()
  expect(kept.filter((name) => networks().has(name))).toEqual([])
})

test("a monitor that lives on holds nothing of the stock", async () => {
  await start("true")
  await quiet()
  const connection = await connect(launcher.socket)
  const directory = join(launcher.directory, "long")
  mkdirSync(directory)
  connection.send(launchPlan(directory, wish("read x")).filter(([name]) => name !== "attach-expect"))
  const started = await connection.report()
  expect(started.kind).toBe("started")
  const init = Number(started.fields[0])
  const mine = new Set(own.map((name) => readlinkSync(`/proc/${init}/ns/${name}`)))
  const monitor = Number(/^PPid:\s+(\d+)$/m.exec(await Bun.file(`/proc/${init}/status`).text())?.[1])
  await quiet()
  const held = readdirSync(`/proc/${monitor}/fd`)
    .map((fd) => readlinkSync(`/proc/${monitor}/fd/${fd}`))
    .filter((target) => /^(mnt|ipc|net):\[/.test(target))
  expect(held.filter((target) => !mine.has(target))).toEqual([])
  process.kill(init, "SIGKILL")
  await connection.reports()
  connection.close()
})
