// `docker build` as people type it: which builder each client of docker takes, and that each of them builds.
import { afterAll, beforeAll, expect, test } from "bun:test"
import { existsSync, mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { startEngine, type TestEngine } from "../fixtures/engine.ts"
import { execute } from "../fixtures/execute.ts"
import { type DockerWithPlugins, dockerWithPlugins, findPlugin } from "./plugins.ts"

const buildx = findPlugin("buildx")
/** Debian's docker, which had BuildKit within it. */
const old = "/usr/bin/docker"
const timeout = 60_000

let engine: TestEngine
let docker: DockerWithPlugins
let context = ""

beforeAll(async () => {
  engine = await startEngine()
  docker = dockerWithPlugins(engine, { buildx })
  context = join(engine.work, "context")
  mkdirSync(context)
  writeFileSync(join(context, "Dockerfile"), "FROM busybox\nRUN echo built > /built\nCOPY file /file\n")
  writeFileSync(join(context, "file"), "file\n")
}, timeout)
afterAll(async () => {
  await engine?.close()
}, timeout)

const CLASSIC = "Step 1/3 : FROM busybox"
const BUILDKIT = "[internal] load build definition from Dockerfile"

test("the engine says that it has BuildKit", async () => {
  for (const method of ["GET", "HEAD"]) {
    const answer = await fetch("http://localhost/_ping", { unix: engine.socket, method })
    expect(answer.headers.get("builder-version")).toBe("2")
  }
})

test(
  "without the plugin, docker 28 builds classically and says what it lacks",
  async () => {
    const { code, stdout, stderr } = await engine.docker("build", "-t", "bare", context)
    expect([code, stdout]).toEqual([0, expect.stringContaining(CLASSIC)])
    expect(stderr).toContain("Install the buildx component")
  },
  timeout,
)

test.skipIf(buildx === undefined)(
  "with the plugin it takes BuildKit, unless told not to",
  async () => {
    const { code, stderr } = await docker.run(["build", "--progress", "plain", "-t", "plugged", context])
    expect([code, stderr]).toEqual([0, expect.stringContaining(BUILDKIT)])
    const env = { DOCKER_BUILDKIT: "0" }
    const classic = await docker.run(["build", "-t", "unplugged", context], { env })
    expect([classic.code, classic.stdout]).toEqual([0, expect.stringContaining(CLASSIC)])
    expect(await engine.ok("run", "--rm", "plugged", "cat", "/built", "/file")).toBe("built\nfile")
  },
  timeout,
)

const oldVersion = async () => (existsSync(old) ? (await execute([old, "--version"])).stdout : "")

test(
  "docker 20.10 takes BuildKit by itself, over its own session, and the classic builder when told so",
  async () => {
    if (!(await oldVersion()).includes("20.10"))
      return console.log("docker 20.10 is not on this machine: skipped")
    const run = (words: readonly string[], env: Record<string, string>, stdin?: string) =>
      execute([old, "build", ...words], {
        env: { ...engine.env, ...env },
        timeout,
        ...(stdin === undefined ? {} : { stdin }),
      })
    const plain = await run(["--progress", "plain", "-t", "old", context], {})
    expect([plain.code, plain.stderr]).toEqual([0, expect.stringContaining(BUILDKIT)])
    expect(await engine.ok("run", "--rm", "old", "cat", "/file")).toBe("file")
    const secret = join(engine.work, "secret")
    writeFileSync(secret, "hush")
    const dockerfile = "FROM busybox\nRUN --mount=type=secret,id=s md5sum /run/secrets/s\n"
    const told = await run(
      ["--progress", "plain", "--secret", `id=s,src=${secret}`, "-f", "-", context],
      { DOCKER_BUILDKIT: "1" },
      dockerfile,
    )
    expect([told.code, told.stderr]).toEqual([0, expect.stringContaining("/run/secrets/s")])
    const quiet = await run(["-q", context], { DOCKER_BUILDKIT: "1" })
    expect(quiet.stdout).toMatch(/^sha256:[0-9a-f]{64}\n$/)
    const out = join(engine.work, "out")
    await run(["-o", out, "-f", "-", context], { DOCKER_BUILDKIT: "1" }, "FROM scratch\nCOPY file /sent\n")
    expect(existsSync(join(out, "sent"))).toBe(true)
    const failed = await run([context, "-f", "-"], { DOCKER_BUILDKIT: "1" }, "FROM busybox\nRUN exit 4\n")
    expect([failed.code, failed.stderr]).toEqual([1, expect.stringContaining("exit code: 4")])
    const classic = await run(["-t", "older", context], { DOCKER_BUILDKIT: "0" })
    expect([classic.code, classic.stdout]).toEqual([0, expect.stringContaining(CLASSIC)])
  },
  timeout,
)
