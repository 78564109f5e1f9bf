// Images and neighbours that lead mounts astray: links, exchanged directories, false /proc and /dev.
import { afterAll, expect, test } from "bun:test"
import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { compile } from "../fixtures/c-program.ts"
import { startEngine } from "../fixtures/engine.ts"
import { layBait } from "./bait.ts"
import { imageOf } from "./evil-image.ts"

const engine = await startEngine()
afterAll(() => engine.close(), 60_000)
const { docker, ok, work } = engine
const programs = compile(join(work, "programs"), join(import.meta.dir, "exchange.c"))
const { bait, untouched } = layBait(work, "kept", "kept")

test("an image whose /dev, /proc, /sys or /etc is a link to the host's path touches nothing there (CVE-2026-41579)", async () => {
  for (const name of ["dev", "proc", "sys", "etc"]) {
    const image = await imageOf(engine, `linked-${name}`, [{ name, kind: "2", link: bait }])
    const run = await docker("run", "--rm", "--init", image, "true")
    untouched()
    // Either the link means a place in the image, or it is refused in a sentence.
    if (run.code !== 0) expect(run.stderr).toMatch(/Error response from daemon: .+/)
    await ok("rmi", image)
  }
}, 60_000)

test("an image's links beneath /dev and /etc lead nowhere but into the image", async () => {
  const image = await imageOf(engine, "links", [
    { name: "dev/null", kind: "2", link: join(bait, "null") },
    { name: "dev/pts", kind: "2", link: bait },
    { name: "dev/shm", kind: "2", link: bait },
    { name: "dev/mqueue", kind: "2", link: `../../../..${bait}` },
    { name: "dev/console", kind: "2", link: join(bait, "kept") },
    { name: "etc/hosts", kind: "2", link: join(bait, "kept") },
    { name: "etc/resolv.conf", kind: "2", link: `../../../../../..${bait}/kept` },
    { name: "etc/hostname", kind: "2", link: "/proc/1/root/etc/hostname" },
  ])
  for (const flags of [[], ["-t"], ["--network", "host"]]) {
    await docker(
      "run",
      "--rm",
      ...flags,
      image,
      "sh",
      "-c",
      "echo evil > /etc/hosts; echo evil > /dev/null; echo evil > /dev/shm/x",
    )
    untouched()
  }
  await ok("rmi", image)
}, 60_000)

test("masked files are covered by the true /dev/null, whatever lies in /dev (CVE-2025-31133)", async () => {
  await ok(
    "run",
    "--rm",
    "-v",
    "false-dev:/x",
    "busybox",
    "ln",
    "-s",
    "/proc/sys/kernel/core_pattern",
    "/x/null",
  )
  const look =
    "for f in /proc/kcore /proc/keys /proc/timer_list /proc/latency_stats; do test -e $f && stat -c '%F %t:%T' $f; done; wc -c < /proc/keys; echo x > /proc/sys/kernel/core_pattern"
  const run = await docker("run", "--rm", "-v", "false-dev:/dev", "busybox", "sh", "-c", look)
  if (run.code === 125) expect(run.stderr).toContain("/dev")
  else {
    expect(run.stdout).toMatch(/^(character special file 1:3\n)+0\n$/)
    expect(run.stderr).toMatch(/core_pattern: Read-only file system/)
  }
  await ok("volume", "rm", "false-dev")
})

test("nothing false is put over /proc (CVE-2019-16884, CVE-2025-52881)", async () => {
  await ok(
    "run",
    "--rm",
    "-v",
    "false:/x",
    "busybox",
    "sh",
    "-c",
    "mkdir -p /x/self/attr /x/sys; echo fake > /x/self/attr/exec; echo fake > /x/cpuinfo",
  )
  for (const target of [
    "/proc",
    "/proc/",
    "/proc/self",
    "/proc/self/attr",
    "/proc/sys",
    "/proc/1",
    "/../proc",
    "/tmp/../proc/sys",
  ]) {
    for (const flags of [
      ["-v", `false:${target}`],
      ["--mount", `type=bind,source=${bait},target=${target}`],
      ["--tmpfs", target],
    ]) {
      const run = await docker("run", "--rm", ...flags, "busybox", "true")
      expect([flags, run.code === 0]).toEqual([flags, false])
      expect(run.stderr).toContain("/proc")
    }
  }
  // Through a link in the image, too.
  const image = await imageOf(engine, "side-door", [{ name: "side", kind: "2", link: "/proc" }])
  for (const target of ["/side", "/side/self", "/side/sys/kernel"]) {
    expect([
      target,
      (await docker("run", "--rm", "-v", `false:${target}`, image, "true")).code === 0,
    ]).toEqual([target, false])
  }
  // Single files that monitoring tools put there are Docker's allowed exception, or refused.
  const allowed = await docker(
    "run",
    "--rm",
    "-v",
    `${join(bait, "kept")}:/proc/cpuinfo:ro`,
    "busybox",
    "cat",
    "/proc/cpuinfo",
  )
  expect(["kept", ""]).toContain(allowed.stdout)
  await ok("rmi", image)
  await ok("volume", "rm", "false")
  untouched()
}, 60_000)

