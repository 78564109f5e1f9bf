// Images made by an enemy: entries that lead out of the layer, and metadata that would command the engine.
import { afterAll, expect, test } from "bun:test"
import { readdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { gzipSync } from "node:zlib"
import { type TarEntry, tarOf } from "../../launcher/test/tar.ts"
import { busyboxRootfsTar, dockerArchive } from "../fixtures/busybox-image.ts"
import { startEngine } from "../fixtures/engine.ts"
import { layBait } from "./bait.ts"
import { imageOf } from "./evil-image.ts"

const engine = await startEngine()
afterAll(() => engine.close(), 60_000)
const { docker, ok, work } = engine
const { bait, untouched } = layBait(work, "kept", "kept")
const file = (name: string, text = "evil", mode = 0o4777): TarEntry => ({
  name,
  mode,
  body: Buffer.from(text),
})
const out = `../../../../../../../../..${bait}`
const link = (name: string, target: string): TarEntry => ({ name, kind: "2", link: target })

/** Entries that try to leave the root: the layer is refused, or lies wholly in the image. */
const escapes: Readonly<Record<string, readonly TarEntry[]>> = {
  "parents in a name": [file(`${out}/evil`)],
  "an absolute name": [file(`${bait}/evil`)],
  "a link, then a file through it": [link("l", bait), file("l/evil")],
  "a relative link, then a file through it": [link("l", out), file("l/evil")],
  "a link to a link": [link("a", "b"), link("b", bait), file("a/evil")],
  "a file written through its own link": [link("kept", join(bait, "kept")), file("kept")],
  "a hard link to the host's file": [{ name: "h", kind: "1", link: `${out}/kept` }, file("h")],
  "a hard link by an absolute path": [{ name: "h", kind: "1", link: join(bait, "kept") }],
  "a hard link through a link (CVE-2026-17106)": [
    link("l", bait),
    { name: "h", kind: "1", link: "l/kept" },
    file("h"),
  ],
  "a mode through a link (CVE-2026-17106)": [link("l", bait), { name: "l/", kind: "5", mode: 0o777 }],
  "a whiteout with parents": [file(`${out}/.wh.kept`)],
  "a whiteout of a parent": [file(".wh..."), file("d/.wh..")],
  "a whiteout through a link": [link("l", bait), file("l/.wh.kept")],
  "an opaque marker through a link": [link("l", bait), file("l/.wh..wh..opq")],
  "a whiteout with nothing after it": [file(".wh.")],
  "forged overlay attributes": [
    {
      name: "d/",
      kind: "5",
      mode: 0o755,
      xattrs: { "trusted.overlay.redirect": "/../../../../etc", "trusted.overlay.opaque": "y" },
    },
  ],
}

for (const [title, entries] of Object.entries(escapes)) {
  test(`docker load and import: ${title}`, async () => {
    const tar = tarOf(...entries)
    const path = join(work, "layer.tar")
    writeFileSync(path, tar)
    const imported = await docker("import", path, "evil-import")
    untouched()
    writeFileSync(
      path,
      await dockerArchive([{ layers: [await busyboxRootfsTar(), tar], tags: ["evil-load:latest"] }]),
    )
    const loaded = await docker("load", "-i", path)
    untouched()
    for (const [result, name] of [
      [imported, "evil-import"],
      [loaded, "evil-load"],
    ] as const) {
      if (result.code !== 0) {
        expect(result.stderr).toMatch(/\S{3}/)
        expect(result.stderr).not.toMatch(/internal|undefined|at .*\.ts:/i)
        expect((await docker("image", "inspect", name)).code).not.toBe(0)
        continue
      }
      const id = await ok("create", name, "sh")
      await docker("export", "-o", join(work, "export.tar"), id)
      if (name === "evil-load") await docker("start", "-a", id)
      await ok("rm", id)
      await ok("rmi", name)
      untouched()
    }
  })
}

test("a decompression bomb is cut off, and the engine lives on (CVE-2021-21285)", async () => {
  const zeros = Buffer.alloc(64 << 20)
  const layer = tarOf({ name: "zeros", body: zeros })
  const pid = engine.pid()
  const memory = () => Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1])
  const before = memory()
  for (const bomb of [
    gzipSync(gzipSync(gzipSync(layer))),
    gzipSync(Buffer.from("not a tar")),
    gzipSync(layer).subarray(0, 5000),
    Buffer.from("\x1f\x8b\x08\0garbage"),
  ]) {
    writeFileSync(join(work, "bomb"), bomb)
    for (const words of [
      ["load", "-i", join(work, "bomb")],
      ["import", join(work, "bomb"), "bomb"],
    ]) {
      const result = await docker(...words)
      expect(result.code).not.toBe(0)
      expect(result.stderr).toMatch(/\S{3}/)
    }
  }
  expect(memory() - before).toBeLessThan(150_000)
  expect(await ok("images", "-q", "bomb")).toBe("")
}, 60_000)

