// Attacks on the launcher (attacks.md), mounted for real: images and containers that try to reach the host.
import { afterAll, beforeAll, expect, test } from "bun:test"
import { createHash } from "node:crypto"
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs"
import { join } from "node:path"
import {
  ask,
  connect,
  encodeFrame,
  launcherBinary,
  type Operation,
  startLauncher,
  type TestLauncher,
} from "./client.ts"
import {
  type ContainerWish,
  failureOf,
  launchPlan,
  makeRoot,
  type Run,
  run,
  standardMasks,
  standardMounts,
} from "./container.ts"

let launcher: TestLauncher
let host: string
let count = 0

beforeAll(async () => {
  launcher = await startLauncher()
  host = mkdtempSync("/var/tmp/sloop-test/victim-")
})
afterAll(async () => {
  await launcher[Symbol.asyncDispose]()
  rmSync(host, { recursive: true, force: true })
})

const image = (): string => makeRoot(join(launcher.directory, `r${++count}`))
const replace = (root: string, path: string, target: string): void => {
  rmSync(join(root, path), { recursive: true, force: true })
  symlinkSync(target, join(root, path))
}
const start = (root: string, wish: Partial<ContainerWish> = {}): Promise<Run> =>
  run(launcher.socket, join(launcher.directory, `c${++count}`), {
    root: [["root-path", root]],
    argv: ["true"],
    mounts: standardMounts,
    ...wish,
  })
const mounts = (...list: Operation[]): Partial<ContainerWish> => ({ mounts: [...standardMounts, ...list] })
const hash = (path: string): string => createHash("sha256").update(readFileSync(path)).digest("hex")

test("the launcher's binary cannot be written through /proc/PID/exe (CVE-2019-5736)", async () => {
  const before = hash(launcherBinary)
  const script = "echo '#!/bin/sh' > /proc/1/exe; readlink /proc/1/exe"
  const hidden = await start(image(), { argv: ["sh", "-c", script], operations: [["init"]] })
  expect([hidden.stdout, hidden.code]).toEqual(["", 1])
  const all = "1ffffffffff"
  const privileged = await start(image(), {
    argv: ["sh", "-c", script],
    operations: [["init"]],
    caps: [all, all, all, "0", "0"],
  })
  expect(privileged.stdout).toContain("memfd:sloop-launcher")
  expect(privileged.stderr).toMatch(/Text file busy|Operation not permitted|Permission denied/)
  expect(hash(launcherBinary)).toBe(before)
  expect((await ask(launcher.socket, [["version"]])).kind).toBe("ok")
})

test("the working directory cannot be a leaked descriptor (CVE-2024-21626)", async () => {
  const root = image()
  replace(root, "sneaky", "/proc/self/fd/7")
  for (let fd = 0; fd < 20; fd++) {
    const result = await start(root, { operations: [["cwd", `/proc/self/fd/${fd}`, "create"]] })
    expect(failureOf(result).step).toBe("cwd")
  }
  for (const path of ["/proc/self/fd/7/../../..", "/proc/1/root", "/proc/self/cwd", "/sneaky"])
    expect(failureOf(await start(root, { operations: [["cwd", path, "exist"]] })).step).toBe("cwd")
})

test("masks do not use the image's /dev/null (CVE-2025-31133)", async () => {
  const root = image()
  writeFileSync(join(host, "target"), "host")
  symlinkSync("/proc/sysrq-trigger", join(root, "dev/null"))
  const only = standardMounts.filter(([, type]) => type === "proc" || type === "sysfs")
  const result = await start(root, {
    argv: ["sh", "-c", "wc -c < /proc/keys; stat -c %t:%T /proc/keys"],
    mounts: [...only, ...standardMasks],
  })
  expect(result.stdout).toBe("0\n1:3\n")
})

test("a terminal comes from a real devpts only (CVE-2025-52565)", async () => {
  const root = image()
  mkdirSync(join(root, "dev/pts"))
  writeFileSync(join(root, "dev/pts/ptmx"), "")
  const tty: Partial<ContainerWish> = { stdio: ["stdio", "tty", "open", "once", 0, 0] }
  const bare = await start(root, { ...tty, mounts: [["console"]] })
  expect(failureOf(bare)).toMatchObject({ step: "console", errno: 19 })
  replace(root, "dev/pts", "/proc/self/fd")
  expect(failureOf(await start(root, { ...tty, mounts: [["console"]] })).step).toBe("console")
})

