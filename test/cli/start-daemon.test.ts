// The first command starts the daemon when none runs; others find it; without root one sentence says what to do.
import { expect, test } from "bun:test"
import { mkdtempSync, rmSync } from "node:fs"
import { join } from "node:path"
import { eventually, execute } from "../fixtures/engine.ts"

const project = join(import.meta.dirname, "..", "..")
const binary = process.env.SLOOP_BIN
const program = binary ? [binary] : [join(project, "node_modules/.bin/bun"), join(project, "src/main.ts")]

/** The daemons by what they were started with: of two that race, the one that loses ends soon. */
async function daemons(runRoot: string): Promise<number[]> {
  const { stdout } = await execute(["pgrep", "-f", `daemon --run-root ${runRoot}`])
  return stdout.split("\n").filter(Boolean).map(Number)
}

test("a command at the default socket starts the daemon with the roots of the environment", async () => {
  const root = mkdtempSync("/tmp/slq-start-")
  const env = { SLOOP_RUN_ROOT: join(root, "run"), SLOOP_DATA_ROOT: join(root, "data"), DOCKER_HOST: "" }
  const sloop = (...words: string[]) => execute([...program, ...words], { env })
  try {
    const [first, second] = await Promise.all([sloop("ps", "-q"), sloop("info", "-f", "{{.DockerRootDir}}")])
    expect(first).toEqual({ code: 0, stdout: "", stderr: "" })
    expect(second).toEqual({ code: 0, stdout: `${join(root, "data")}\n`, stderr: "" })
    const only = async () => (await daemons(env.SLOOP_RUN_ROOT)).length === 1
    await eventually("one daemon is left", only)
    const [pid = 0] = await daemons(env.SLOOP_RUN_ROOT)
    expect((await sloop("version", "-f", "{{.Server.Version}}")).code).toBe(0)
    expect(await daemons(env.SLOOP_RUN_ROOT)).toEqual([pid])
    process.kill(pid, "SIGTERM")
    const none = async () => (await daemons(env.SLOOP_RUN_ROOT)).length === 0
    await eventually("the daemon has ended", none)
  } finally {
    // What a failed expectation left running must not hide the failure.
    for (const pid of await daemons(env.SLOOP_RUN_ROOT)) process.kill(pid, "SIGTERM")
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