test("an image's labels and environment never configure the engine (CVE-2026-53488)", async () => {
  const labels = {
    "log-path": join(bait, "log"),
    "sloop.log": join(bait, "log"),
    "io.containerd.runc.options": `{"BinaryName":"${bait}/evil"}`,
    "com.docker.network.bridge.name": "evil0",
    "org.opencontainers.runtime": join(bait, "evil"),
    "newline\nkey": "a\nb",
  }
  const env = [
    "PATH=/bin",
    `LD_PRELOAD=${bait}/evil.so`,
    `BUN_OPTIONS=--preload=${bait}/evil.js`,
    "BUN_BE_BUN=1",
    "SLOOP_LAUNCHER=/evil",
    `TMPDIR=${bait}`,
    "SLOOP_CRASH_AT=start:launched",
  ]
  const image = await imageOf(engine, "labels", [], { Labels: labels, Env: env })
  const id = await ok("run", "-d", image, "sh", "-c", "echo spoke; sleep 60")
  expect(
    await ok(
      "inspect",
      "-f",
      "{{.LogPath}} {{.HostConfig.LogConfig.Type}} {{.HostConfig.Runtime}} {{.HostConfig.Privileged}}",
      id,
    ),
  ).toMatch(new RegExp(`^${engine.root}/data/containers/${id}/\\S+ json-file \\S+ false$`))
  expect(await ok("exec", id, "echo", "works")).toBe("works")
  untouched()
  await ok("rm", "-f", id)
  await ok("rmi", image)
})

test("an image's VOLUME never copies or shows the host's files", async () => {
  const volumes = { "/link": {}, "/rel": {}, "/deep/link/in": {}, "/etc/../link2": {} }
  const entries = [
    link("link", bait),
    link("rel", out),
    { name: "deep/", kind: "5" },
    link("deep/link", bait),
    link("link2", bait),
  ]
  const image = await imageOf(engine, "volume-links", entries, { Volumes: volumes })
  const run = await docker(
    "run",
    "--rm",
    image,
    "sh",
    "-c",
    "find /link/ /rel/ /deep/ /link2/ -name kept; touch /link/evil /rel/evil; true",
  )
  expect(run.stdout).not.toContain("kept")
  untouched()
  const created = await docker("create", image, "sh")
  if (created.code === 0) {
    for (const name of (await ok("volume", "ls", "-q")).split("\n").filter(Boolean)) {
      expect(
        readdirSync(join(engine.root, "data", "volumes", name), { recursive: true }).join(),
      ).not.toContain("kept")
    }
    await ok("rm", "-v", created.stdout.trim())
  }
  await ok("rmi", image)
  for (const volume of ["/", "relative", "/..", "", "/proc", "/proc/self", "../../x", "/a\nb", "/a\0b"]) {
    const tar = join(work, "volume.tar")
    writeFileSync(
      tar,
      await dockerArchive([
        {
          layers: [await busyboxRootfsTar()],
          tags: ["bad-volume:latest"],
          config: { Cmd: ["sh"], Env: ["PATH=/bin"], Volumes: { [volume]: {} } },
        },
      ]),
    )
    if ((await docker("load", "-i", tar)).code !== 0) continue
    const bad = await docker("run", "--rm", "bad-volume", "true")
    expect(bad.stderr).not.toMatch(/internal|undefined|\.ts:/)
    if (!volume.startsWith("/a")) expect([volume, bad.code === 0]).toEqual([volume, false])
    await ok("rmi", "bad-volume")
  }
  untouched()
  expect(await ok("volume", "ls", "-q")).toBe("")
}, 60_000)

