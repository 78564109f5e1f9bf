// dockerode, under Bun and under Node: everything its users call.
import { afterAll, expect } from "bun:test"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { execute, startEngine } from "../fixtures/engine.ts"
import { proves } from "./clients.ts"
import { serveRegistry } from "./registry.ts"

const directory = mkdtempSync(join(tmpdir(), "sloop-dockerode-"))
const engine = await startEngine()
const registry = await serveRegistry(directory)
afterAll(async () => {
  await engine.close()
  await registry.close()
  rmSync(directory, { recursive: true, force: true })
}, 60_000)

const program = join(import.meta.dirname, "programs", "dockerode.mjs")
const runtimes = [process.execPath, Bun.which("node")].filter((path) => path !== null)

/** Runs one function of the program under each runtime. */
const does = async (doing: string): Promise<void> => {
  for (const runtime of runtimes) {
    const words = [runtime, program, doing, registry.address]
    const { code, stdout, stderr } = await execute(words, { env: engine.env, timeout: 30_000 })
    expect([runtime, code, stdout, stderr]).toEqual([runtime, 0, "done\n", ""])
  }
}

proves("dockerode", "run, with its streams and exit code", () => does("run"))
proves("dockerode", "list, pause, update, rename, top, restart, kill, wait", () => does("lifecycle"))
proves("dockerode", "attach with a terminal and with pipes", () => does("attach"))
proves("dockerode", "exec in all its forms", () => does("execs"))
proves("dockerode", "logs, followed and cut", () => does("logs"))
proves("dockerode", "stats, once and streamed", () => does("stats"))
proves("dockerode", "events, live and past", () => does("events"))
proves("dockerode", "putArchive, getArchive, infoArchive, export, changes", () => does("archives"))
proves("dockerode", "push, pull, save, load, commit, distribution", () => does("images"))
proves("dockerode", "builds: directories, tars, errors", () => does("builds"))
proves("dockerode", "volumes", () => does("volumes"))
proves("dockerode", "networks and published ports", () => does("networks"))
proves("dockerode", "prune of each kind", () => does("prunes"))