test("a linked working directory is made in the image only (CVE-2026-55686)", async () => {
  const image = await imageOf(engine, "linked-work", [
    { name: "work", kind: "2", link: bait },
    { name: "rel", kind: "2", link: `../../../../..${bait}` },
  ])
  for (const place of ["/work/made", "/work", "/rel/made/deep", `/work/../../../..${bait}/made`]) {
    const run = await docker(
      "run",
      "--rm",
      "-w",
      place,
      "-u",
      "1234:1234",
      image,
      "sh",
      "-c",
      "pwd -P; ls /kept kept 2>/dev/null",
    )
    untouched()
    expect(run.stdout).not.toContain("kept")
  }
  await ok("rmi", image)
})

test("mounts while a neighbour exchanges their target for a link never land outside (CVE-2021-30465, CVE-2023-27561)", async () => {
  const prepare = `mkdir -p /s/a/in && ln -s ${bait} /s/b && exec /t/exchange /s/a /s/b`
  const neighbour = await ok(
    "run",
    "-d",
    "-v",
    "shared:/s",
    "-v",
    `${programs}:/t:ro`,
    "busybox",
    "sh",
    "-c",
    prepare,
  )
  const before = readFileSync("/proc/self/mountinfo", "utf8")
    .split("\n")
    .filter((line) => line.includes(bait))
  const end = Date.now() + 3000
  let runs = 0
  const race = async (flags: string[]) => {
    while (Date.now() < end) {
      const run = await docker(
        "run",
        "--rm",
        "-v",
        "shared:/s",
        "--network",
        "none",
        ...flags,
        "busybox",
        "sh",
        "-c",
        "ls -d /s/a/in/proof /kept 2>/dev/null; ls /s/a/ 2>/dev/null",
      )
      expect(run.stdout).not.toContain("kept")
      runs++
    }
  }
  await Promise.all([
    race(["--tmpfs", "/s/a/in"]),
    race(["-v", `${programs}:/s/a/fresh:ro`]),
    race(["--mount", "type=volume,target=/s/a"]),
    race(["-w", "/s/a/made"]),
  ])
  expect(runs).toBeGreaterThan(10)
  untouched()
  const after = readFileSync("/proc/self/mountinfo", "utf8")
    .split("\n")
    .filter((line) => line.includes(bait))
  expect(after).toEqual(before)
  await ok("rm", "-f", neighbour)
  await ok("volume", "rm", "shared")
  for (const name of (await ok("volume", "ls", "-q")).split("\n").filter(Boolean))
    await ok("volume", "rm", name)
}, 60_000)

test("a volume's subpath leads nowhere but into the volume, even when it is exchanged meanwhile (CVE-2024-23651, CVE-2024-1753)", async () => {
  const prepare = `mkdir -p /s/a && ln -s ${bait} /s/b && exec /t/exchange /s/a /s/b`
  const neighbour = await ok(
    "run",
    "-d",
    "-v",
    "sub:/s",
    "-v",
    `${programs}:/t:ro`,
    "busybox",
    "sh",
    "-c",
    prepare,
  )
  const end = Date.now() + 1500
  while (Date.now() < end) {
    const run = await docker(
      "run",
      "--rm",
      "--mount",
      "type=volume,source=sub,target=/m,volume-subpath=a",
      "busybox",
      "ls",
      "/m",
    )
    expect(run.stdout).toBe("")
  }
  await ok("rm", "-f", neighbour)
  await ok("volume", "rm", "sub")
  untouched()
}, 60_000)

test("propagation and options come from a list only", async () => {
  for (const mode of [
    "rshared,evil",
    "ro,suid=1",
    "z,lowerdir=/",
    "upperdir=/tmp",
    "ro,rw",
    "private,shared",
  ]) {
    const run = await docker("run", "--rm", "-v", `${bait}:/m:${mode}`, "busybox", "true")
    expect([mode, run.code === 0]).toEqual([mode, false])
  }
  for (const options of ["size=1m,lowerdir=/", "context=x", "mode=755,usrquota", "size=1m\nmode=7777"]) {
    const run = await docker("run", "--rm", "--tmpfs", `/m:${options}`, "busybox", "true")
    expect([options, run.code === 0]).toEqual([options, false])
  }
  expect(existsSync(join(bait, "kept"))).toBe(true)
  untouched()
})