test("nothing but a procfs is mounted over /proc (CVE-2019-16884, CVE-2025-52881)", async () => {
  const root = image()
  mkdirSync(join(host, "fake"), { recursive: true })
  writeFileSync(join(host, "figure"), "fake")
  const bind = (target: string, kind = "dir"): Operation => [
    "bind",
    join(host, kind === "dir" ? "fake" : "figure"),
    target,
    "",
    "any",
    "",
  ]
  for (const target of [
    "/proc",
    "/proc/",
    "/./proc",
    "/etc/../proc",
    "/proc/sys",
    "/proc/1",
    "/tmp/../proc/self",
  ])
    expect(failureOf(await start(root, mounts(bind(target)))).step).toBe("bind")
  expect(failureOf(await start(root, mounts(["mount", "tmpfs", "tmpfs", "/proc", "", ""]))).step).toBe(
    "mount",
  )
  expect(failureOf(await start(root, { mounts: [bind("/proc")] })).step).toBe("bind")
  expect(failureOf(await start(root, mounts(bind("/proc/self/attr/exec", "file")))).step).toBe("bind")
  replace(root, "innocent", "/proc")
  expect(failureOf(await start(root, mounts(bind("/innocent")))).step).toBe("bind")
  const allowed = await start(root, {
    ...mounts(bind("/proc/cpuinfo", "file")),
    argv: ["cat", "/proc/cpuinfo"],
  })
  expect(allowed.stdout).toBe("fake")
})

test.each(["dev", "proc", "sys"])(
  "an image that ships /%s as a link is refused, the host is untouched (CVE-2026-41579)",
  async (name) => {
    const root = image()
    mkdirSync(join(host, "trap"), { recursive: true })
    replace(root, name, `../../../../../../..${host}/trap`)
    const failed = failureOf(await start(root))
    expect(failed.message).toContain("symbolic link in the image")
    expect(failed.path).toStartWith(`/${name}`)
    replace(root, name, "/tmp")
    expect(failureOf(await start(root)).message).toContain("symbolic link in the image")
    expect(readdirSync(join(host, "trap"))).toEqual([])
  },
)

test("links in the image lead nowhere but into the image", async () => {
  const root = image()
  mkdirSync(join(host, "source"), { recursive: true })
  for (const [name, target] of [
    ["up", `../../../../../..${host}`],
    ["absolute", host],
    ["loop", "loop"],
  ] as const)
    replace(root, name, target)
  mkdirSync(join(root, host), { recursive: true })
  const bind = (target: string): Partial<ContainerWish> =>
    mounts(["bind", join(host, "source"), target, "", "dir", ""])
  for (const target of ["/up/a", "/absolute/b", "/../../../c"])
    expect((await start(root, bind(target))).code).toBe(0)
  expect(readdirSync(host).filter((name) => "abc".includes(name))).toEqual([])
  expect(existsSync(join(root, host, "a"))).toBe(true)
  expect(failureOf(await start(root, bind("/loop/x")))).toMatchObject({ step: "bind", errno: 40 })
  expect(failureOf(await start(root, bind("/"))).message).toContain("root itself")
  expect(failureOf(await start(root, bind("/proc/self/root/etc"))).errno).toBe(40)
})

test("dangling links are followed inside the image, and what they lead to is made there", async () => {
  const root = image()
  writeFileSync(join(host, "hosts"), "bound")
  replace(root, "etc/resolv.conf", "../run/resolve/stub.conf")
  replace(root, "etc/hosts", `${host}/made-outside`)
  replace(root, "var/run", "/run")
  replace(root, "etc/circle", "circle")
  const bind = (target: string): Operation => ["bind", join(host, "hosts"), target, "", "file", ""]
  const result = await start(root, {
    ...mounts(bind("/etc/resolv.conf"), bind("/etc/hosts"), bind("/var/run/deep/file")),
    argv: ["cat", "/run/resolve/stub.conf", "/etc/hosts", "/run/deep/file"],
  })
  expect(result.stdout).toBe("boundboundbound")
  expect(existsSync(join(host, "made-outside"))).toBe(false)
  expect(failureOf(await start(root, mounts(bind("/etc/circle")))).errno).toBe(40)
})

test("a linked working directory is made in the root only (CVE-2026-55686)", async () => {
  const root = image()
  replace(root, "work", `../../../../../../../..${host}`)
  mkdirSync(join(root, host), { recursive: true })
  const result = await start(root, { argv: ["pwd"], operations: [["cwd", "/work/made", "create"]] })
  expect(result.stdout).toBe(`${host}/made\n`)
  expect(existsSync(join(host, "made"))).toBe(false)
  expect(existsSync(join(root, host, "made"))).toBe(true)
})

