// docker-py of Debian, through its high-level API: containers, streams, archives, volumes, networks, images, events.
import { afterAll, expect } from "bun:test"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { execute, startEngine } from "../fixtures/engine.ts"
import { missing, proves, python } from "./clients.ts"
import { serveRegistry } from "./registry.ts"

const directory = mkdtempSync(join(tmpdir(), "sloop-py-"))
const engine = missing("docker-py") === undefined ? await startEngine() : undefined
const registry = engine === undefined ? undefined : await serveRegistry(directory)
afterAll(async () => {
  await engine?.close()
  await registry?.close()
  rmSync(directory, { recursive: true, force: true })
}, 60_000)

const program = join(import.meta.dirname, "programs", "high_level.py")
const subnet = `10.${process.pid % 200}.78`

/** Runs one function of the script. */
const does = async (doing: string, argument = ""): Promise<void> => {
  const { code, stdout, stderr } = await execute([python, program, doing, argument], {
    env: engine?.env,
    timeout: 50_000,
  })
  expect([code, stdout, stderr]).toEqual([0, "done\n", ""])
}

proves("docker-py", "run, wait, update, pause, healthchecks and errors", () => does("run"))
proves("docker-py", "logs, followed and cut", () => does("logs"))
proves("docker-py", "attach with stdin, and with streams told apart", () => does("attach"))
proves("docker-py", "exec in all its forms", () => does("execs"))
proves("docker-py", "stats, once and streamed", () => does("stats"))
proves("docker-py", "put_archive, get_archive, diff and export", () => does("archives"))
proves("docker-py", "volumes", () => does("volumes"))
proves("docker-py", "networks and published ports", () => does("networks", subnet))
proves("docker-py", "images: commit, save, load, push, pull", () => does("images", registry?.address))
proves("docker-py", "builds: files, directories, arguments, limits, errors", () => does("builds"))
proves("docker-py", "events, live and past", () => does("events"))
