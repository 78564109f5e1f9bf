// The first command starts the daemon when none runs; others find it; without root one sentence says what to do.
import { expect, test } from "bun:test"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { join } from "node:path"
import { eventually, execute } from "../fixtures/engine.ts"

const project = join(import.meta.dirname, "..", "..")
const binary = process.env.SLOOP_BIN
const program = binary ? [binary] : [join(project, "node_modules/.bin/bun"), join(project, "src/main.ts")]

/** The process that listens on the socket, by what it was started with. */
async function daemonPid(runRoot: string): Promise<number> {
  const { stdout } = await execute(["pgrep", "-f", `daemon --run-root ${runRoot}`])
  return Number(stdout.trim().split("\n")[0])
}

test("a command at the default socket starts the daemon with the roots of the environment", async () => {
  const root = mkdtempSync("/tmp/slq-start-")
  const env = { SLOOP_RUN_ROOT: join(root, "run"), SLOOP_DATA_ROOT: join(root, "data"), DOCKER_HOST: "" }
  const sloop = (...words: string[]) => execute([...program, ...words], { env })
  try {
    const [first, second] = await Promise.all([sloop("ps", "-q"), sloop("info", "-f", "{{.DockerRootDir}}")])
    expect(first).toEqual({ code: 0, stdout: "", stderr: "" })
    expect(second).toEqual({ code: 0, stdout: `${join(root, "data")}\n`, stderr: "" })
    const pid = await daemonPid(env.SLOOP_RUN_ROOT)
    expect(pid).toBeGreaterThan(1)
    expect((await sloop("version", "-f", "{{.Server.Version}}")).code).toBe(0)
    expect(await daemonPid(env.SLOOP_RUN_ROOT)).toBe(pid)
    process.kill(pid, "SIGTERM")
    await eventually(
      "the daemon has ended",
      async () =>
        Number.isNaN(await daemonPid(env.SLOOP_RUN_ROOT)) || (await daemonPid(env.SLOOP_RUN_ROOT)) === 0,
    )
    expect(readFileSync(join(root, "run", "daemon.log"), "utf8")).not.toContain("error")
  } finally {
    await eventually(
      "everything of it has ended",
      async () => (await execute(["pgrep", "-f", root])).stdout === "",
    )
    rmSync(root, { recursive: true, force: true })
  }
}, 60_000)

test("an address that was asked for is never started", async () => {
  const { code, stderr } = await execute([...program, "-H", "unix:///tmp/slq-nothing/s.sock", "ps"])
  expect([code, stderr]).toEqual([
    1,
    "Cannot connect to the Sloop daemon at unix:///tmp/slq-nothing/s.sock. Is the daemon running?\n",
  ])
})
