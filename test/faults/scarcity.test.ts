// No disk, no descriptors, no memory: a clear sentence, nothing half there, and work goes on when there is room again.
import { afterAll, afterEach, expect, test } from "bun:test"
import { spawnSync } from "node:child_process"
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statfsSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { eventually, startEngine } from "../fixtures/engine.ts"
import { rawRequest } from "../fixtures/raw-request.ts"

const place = mkdtempSync("/tmp/slf-")
const small = join(place, "small")
mkdirSync(small)
const mounted = spawnSync("mount", ["-t", "tmpfs", "-o", "size=80m,mode=700", "slf", small])
if (mounted.status !== 0) throw new Error(`no small disk: ${mounted.stderr}`)

const engine = await startEngine({ dataRoot: join(small, "data") })
const { docker, ok } = engine
afterEach(async () => {
  relieve()
  // The room kept aside is taken again.
  await Bun.sleep(600)
})
afterAll(async () => {
  await engine.close()
  spawnSync("umount", ["-l", small])
  rmSync(place, { recursive: true, force: true })
}, 60_000)

const free = () => {
  const { bavail, bsize } = statfsSync(small)
  return bavail * bsize
}
/** Fills the disk to the last byte. */
const fill = () => {
  spawnSync("dd", ["if=/dev/zero", `of=${join(small, "ballast")}`, "bs=64k"], { stdio: "ignore" })
  for (let count = 0; free() > 0 && count < 100; count++) writeFileSync(join(small, `crumb-${count}`), "x")
}
const relieve = () => {
  for (const name of readdirSync(small)) if (/^(ballast|crumb)/.test(name)) rmSync(join(small, name))
}
const listing = async () => [
  await ok("ps", "-a", "--no-trunc", "--format", "{{.ID}} {{.Names}} {{.State}}"),
  await ok("images", "-a", "--no-trunc", "--format", "{{.ID}} {{.Repository}}:{{.Tag}}"),
  await ok("volume", "ls", "-q"),
]
const said = /no space left on|disk is full|disk quota exceeded/i

test("a full disk: every verb that writes says so, and changes nothing", async () => {
  const runner = await ok(
    "run",
    "-d",
    "--name",
    "runner",
    "busybox",
    "sh",
    "-c",
    "while :; do echo tick; sleep 0.05; done",
  )
  const idle = await ok("create", "--name", "idle", "busybox", "true")
  const archive = join(engine.work, "image.tar")
  await ok("save", "-o", archive, "busybox")
  const other = join(engine.work, "other.tar")
  // Another layer, so that it has to be written.
  writeFileSync(join(engine.work, "filler"), Buffer.alloc(4 << 20, "filler of another layer"))
  spawnSync("tar", ["-C", engine.work, "-cf", other, "filler"])
  const before = await listing()
  fill()
  const failures: [string, string[]][] = [
    ["create", ["create", "--name", "no-room", "busybox"]],
    ["create with a volume", ["create", "-v", "no-room:/v", "busybox"]],
    ["run", ["run", "--name", "no-room", "busybox", "true"]],
    ["volume", ["volume", "create", "no-room"]],
    ["import", ["import", other, "no-room"]],
    ["tag", ["tag", "busybox", "no-room"]],
    ["rename", ["rename", "idle", "no-room"]],
    ["commit", ["commit", "runner", "no-room"]],
  ]
  const silent: string[] = []
  for (const [title, words] of failures) {
    const result = await engine.dockerWith({ timeout: 15_000 }, ...words)
    if (result.code === 0 || !said.test(result.stderr) || /\n\s+at /.test(result.stderr))
      silent.push(`${title}: ${result.code} ${result.stdout}${result.stderr}`)
  }
  expect(silent).toEqual([])
  // What needs no room goes on.
  expect(await listing()).toEqual(before)
  expect(await ok("exec", "runner", "echo", "goes on")).toBe("goes on")
  expect((await rawRequest(engine.socket, "GET", "/_ping")).body).toBe("OK")
  await ok("inspect", runner, idle)
  relieve()
  expect(await listing()).toEqual(before)
  expect(await ok("run", "--rm", "busybox", "echo", "room again")).toBe("room again")
  // The log has a gap and no broken line.
  await Bun.sleep(200)
  expect(new Set((await ok("logs", "runner")).split("\n"))).toEqual(new Set(["tick"]))
  await ok("rm", "-f", runner, idle)
}, 90_000)

test("a full disk: containers can be stopped and removed, and their ends are known", async () => {
  const first = await ok("run", "-d", "busybox", "sh", "-c", "sleep 0.5; exit 9")
  const second = await ok("run", "-d", "busybox", "sleep", "1000")
  fill()
  expect(await ok("wait", first)).toBe("9")
  const stopped = await docker("stop", "-t", "0", second)
  expect(stopped.stderr).toBe("")
  expect(await ok("inspect", "-f", "{{.State.Status}} {{.State.ExitCode}}", first, second)).toBe(
    "exited 9\nexited 137",
  )
  // Room is kept aside for what makes room.
  await ok("rm", "-f", first, second)
  expect(await ok("ps", "-aq")).toBe("")
}, 60_000)

test("a disk that fills while an image comes in: the image is not there, its bytes are given back", async () => {
  const before = await listing()
  const big = join(engine.work, "big.tar")
  writeFileSync(join(engine.work, "bulk"), Buffer.alloc(90 << 20, Math.random().toString()))
  spawnSync("tar", ["-C", engine.work, "-cf", big, "bulk"])
  const room = free()
  const imported = await docker("import", big, "too-big")
  expect(imported.code).not.toBe(0)
  expect(imported.stderr).toMatch(said)
  const id = await ok("run", "-d", "busybox", "sleep", "1000")
  const copied = await docker("cp", join(engine.work, "bulk"), `${id}:/tmp/bulk`)
  expect(copied.code).not.toBe(0)
  expect(copied.stderr).toMatch(said)
  await ok("rm", "-f", id)
  expect(await listing()).toEqual(before)
  await eventually("the room is given back", () => free() > room - (1 << 20))
}, 60_000)

