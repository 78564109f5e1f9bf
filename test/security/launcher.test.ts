// Attacks on the program that makes containers: its binary, its descriptors, its sockets.
import { afterAll, expect, test } from "bun:test"
import { createHash } from "node:crypto"
import {
  chmodSync,
  existsSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  writeFileSync,
} from "node:fs"
import { join } from "node:path"
import { compile } from "../fixtures/c-program.ts"
import { startEngine } from "../fixtures/engine.ts"
import { testLauncher } from "../fixtures/launcher-kernel.ts"
import { processesOf } from "../fixtures/processes.ts"

const engine = await startEngine()
afterAll(() => engine.close(), 60_000)
const { docker, ok, work } = engine
const programs = compile(join(work, "programs"), join(import.meta.dir, "overwrite.c"))
const binary = process.env.SLOOP_BIN ?? testLauncher()
const asNobody = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]
const hashOf = (path: string) => createHash("sha256").update(readFileSync(path)).digest("hex")

test("no program of the engine can be overwritten through /proc/PID/exe (CVE-2019-5736)", async () => {
  const before = [hashOf(binary), hashOf(testLauncher())]
  // Everything that lets a container see the engine's processes: a tiny init, execs, the host's own pids.
  const output: string[] = []
  for (const flags of [
    ["--init", "--cap-add", "SYS_PTRACE"],
    ["--init"],
    ["--pid", "host", "--privileged"],
  ]) {
    const id = await ok("run", "-d", "-v", `${programs}:/t:ro`, ...flags, "busybox", "/t/overwrite", "1")
    for (let round = 0; round < 8; round++) await docker("exec", id, "true")
    await ok("wait", id)
    output.push(await ok("logs", id))
    await ok("rm", id)
  }
  for (const text of output) expect(text).not.toContain("WROTE")
  // It did see them where it may trace them; without that capability not even their names can be read.
  expect(output[0]).toMatch(/^seen [1-9]/m)
  expect(output[1]).toBe("seen 0")
  expect(output[2]).toMatch(/^seen [1-9]/m)
  expect([hashOf(binary), hashOf(testLauncher())]).toEqual(before)
  const entry = await docker("run", "--rm", "--entrypoint", "/proc/self/exe", "busybox", "version")
  expect(entry.stdout).not.toContain("version")
  expect(await ok("run", "--rm", "busybox", "echo", "still there")).toBe("still there")
}, 60_000)

test("a working directory in /proc/self/fd reaches no descriptor of the host (CVE-2024-21626)", async () => {
  const marker = join(work, "marker")
  writeFileSync(marker, "the host's")
  const up = "../".repeat(12)
  const script = `test -e ${up}${marker.slice(1)} && echo ESCAPED; readlink /proc/self/cwd`
  const id = await ok("run", "-d", "busybox", "sleep", "60")
  const places = [
    ...Array.from({ length: 24 }, (_, n) => `/proc/self/fd/${n}`),
    "/proc/self/cwd",
    "/proc/1/cwd",
    "/proc/1/root/tmp",
    "/proc/thread-self/fd/5/.",
  ]
  await Promise.all(
    places.map(async (place) => {
      const run = await docker("run", "--rm", "-w", place, "busybox", "sh", "-c", script)
      expect(run.stdout).not.toContain("ESCAPED")
      expect(run.code).not.toBe(0)
      const exec = await docker("exec", "-w", place, id, "sh", "-c", script)
      expect(exec.stdout).not.toContain("ESCAPED")
      // Descriptors 0 to 2 of an exec are no directories; the process's own root and directory are inside.
      if (exec.code === 0) expect(exec.stdout).toMatch(/^\/\n$|^\/tmp\n$/)
    }),
  )
  // By an image's WORKDIR and a link in it.
  await ok("exec", id, "ln", "-s", "/proc/self/fd/7", "/sneaky")
  await ok("commit", "-c", "WORKDIR /sneaky", id, "sneaky")
  const sneaky = await docker("run", "--rm", "sneaky", "sh", "-c", script)
  expect(sneaky.stdout).not.toContain("ESCAPED")
  expect(sneaky.code).not.toBe(0)
  await ok("rm", "-f", id)
  await ok("rmi", "sneaky")
}, 60_000)

test("no descriptor of the host is in a container's process", async () => {
  const list = (output: string) => output.split("\n").filter((line) => !/^[012]$/.test(line))
  // ls has its own directory open, as descriptor 3.
  expect(list(await ok("run", "--rm", "busybox", "ls", "/proc/self/fd"))).toEqual(["3"])
  const id = await ok("run", "-d", "--init", "busybox", "sleep", "60")
  expect(list(await ok("exec", id, "ls", "/proc/self/fd"))).toEqual(["3"])
  expect(await ok("exec", id, "ls", "/proc/1/fd")).toBe("")
  await ok("rm", "-f", id)
})

test("data and run directories are the engine's alone (CVE-2021-41091)", async () => {
  const id = await ok("run", "-d", "-v", "modes:/v", "busybox", "sleep", "60")
  const group = (path: string) => statSync(path).mode & 0o067
  expect(group(join(engine.root, "data"))).toBe(0)
  // The way to the API's socket is open, everything else below is closed.
  expect(statSync(join(engine.root, "run")).mode & 0o066).toBe(0)
  expect(group(join(engine.root, "run", "c"))).toBe(0)
  // Nobody reaches a setuid file in a layer or a volume: the way there is closed to others at the first step.
  const path = join(engine.root, "data", "volumes")
  const look = Bun.spawnSync([...asNobody, "ls", path])
  expect(look.exitCode).not.toBe(0)
  await ok("rm", "-f", id)
  await ok("volume", "rm", "modes")
})