test("tables that are no files do not stall or feed the launcher", async () => {
  const root = image()
  rmSync(join(root, "etc/passwd"))
  Bun.spawnSync(["mkfifo", join(root, "etc/passwd")])
  replace(root, "etc/group", "/proc/1/environ")
  expect((await start(root, { argv: ["echo", "-n", "0"] })).stdout).toBe("0")
  expect(failureOf(await start(root, { operations: [["user", "user"]] })).step).toBe("user")
})

const flipper = `
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
int main(int c, char **v) { for (;;) renameat2(AT_FDCWD, v[1], AT_FDCWD, v[2], RENAME_EXCHANGE); }
`

test("100,000 mounts while a neighbour exchanges the target for a link never land outside (CVE-2021-30465)", async () => {
  const root = image()
  const volume = join(host, "volume")
  const outside = join(host, "outside")
  for (const path of [join(volume, "x"), outside, join(root, outside), join(host, "empty")])
    mkdirSync(path, { recursive: true })
  symlinkSync(`../../../../../../../../..${outside}`, join(volume, "link"))
  writeFileSync(join(host, "flip.c"), flipper)
  Bun.spawnSync(["cc", "-O1", "-o", join(host, "flip"), join(host, "flip.c")])
  const flip = Bun.spawn([join(host, "flip"), join(volume, "x"), join(volume, "link")])
  try {
    const tries = 500
    const list: Operation[] = [["bind", volume, "/vol", "", "dir", ""]]
    for (let n = 0; n < tries; n++)
      list.push(["readonly", `/vol/x/${n}`], ["directory", `/vol/x/d${n}`, "755", 0, 0])
    for (let n = 0; n < 5; n++) list.push(["bind", join(host, "empty"), `/vol/x/mounted${n}`, "", "dir", ""])
    let whole = 0
    for (let n = 0; n < 100_000 / (tries * 2); n++) {
      whole += (await start(root, { mounts: list })).code === 0 ? 1 : 0
      for (const made of readdirSync(join(volume, "x")))
        try {
          rmdirSync(join(volume, "x", made))
        } catch {
          // The neighbour has just exchanged the directory for its link.
        }
      const left = readdirSync(outside)
      if (left.length) throw new Error(`things landed outside: ${left}`)
    }
    expect(whole).toBeGreaterThan(10)
  } finally {
    flip.kill()
    await flip.exited
  }
}, 60_000)

test("a container dies with its monitor, and nothing of it stays mounted on the host", async () => {
  const before = readFileSync("/proc/self/mountinfo", "utf8")
  const at = join(launcher.directory, `c${++count}`)
  mkdirSync(at)
  const connection = await connect(launcher.socket)
  const plan = launchPlan(at, {
    root: [["root-path", image()]],
    argv: ["sleep", "60"],
    mounts: standardMounts,
    operations: [["user", "user"]],
  })
  connection.send(plan.filter(([name]) => name !== "attach-expect"))
  const pid = Number((await connection.report()).fields[0])
  expect(readFileSync("/proc/self/mountinfo", "utf8")).toBe(before)
  const monitor = Number(/PPid:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1])
  process.kill(monitor, "SIGKILL")
  const state = (): string => {
    try {
      return /State:\s+(\w)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? ""
    } catch {
      return "gone"
    }
  }
  for (let tries = 0; !["gone", "Z", "X"].includes(state()) && tries < 200; tries++) await Bun.sleep(5)
  expect(["gone", "Z", "X"]).toContain(state())
  connection.close()
})

test("the socket is for root alone, and broken frames end with one sentence", async () => {
  expect(statSync(launcher.socket).mode & 0o777).toBe(0o600)
  const plan = (payload: string): Buffer => encodeFrame(1, Buffer.from(payload))
  const broken = [
    Buffer.from([2, 1, 0, 0, 0, 0, 0, 0]),
    Buffer.from([1, 9, 0, 0, 0, 0, 0, 0]),
    Buffer.from([1, 1, 0, 0, 255, 255, 255, 255]),
    plan(""),
    plan("version"),
    plan("version\0" + "99999999999999999999\0"),
    plan("version\0" + "3\0a\0"),
    encodeFrame(3, Buffer.from("data first")),
  ]
  for (const bytes of broken) {
    const connection = await connect(launcher.socket)
    connection.socket.end(bytes)
    const reports = await connection.reports()
    expect(reports.map(({ kind }) => kind)).toEqual(["failed"])
    connection.close()
  }
  expect((await ask(launcher.socket, [["no-such-verb"]])).kind).toBe("failed")
})
