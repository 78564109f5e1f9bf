// Debian's docker client 20.10, which speaks API 1.41: one pass over what people do with it.
import { afterAll, expect } from "bun:test"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { execute, type Output, startEngine } from "../fixtures/engine.ts"
import { debianDocker, missing, proves } from "./clients.ts"
import { serveRegistry } from "./registry.ts"

const directory = mkdtempSync(join(tmpdir(), "sloop-docker20-"))
const engine = missing("docker CLI 20.10") === undefined ? await startEngine() : undefined
const registry = engine === undefined ? undefined : await serveRegistry(directory)
afterAll(async () => {
  await engine?.close()
  await registry?.close()
  rmSync(directory, { recursive: true, force: true })
}, 60_000)

const docker = (...words: readonly string[]): Promise<Output> =>
  execute([debianDocker, ...words], { env: engine?.env })
const ok = async (...words: readonly string[]): Promise<string> => {
  const { code, stdout, stderr } = await docker(...words)
  if (code !== 0) throw new Error(`docker ${words.join(" ")}: exit code ${code}\n${stdout}${stderr}`)
  return stdout.replace(/\n$/, "")
}

proves("docker CLI 20.10", "version, info, run, exit codes and words of errors", async () => {
  expect(await ok("version", "-f", "{{.Client.APIVersion}} {{.Server.Os}}")).toBe("1.41 linux")
  expect(await ok("info", "-f", "{{.OSType}} {{.Driver}}")).toMatch(/^linux \w+/)
  const ran = await docker("run", "--rm", "busybox", "sh", "-c", "echo out; echo err >&2; exit 7")
  expect([ran.code, ran.stdout, ran.stderr]).toEqual([7, "out\n", "err\n"])
  expect((await docker("run", "--rm", "busybox", "/nowhere")).code).toBe(127)
  expect((await docker("inspect", "nobody")).stderr).toBe("Error: No such object: nobody\n")
  const given = await execute([debianDocker, "run", "--rm", "-i", "busybox", "cat"], {
    env: engine?.env,
    stdin: "through",
  })
  expect(given.stdout).toBe("through")
})

proves("docker CLI 20.10", "exec, logs, cp, diff, stats, top, update, ps, inspect, commit", async () => {
  const script = "trap exit TERM; echo one; echo two >&2; while :; do sleep 0.1; done"
  await ok(
    "run",
    "-d",
    "--name",
    "old",
    "--init",
    "-p",
    "127.0.0.1::80",
    "-m",
    "64m",
    "busybox",
    "sh",
    "-c",
    script,
  )
  expect(await ok("exec", "-e", "A=b", "-w", "/tmp", "old", "sh", "-c", "echo $A $PWD")).toBe("b /tmp")
  expect((await docker("exec", "old", "sh", "-c", "exit 5")).code).toBe(5)
  await engine?.says("old", "one")
  const logs = await docker("logs", "--tail", "5", "old")
  expect([logs.stdout, logs.stderr]).toEqual(["one\n", "two\n"])
  writeFileSync(join(directory, "file"), "copied")
  await ok("cp", join(directory, "file"), "old:/tmp/file")
  await ok("cp", "old:/tmp/file", join(directory, "back"))
  expect(readFileSync(join(directory, "back"), "utf8")).toBe("copied")
  expect(await ok("diff", "old")).toContain("A /tmp/file")
  expect(await ok("stats", "--no-stream", "--format", "{{.Name}} {{.MemUsage}}", "old")).toMatch(
    /^old .*64MiB$/,
  )
  expect(await ok("top", "old", "-o", "pid,args")).toContain("sleep 0.1")
  await ok("update", "--memory", "32m", "--memory-swap", "64m", "old")
  expect(await ok("inspect", "-f", "{{.HostConfig.Memory}} {{.State.Status}}", "old")).toBe(
    "33554432 running",
  )
  expect(await ok("ps", "--format", "{{.Names}} {{.Ports}}")).toMatch(/^old 127\.0\.0\.1:\d+->80\/tcp$/)
  await ok("pause", "old")
  await ok("unpause", "old")
  await ok("commit", "-c", "ENV X=y", "old", "old-made:1")
  expect(await ok("run", "--rm", "old-made:1", "sh", "-c", "cat /tmp/file; echo $X")).toBe("copiedy")
  await ok("rename", "old", "older")
  await ok("stop", "-t", "3", "older")
  await ok("start", "older")
  await ok("kill", "older")
  expect(await ok("wait", "older")).toBe("137")
  await ok("rm", "-v", "older")
})

