// A connection that was made ahead of its plan: its process holds nothing meanwhile, finds what came to be held later,
// and ends with its client or with the launcher.
import { afterAll, afterEach, beforeAll, expect, test } from "bun:test"
import { createHash } from "node:crypto"
import { existsSync, mkdirSync, readdirSync, readFileSync, readlinkSync } from "node:fs"
import { join } from "node:path"
import { writeTar } from "../../src/base/tar-writer.ts"
import { writeLayer } from "../../src/snapshots/erofs/write-layer.ts"
import { ask, type Connection, connect, type Operation, startLauncher, type TestLauncher } from "./client.ts"
import { type ContainerWish, launchPlan, makeRoot, run } from "./container.ts"

let launcher: TestLauncher
let root: string
beforeAll(async () => {
  launcher = await startLauncher()
  root = makeRoot(join(launcher.directory, "root"))
})
afterAll(() => launcher[Symbol.asyncDispose]())

const eventually = async (holds: () => boolean, milliseconds = 5000): Promise<void> => {
  for (const end = Date.now() + milliseconds; !holds(); await Bun.sleep(2))
    if (Date.now() > end) throw new Error("it never came to hold")
}
const parentOf = (pid: number): number => {
  try {
    return Number(/^PPid:\s+(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1])
  } catch {
    return 0
  }
}
const childrenOf = (parent: number): number[] =>
  readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => parentOf(pid) === parent)
