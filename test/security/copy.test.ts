// docker cp and export against a container that moves things while they are copied.
import { afterAll, expect, test } from "bun:test"
import { existsSync, lstatSync, symlinkSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { gzipSync } from "node:zlib"
import { tarOf } from "../../launcher/test/tar.ts"
import { compile } from "../fixtures/c-program.ts"
import { startEngine } from "../fixtures/engine.ts"
import { rawRequest } from "../fixtures/raw-request.ts"
import { layBait } from "./bait.ts"
import { imageOf } from "./evil-image.ts"

const engine = await startEngine()
afterAll(() => engine.close(), 60_000)
const { docker, ok, work } = engine
const programs = compile(join(work, "programs"), join(import.meta.dir, "exchange.c"))
const { bait, untouched } = layBait(work, "secret", "the host's secret")

test("a directory that is exchanged for a link while cp runs leads nowhere (CVE-2018-15664)", async () => {
  const prepare = `mkdir -p /x/a && echo inside > /x/a/secret && ln -s ${bait} /x/b && exec /t/exchange /x/a /x/b`
  const id = await ok("run", "-d", "-v", `${programs}:/t:ro`, "busybox", "sh", "-c", prepare)
  const payload = join(work, "payload")
  writeFileSync(payload, "payload")
  const end = Date.now() + 3000
  let copies = 0
  const out = async () => {
    while (Date.now() < end) {
      const tar = await docker("cp", `${id}:/x/a/secret`, "-")
      expect(tar.stdout).not.toContain("the host's secret")
      const whole = await docker("cp", `${id}:/x`, "-")
      expect(whole.stdout).not.toContain("the host's secret")
      copies += 2
    }
  }
  const into = async () => {
    while (Date.now() < end) {
      await docker("cp", payload, `${id}:/x/a/payload`)
      await rawRequest(engine.socket, "PUT", `/containers/${id}/archive?path=/x/a`, {
        body: tarOf({ name: "written", body: Buffer.from("w") }),
        headers: { "Content-Type": "application/x-tar" },
      })
      copies += 2
    }
  }
  await Promise.all([out(), into()])
  expect(copies).toBeGreaterThan(20)
  untouched()
  await ok("rm", "-f", id)
}, 60_000)

test("links of a stopped container and of its volumes are resolved in its root (CVE-2026-41568, CVE-2026-42306)", async () => {
  const links = `ln -s ${bait} /v/abs; ln -s ../../../../../..${bait} /v/rel; ln -s /proc/1/root${bait} /v/magic; ln -s / /v/root; ln -s ${bait} /out`
  await ok("run", "--name", "stopped", "-v", "cp-volume:/v", "busybox", "sh", "-c", links)
  const payload = join(work, "payload2")
  writeFileSync(payload, "payload")
  for (const path of [
    "/v/abs/evil",
    "/v/rel/evil",
    "/v/magic/evil",
    "/out/evil",
    `/v/root${bait}/evil`,
    "/v/abs",
    "/out",
  ]) {
    await docker("cp", payload, `stopped:${path}`)
    untouched()
    for (const follow of [[], ["-L"]]) {
      const tar = await docker("cp", ...follow, `stopped:${path}/secret`, "-")
      expect([path, tar.stdout.includes("the host's secret")]).toEqual([path, false])
    }
  }
  const archive = tarOf(
    { name: "evil", kind: "2", link: bait },
    { name: "evil/planted", body: Buffer.from("x") },
    { name: "hard", kind: "1", link: `../../../../../..${bait}/secret` },
  )
  await rawRequest(engine.socket, "PUT", "/containers/stopped/archive?path=/v", {
    body: archive,
    headers: { "Content-Type": "application/x-tar" },
  })
  untouched()
  await ok("rm", "stopped")
  await ok("volume", "rm", "cp-volume")
})

test("what leaves a volume is the link, never what it leads to (CVE-2023-0778)", async () => {
  symlinkSync(join(bait, "secret"), join(work, "link"))
  await ok(
    "run",
    "--name",
    "linked",
    "-v",
    "out-volume:/v",
    "busybox",
    "sh",
    "-c",
    `ln -s ${bait}/secret /v/l; ln -s ${bait} /v/d`,
  )
  for (const tar of [await docker("cp", "linked:/v", "-"), await docker("export", "linked")]) {
    expect(tar.code).toBe(0)
    expect(tar.stdout).not.toContain("the host's secret")
  }
  await ok("cp", "linked:/v", join(work, "taken"))
  expect(lstatSync(join(work, "taken", "l")).isSymbolicLink()).toBe(true)
  await ok("rm", "linked")
  await ok("volume", "rm", "out-volume")
})

test("archives are decompressed in process: no program of the container runs (CVE-2026-41567)", async () => {
  const program = {
    mode: 0o755,
    body: Buffer.from(`#!/bin/sh\necho ran >> /ran\necho ran >> ${bait}/ran\n`),
  } as const
  const names = ["gzip", "gunzip", "unpigz", "pigz", "xz", "unxz", "zstd", "bzip2", "tar"]
  const image = await imageOf(
    engine,
    "decompressors",
    names.map((name) => ({ ...program, name: `bin/${name}` })),
  )
  const id = await ok("run", "-d", image, "sleep", "60")
  const archive = tarOf({ name: "came", body: Buffer.from("in") })
  for (const body of [archive, gzipSync(archive), Bun.zstdCompressSync(archive)]) {
    const answer = await rawRequest(engine.socket, "PUT", `/containers/${id}/archive?path=/tmp`, {
      body,
      headers: { "Content-Type": "application/x-tar" },
    })
    expect(answer.status).toBe(200)
  }
  expect(await ok("exec", id, "cat", "/tmp/came")).toBe("in")
  expect((await docker("exec", id, "test", "-e", "/ran")).code).toBe(1)
  untouched()
  await ok("rm", "-f", id)
  await ok("rmi", image)
})

test("a container's libraries and name service are not the engine's (CVE-2019-14271)", async () => {
  const library = { mode: 0o755, body: Buffer.from("not a library") }
  const image = await imageOf(engine, "libraries", [
    ...[
      "lib/libnss_files.so.2",
      "lib/x86_64-linux-gnu/libnss_files.so.2",
      "lib/libc.so.6",
      "lib64/ld-linux-x86-64.so.2",
    ].map((name) => ({ ...library, name })),
    { name: "etc/ld.so.preload", body: Buffer.from("/lib/libc.so.6\n") },
    { name: "etc/nsswitch.conf", body: Buffer.from("passwd: evil\n") },
  ])
  const id = await ok("run", "-d", "-u", "www-data", image, "sleep", "60")
  const payload = join(work, "payload3")
  writeFileSync(payload, "through")
  await ok("cp", payload, `${id}:/tmp/f`)
  expect((await docker("cp", `${id}:/tmp/f`, "-")).stdout).toContain("through")
  await ok("rm", "-f", id)
  await ok("rmi", image)
})

test("a fifo, a socket or a device in the way holds nobody up", async () => {
  const script = "mkfifo /tmp/fifo; mknod /tmp/null c 1 3; mkdir /tmp/d; mkfifo /tmp/d/f; sleep 60"
  const id = await ok("run", "-d", "busybox", "sh", "-c", script)
  const payload = join(work, "payload4")
  writeFileSync(payload, "x")
  for (const words of [
    ["cp", `${id}:/tmp/fifo`, "-"],
    ["cp", `${id}:/tmp/d`, "-"],
    ["cp", `${id}:/tmp/null`, "-"],
    ["cp", payload, `${id}:/tmp/fifo`],
    ["cp", payload, `${id}:/tmp/d/f`],
  ]) {
    const run = await engine.dockerWith({ timeout: 8000 }, ...words)
    expect([words, run.stderr.includes("killed by the test")]).toEqual([words, false])
  }
  await ok("rm", "-f", id)
  expect(existsSync(bait)).toBe(true)
}, 60_000)