proves("docker CLI 20.10", "builds without BuildKit: steps, cache, exit codes, quiet, prune", async () => {
  const place = mkdtempSync(join(directory, "build-"))
  writeFileSync(
    join(place, "Dockerfile"),
    "FROM busybox\nRUN echo made > /made\nCOPY a /a\nCMD cat /made /a\n",
  )
  writeFileSync(join(place, "a"), "copied")
  const build = (...words: readonly string[]) =>
    execute([debianDocker, "build", ...words, place], { env: { ...engine?.env, DOCKER_BUILDKIT: "0" } })
  const first = await build("-t", "old-built")
  expect([first.code, first.stderr]).toEqual([0, ""])
  expect(first.stdout).toContain("Step 4/4 : CMD cat /made /a\n")
  expect(await ok("run", "--rm", "old-built")).toBe("made\ncopied")
  expect((await build("-t", "old-built")).stdout.match(/Using cache/g)).toHaveLength(3)
  expect((await build("-q")).stdout).toBe(`${await ok("image", "inspect", "-f", "{{.Id}}", "old-built")}\n`)
  writeFileSync(join(place, "Dockerfile"), "FROM busybox\nRUN exit 6\n")
  const failed = await build()
  expect([failed.code, failed.stderr]).toEqual([
    6,
    "The command '/bin/sh -c exit 6' returned a non-zero code: 6\n",
  ])
  expect(await ok("builder", "prune", "-af")).toContain("Total reclaimed space:")
})

proves("docker CLI 20.10", "volumes, networks, events, push, pull, save, load, prune, df", async () => {
  await ok("volume", "create", "--label", "a=b", "kept")
  await ok("network", "create", "--label", "a=b", "joined")
  await ok(
    "run",
    "-d",
    "--name",
    "served",
    "--network",
    "joined",
    "-v",
    "kept:/data",
    "busybox",
    "httpd",
    "-f",
    "-h",
    "/etc",
  )
  expect(
    await ok("run", "--rm", "--network", "joined", "busybox", "wget", "-qO-", "http://served/group"),
  ).toContain("root:")
  const name = `${registry?.address}/old/box:1`
  await ok("tag", "busybox", name)
  expect(await ok("push", name)).toContain("digest: sha256:")
  await ok("rmi", name)
  expect(await ok("pull", name)).toContain("Status: Downloaded newer image")
  await ok("save", "-o", join(directory, "saved.tar"), name)
  await ok("rmi", name)
  expect(await ok("load", "-i", join(directory, "saved.tar"))).toBe(`Loaded image: ${name}`)
  expect(await ok("images", "--format", "{{.Repository}}:{{.Tag}}")).toContain(name)
  expect(await ok("system", "df")).toContain("Local Volumes")
  await ok("rm", "-f", "served")
  await ok("system", "prune", "-f", "--volumes")
  expect(await ok("volume", "ls", "-q")).toBe("")
  // The client rounds to whole seconds: "0s" would leave out what happened in this one.
  const events = await ok("events", "--since", "1h", "--until", "-1s", "--format", "{{.Type}} {{.Action}}")
  expect(events.split("\n")).toEqual(
    expect.arrayContaining(["network create", "volume create", "container die"]),
  )
})