test("configurations of the wrong shape are refused, or harmless", async () => {
  const configs: readonly Readonly<Record<string, unknown>>[] = [
    { Entrypoint: "sh" },
    { Entrypoint: { sh: 1 } },
    { Cmd: [1, 2] },
    { Env: "A=1" },
    { Env: [7, "=x", "\0", "A\0B=1"] },
    { User: 0 },
    { User: "root\nevil" },
    { User: "0:0:0" },
    { WorkingDir: "relative" },
    { WorkingDir: "/a\0b" },
    { WorkingDir: "/../../../.." },
    { ExposedPorts: { "99999999/tcp": {}, "x/y": {}, "80/tcp\n": {} } },
    { Healthcheck: { Test: ["EVIL"], Interval: -5 } },
    { Healthcheck: { Test: "CMD true", Interval: "soon" } },
    { StopSignal: "SIGEVIL" },
    { StopSignal: 9e99 },
    { StopTimeout: -(2 ** 40) },
    { Labels: ["a"] },
    { Labels: { a: { b: 1 } } },
    { Volumes: ["/x"] },
    { Shell: "sh" },
    { OnBuild: [{}] },
    { Hostname: "a\nb", Domainname: "c\nd" },
  ]
  for (const config of configs) {
    const tar = join(work, "shape.tar")
    writeFileSync(
      tar,
      await dockerArchive([
        {
          layers: [await busyboxRootfsTar()],
          tags: ["shape:latest"],
          config: { Env: ["PATH=/bin"], Cmd: ["true"], ...config },
        },
      ]),
    )
    const loaded = await docker("load", "-i", tar)
    if (loaded.code !== 0) {
      expect(loaded.stderr).toMatch(/\S{3}/)
      continue
    }
    const run = await docker("run", "--rm", "shape", "true")
    expect([config, /internal|undefined|\.ts:|Cannot read|is not a function/.test(run.stderr)]).toEqual([
      config,
      false,
    ])
    expect((await docker("image", "inspect", "shape")).code).toBe(0)
    expect((await docker("history", "shape")).code).toBe(0)
    await ok("rmi", "-f", "shape")
  }
  expect(await ok("ps", "-aq")).toBe("")
  expect(await ok("volume", "ls", "-q")).toBe("")
  untouched()
}, 60_000)

test("tables that an image ships as a fifo, a device, a link or without end", async () => {
  const tables: readonly TarEntry[] = [
    { name: "etc/passwd", kind: "6", mode: 0o644 },
    { name: "etc/passwd", kind: "2", link: "/proc/1/environ" },
    { name: "etc/passwd", kind: "2", link: join(bait, "kept") },
    { name: "etc/passwd", kind: "2", link: "passwd" },
    { name: "etc/passwd/", kind: "5", mode: 0o755 },
    file("etc/passwd", "x".repeat(1 << 20), 0o644),
    file("etc/passwd", "evil:x:0\n:\n::::::::\nroot\n", 0o644),
    file("etc/group", `g:x:1:${"u,".repeat(100_000)}\n`, 0o644),
  ]
  for (const [at, table] of tables.entries()) {
    const image = await imageOf(engine, `table-${at}`, [table])
    const run = await engine.dockerWith(
      { timeout: 10_000 },
      "run",
      "--rm",
      "-u",
      "www-data:evil",
      image,
      "id",
    )
    expect([at, run.code === 0, run.stdout]).toEqual([at, false, ""])
    expect(run.stderr).not.toContain("killed by the test")
    expect(
      (
        await engine.dockerWith(
          { timeout: 10_000 },
          "run",
          "--rm",
          "-u",
          "12:13",
          image,
          "sh",
          "-c",
          "grep ^Uid: /proc/self/status",
        )
      ).stdout,
    ).toStartWith("Uid:\t12\t")
    await ok("rmi", image)
  }
  untouched()
}, 60_000)
