// testcontainers under Node: ports, wait strategies, networks, copies, reuse, and a stand-in for its reaper.
import { afterAll, expect } from "bun:test"
import { spawnSync } from "node:child_process"
import { join } from "node:path"
import { compile } from "../fixtures/c-program.ts"
import { eventually, execute, startEngine } from "../fixtures/engine.ts"
import { missing, proves } from "./clients.ts"

const engine = missing("testcontainers") === undefined ? await startEngine() : undefined
afterAll(() => engine?.close(), 60_000)

/** The name that this version of testcontainers asks for. */
const reaperImage = "testcontainers/ryuk:0.14.0"

if (engine !== undefined) {
  const directory = compile(join(engine.work, "reaper"), join(import.meta.dirname, "reaper.c"))
  const tar = join(engine.work, "reaper.tar")
  spawnSync("tar", ["-cf", tar, "-C", directory, "reaper"])
  await engine.ok("import", "-c", 'ENTRYPOINT ["/reaper"]', "-c", "EXPOSE 8080", tar, reaperImage)
}

const program = join(import.meta.dirname, "programs", "testcontainers.mjs")
const run = (doing: string) =>
  execute(["node", program, doing, String(process.pid)], {
    env: { ...engine?.env, HOME: engine?.root ?? "/", TESTCONTAINERS_RYUK_RECONNECTION_TIMEOUT: "1s" },
    timeout: 50_000,
  })
const does = async (doing: string): Promise<void> => {
  const { code, stdout, stderr } = await run(doing)
  expect([code, stdout, stderr]).toEqual([0, "done\n", ""])
}

proves("testcontainers", "start, exposed ports, exec, restart, stop", () => does("start"))
proves("testcontainers", "wait for logs, ports, HTTP, health, a command, one shot, and all", () =>
  does("waits"),
)
proves("testcontainers", "networks, aliases, hostnames and extra hosts", () => does("networks"))
proves("testcontainers", "copy files, directories and archives in and out, commit", () => does("copies"))
proves("testcontainers", "an image from a Dockerfile", () => does("builds"))
proves("testcontainers", "logs followed to their end", () => does("logs"))
proves("testcontainers", "reuse of running and stopped containers", () => does("reuse"))
proves("testcontainers", "its reaper, spoken to by a stand-in, removes what a run leaves", async () => {
  if (engine === undefined) return
  const { code, stdout, stderr } = await run("abandon")
  expect([code, stderr]).toEqual([0, ""])
  const id = stdout.trim()
  expect(await engine.ok("inspect", "-f", "{{.State.Status}}", id)).toBe("running")
  await eventually(
    "the reaper has removed the container, the network and itself",
    async () =>
      (await engine.ok("ps", "-aq")) === "" &&
      (await engine.ok("network", "ls", "-q", "--filter", "type=custom")) === "",
    20_000,
  )
})