test("a restart on a full disk finds what runs", async () => {
  const id = await ok("run", "-d", "busybox", "sleep", "1000")
  fill()
  await engine.kill9()
  try {
    await engine.start()
    expect(await ok("inspect", "-f", "{{.State.Status}}", id)).toBe("running")
  } finally {
    relieve()
  }
  await ok("rm", "-f", id)
}, 60_000)

test("out of descriptors: refused or late, never dead; afterwards all is well", async () => {
  const id = await ok("run", "-d", "busybox", "sh", "-c", "while :; do echo tick; sleep 0.1; done")
  const open = readdirSync(`/proc/${engine.pid()}/fd`).length
  const limited = (count: string) =>
    spawnSync("prlimit", ["--pid", String(engine.pid()), `--nofile=${count}:`])
  expect(limited(String(open + 6)).status).toBe(0)
  const results = await Promise.all(
    Array.from({ length: 12 }, (_, n) =>
      engine.dockerWith(
        { timeout: 6000 },
        ...(n % 3 === 0
          ? ["run", "--rm", "busybox", "true"]
          : n % 3 === 1
            ? ["logs", id]
            : ["exec", id, "true"]),
      ),
    ),
  )
  expect(limited("4096").status).toBe(0)
  // What fails after the hijack is told on the stream itself, which the client shows on its standard output.
  for (const { code, stdout, stderr } of results)
    if (code !== 0)
      expect(stdout + stderr).toMatch(
        /too many open files|EMFILE|killed by the test|Cannot connect|EOF|closed|reset|unable to upgrade to tcp/i,
      )
  await eventually(
    "it answers",
    async () => (await engine.dockerWith({ timeout: 3000 }, "version")).code === 0,
  )
  expect(await ok("run", "--rm", "busybox", "echo", "well")).toBe("well")
  expect(await ok("exec", id, "echo", "well")).toBe("well")
  await ok("rm", "-f", id)
  for (const left of (await ok("ps", "-aq")).split("\n").filter(Boolean)) await ok("rm", "-f", left)
}, 60_000)

test("out of memory in the cgroup: killed, told so, and told in events", async () => {
  const id = await ok(
    "run",
    "-d",
    "--memory",
    "16m",
    "--memory-swap",
    "16m",
    "busybox",
    "sh",
    "-c",
    "x=a; while :; do x=$x$x; done",
  )
  expect(await ok("wait", id)).toBe("137")
  expect(await ok("inspect", "-f", "{{.State.OOMKilled}} {{.State.ExitCode}}", id)).toBe("true 137")
  const now = String(Math.floor(Date.now() / 1000) + 1)
  const events = await ok(
    "events",
    "--since",
    "1m",
    "--until",
    now,
    "--filter",
    `container=${id}`,
    "--format",
    "{{.Action}}",
  )
  expect(events.split("\n")).toContain("oom")
  await ok("rm", id)
  // A child that is killed is no end of the container.
  const child = await ok(
    "run",
    "-d",
    "--memory",
    "16m",
    "--memory-swap",
    "16m",
    "busybox",
    "sh",
    "-c",
    "sh -c 'x=a; while :; do x=$x$x; done'; echo survived; sleep 60",
  )
  await eventually("it goes on", async () => (await ok("logs", child)).includes("survived"))
  expect(await ok("inspect", "-f", "{{.State.Status}}", child)).toBe("running")
  await ok("rm", "-f", child)
}, 60_000)

test("an exec that is killed for want of memory is told while its container goes on, and once", async () => {
  const id = await ok("run", "-d", "--memory", "30m", "--memory-swap", "30m", "busybox", "sleep", "1000")
  const oomEvents = async () => {
    const until = String(Math.floor(Date.now() / 1000) + 1)
    const words = ["events", "--since", "1m", "--until", until, "--filter", `container=${id}`]
    return (await ok(...words, "--filter", "event=oom", "--format", "{{.Action}}")).split("\n")
  }
  const state = () => ok("inspect", "-f", "{{.State.OOMKilled}} {{.State.Status}}", id)
  expect(await state()).toBe("false running")
  expect((await docker("exec", id, "tail", "/dev/zero")).code).toBe(137)
  expect(await state()).toBe("true running")
  expect(await oomEvents()).toEqual(["oom"])
  expect((await docker("exec", id, "true")).code).toBe(0)
  await ok("stop", "-t", "0", id)
  expect(await state()).toBe("true exited")
  expect(await oomEvents()).toEqual(["oom"])
  await ok("start", id)
  expect(await state()).toBe("false running")
  await ok("rm", "-f", id)
}, 60_000)

test("out of pids: the container's own trouble, and it can still be stopped", async () => {
  const id = await ok(
    "run",
    "-d",
    "--pids-limit",
    "4",
    "busybox",
    "sh",
    "-c",
    "sleep 1000 & sleep 1000 & sleep 1000 & exec sleep 1000",
  )
  await Bun.sleep(200)
  const exec = await docker("exec", id, "sh", "-c", "true & true & wait")
  expect(exec.code).not.toBe(0)
  expect(exec.stdout + exec.stderr).toMatch(/resource temporarily unavailable|fork/i)
  await ok("rm", "-f", id)
  expect(await ok("run", "--rm", "busybox", "echo", "well")).toBe("well")
})