test("sockets are files that only their users may open; none is abstract (CVE-2020-15257)", async () => {
  const id = await ok("run", "-d", "--network", "host", "busybox", "sleep", "60")
  const ours = processesOf(engine)
  expect(ours.length).toBeGreaterThanOrEqual(3)
  const held = new Set(
    ours.flatMap((pid) =>
      readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
        try {
          const found = /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))
          return found?.[1] === undefined ? [] : [found[1]]
        } catch {
          return []
        }
      }),
    ),
  )
  const table = await ok("exec", id, "cat", "/proc/net/unix")
  const rows = table.split("\n").map((line) => line.trim().split(/\s+/))
  const named = rows.filter((row) => held.has(row[6] ?? "") && row[7] !== undefined)
  expect(named.length).toBeGreaterThan(0)
  expect(named.filter((row) => row[7]?.startsWith("@"))).toEqual([])
  expect(statSync(engine.socket).mode & 0o7777).toBe(0o660)
  for (const [, , , , , , , path = ""] of named) {
    // A name may be relative to a descriptor where the path is long.
    if (path.startsWith(join(engine.root, "run"))) expect(statSync(path).mode & 0o777).toBe(0o600)
  }
  await ok("rm", "-f", id)
})

test("launcher and monitor hang up on peers that are not root, even where the path is open", async () => {
  const id = await ok("run", "-d", "busybox", "sleep", "60")
  const launcher = join(engine.root, "run", "launcher.sock")
  const monitor = readdirSync(join(engine.root, "run", "c")).map((name) =>
    join(engine.root, "run", "c", name),
  )
  const sockets = [
    launcher,
    ...monitor.flatMap((path) => readdirSync(path).map((name) => join(path, name))),
  ].filter((path) => statSync(path).isSocket())
  expect(sockets.length).toBe(2)
  const open = [engine.root, join(engine.root, "run"), join(engine.root, "run", "c"), ...monitor, ...sockets]
  const modes = open.map((path) => [path, statSync(path).mode & 0o7777] as const)
  for (const path of open) chmodSync(path, 0o777)
  try {
    for (const path of sockets) {
      const plan = `import net from "node:net"; const s = net.connect(${JSON.stringify(path)}); s.on("error", () => {}); s.on("data", (d) => console.log("ANSWER", d.length)); s.on("close", () => process.exit(7)); s.write(Buffer.from("0101000009000000", "hex")); s.write("version\\0" + "0\\0"); setTimeout(() => process.exit(8), 1500)`
      const script = join(work, "peer.mjs")
      writeFileSync(script, plan)
      chmodSync(work, 0o755)
      const peer = Bun.spawnSync([...asNobody, "node", script])
      expect(peer.stdout.toString()).not.toContain("ok")
      expect(peer.exitCode).toBe(7)
    }
  } finally {
    for (const [path, mode] of modes) chmodSync(path, mode)
  }
  expect(existsSync(launcher)).toBe(true)
  expect(await ok("exec", id, "echo", "alive")).toBe("alive")
  await ok("rm", "-f", id)
})

test("a container reaches no listener of the engine over the network (CVE-2025-9074)", async () => {
  const id = await ok("run", "-d", "-p", "127.0.0.1::80", "busybox", "sleep", "60")
  const ours = new Set(
    processesOf(engine).flatMap((pid) =>
      readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
        try {
          return [readlinkSync(`/proc/${pid}/fd/${fd}`)]
        } catch {
          return []
        }
      }),
    ),
  )
  const listening = ["tcp", "tcp6"].flatMap((name) =>
    readFileSync(`/proc/net/${name}`, "utf8")
      .split("\n")
      .map((line) => line.trim().split(/\s+/))
      .filter((row) => row[3] === "0A" && ours.has(`socket:[${row[9]}]`)),
  )
  expect(listening).toEqual([])
  const gateway = await ok("inspect", "-f", "{{.NetworkSettings.Gateway}}", id)
  for (const port of ["2375", "2376"]) {
    const reached = await docker(
      "exec",
      id,
      "wget",
      "-T",
      "1",
      "-q",
      "-O",
      "-",
      `http://${gateway}:${port}/version`,
    )
    expect(reached.code).not.toBe(0)
  }
  await ok("rm", "-f", id)
})

test("the launcher is one static file: nothing is loaded after a root is entered (CVE-2019-14271)", () => {
  const bytes = readFileSync(testLauncher())
  const headers = Number(bytes.readBigUInt64LE(32))
  const types = Array.from({ length: bytes.readUInt16LE(56) }, (_, n) =>
    bytes.readUInt32LE(headers + n * bytes.readUInt16LE(54)),
  )
  const interpreter = 3
  expect(types).not.toContain(interpreter)
})

test("a daemon that is asked through its socket by someone else's user is not reached", () => {
  const peer = Bun.spawnSync([...asNobody, "curl", "-s", "--unix-socket", engine.socket, "http://d/version"])
  expect(peer.exitCode).not.toBe(0)
  expect(peer.stdout.toString()).toBe("")
})