const descriptorsOf = (pid: number): string[] =>
  readdirSync(`/proc/${pid}/fd`).map((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`))

const opened: Connection[] = []
afterEach(() => {
  for (const connection of opened.splice(0)) connection.close()
})

/** A connection whose process has begun to wait, and that process. */
async function waiting(from: TestLauncher = launcher): Promise<{ connection: Connection; pid: number }> {
  const parent = from.process.pid ?? 0
  await eventually(() => childrenOf(parent).length === 0)
  const connection = await connect(from.socket)
  opened.push(connection)
  await eventually(() => childrenOf(parent).length === 1)
  const [pid = 0] = childrenOf(parent)
  await eventually(() => readFileSync(`/proc/${pid}/wchan`, "utf8").includes("poll"))
  return { connection, pid }
}

const wish = (command: string, more: Partial<ContainerWish> = {}): ContainerWish => ({
  root: [["root-path", root]],
  argv: ["/bin/sh", "-c", command],
  ...more,
})
const joined = (name: string): Partial<ContainerWish> => ({
  namespaces: ["mount", "pid", "uts", "ipc", "cgroup"],
  operations: [["namespace", "network", `held:${name}`]],
})
let runs = 0
async function launchOver(connection: Connection, command: string, more?: Partial<ContainerWish>) {
  const directory = join(launcher.directory, `w${runs++}`)
  mkdirSync(directory)
  connection.send(launchPlan(directory, wish(command, more)).filter(([name]) => name !== "attach-expect"))
  const reports = await connection.reports()
  connection.close()
  return reports.map(({ kind, fields }) => [kind, kind === "started" ? "" : fields[0]])
}
const ended = [
  ["started", ""],
  ["exited", "0"],
]

test("a process that waits has the host's namespaces, its connection and the counter, and nothing of what is held", async () => {
  await ask(launcher.socket, [["netns-create"], ["name", "early"]])
  await run(launcher.socket, join(launcher.directory, "stock"), wish("true"))
  await Bun.sleep(40)
  const { connection, pid } = await waiting()
  const host = ["mnt", "net"].map((kind) => readlinkSync(`/proc/self/ns/${kind}`))
  const own = descriptorsOf(pid).filter((target) => !target.startsWith("socket:"))
  expect(own.filter((target) => /^(mnt|net|ipc):\[/.test(target)).toSorted()).toEqual(host.toSorted())
  // The last two are a line for what will be asked at the counter.
  expect(descriptorsOf(pid).filter((target) => target.startsWith("socket:"))).toHaveLength(4)
  expect(own).not.toContain("/")
  connection.close()
  await ask(launcher.socket, [["netns-drop"], ["name", "early"]])
})

test("a plan that comes late is performed with what is held by then", async () => {
  const { connection } = await waiting()
  await ask(launcher.socket, [["netns-create"], ["name", "late"]])
  expect(await launchOver(connection, "ip link show lo | grep -q LOWER_UP", joined("late"))).toEqual(ended)
  const listing = await connect(launcher.socket)
  await Bun.sleep(20)
  await ask(launcher.socket, [["netns-drop"], ["name", "late"]])
  listing.send([["netns-list"]])
  expect((await listing.report()).fields).toEqual([])
  listing.close()
})

test("a namespace that was dropped is not found, and its links are gone though a connection waits", async () => {
  const host = `hl${process.pid}`.slice(0, 14)
  const networks = () =>
    descriptorsOf(launcher.process.pid ?? 0).filter((target) => target.startsWith("net:["))
  const before = new Set(networks())
  await ask(launcher.socket, [["netns-create"], ["name", "gone"]])
  await eventually(() => networks().length > before.size)
  const fd = readdirSync(`/proc/${launcher.process.pid}/fd`).find((number) => {
    const target = readlinkSync(`/proc/${launcher.process.pid}/fd/${number}`)
    return target.startsWith("net:[") && !before.has(target)
  })
  const ip = (...words: string[]) => {
    const { exitCode, stderr } = Bun.spawnSync(["ip", "link", ...words])
    expect([exitCode, stderr.toString()]).toEqual([0, ""])
  }
  ip("add", host, "type", "veth", "peer", "name", `${host}p`)
  const { connection, pid } = await waiting()
  ip("set", `${host}p`, "netns", `/proc/${launcher.process.pid}/fd/${fd}`)
  expect(existsSync(`/sys/class/net/${host}`)).toBe(true)
  await ask(launcher.socket, [["netns-drop"], ["name", "gone"]])
  await eventually(() => !existsSync(`/sys/class/net/${host}`))
  expect(existsSync(`/proc/${pid}`)).toBe(true)
  expect(await launchOver(connection, "true", joined("gone"))).toEqual([["failed", "namespace"]])
})

test("layers that are held are found by a plan that comes late, and let go of while it waits", async () => {
  const directory = join(launcher.directory, "layer")
  mkdirSync(directory)
  mkdirSync(join(launcher.directory, "floor"))
  const body = Buffer.from(createHash("sha256").update("x").digest("hex"))
  const tar = writeTar([{ name: "f", type: "file", body }])
  await writeLayer(directory, tar, { top: async () => ({ mode: 0o755, uid: 0, gid: 0 }) })
  const look: Operation[] = [
    ["stat"],
    ["root-overlay", "", "", "", `erofs:${directory}`, join(launcher.directory, "floor")],
    ["path", "/f"],
  ]
  const mounts = () => descriptorsOf(launcher.process.pid ?? 0).filter((target) => target === "/").length
  const before = mounts()
  const first = await waiting()
  expect((await ask(launcher.socket, look)).kind).toBe("ok")
  expect(mounts()).toBe(before + 1)
  first.connection.send(look)
  expect((await first.connection.report()).kind).toBe("ok")
  first.connection.close()
  expect(mounts()).toBe(before + 1)
  const second = await waiting()
  expect((await ask(launcher.socket, [["remove-tree"], ["path", directory]])).kind).toBe("ok")
  await eventually(() => mounts() === before)
  expect(descriptorsOf(second.pid)).not.toContain("/")
  second.connection.close()
})

test("a process that waits ends with its client", async () => {
  const { connection, pid } = await waiting()
  connection.close()
  await eventually(() => !existsSync(`/proc/${pid}/exe`))
})

test("a process that waits ends with its launcher, and its client is told", async () => {
  const short = await startLauncher()
  const { connection, pid } = await waiting(short)
  await short[Symbol.asyncDispose]()
  await eventually(() => !existsSync(`/proc/${pid}/exe`))
  expect(await connection.reports()).toEqual([])
  connection.close()
})

test("containers of connections that all waited start at once, each in namespaces of its own", async () => {
  const connections = await Promise.all(Array.from({ length: 8 }, () => connect(launcher.socket)))
  await Bun.sleep(30)
  const all = await Promise.all(connections.map((connection) => launchOver(connection, "sleep 0.3")))
  expect(all).toEqual(Array.from({ length: 8 }, () => ended))
})

test("a launch that began while its connection waited outlives the launcher", async () => {
  const short = await startLauncher()
  const { connection } = await waiting(short)
  const over = launchOver(connection, "sleep 0.4")
  await Bun.sleep(100)
  short.process.kill("SIGKILL")
  expect(await over).toEqual(ended)
  await short[Symbol.asyncDispose]()
})
