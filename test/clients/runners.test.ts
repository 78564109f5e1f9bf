// Job runners such as act, and clients that watch such as lazydocker and editors' container tools: their calls, in their order.
import { afterAll, expect } from "bun:test"
import { join } from "node:path"
import { execute, startEngine } from "../fixtures/engine.ts"
import { proves } from "./clients.ts"

const engine = await startEngine()
afterAll(() => engine.close(), 60_000)

const does = async (doing: string): Promise<void> => {
  const program = join(import.meta.dirname, "programs", "runners.mjs")
  const words = [process.execPath, program, doing, engine.work]
  const { code, stdout, stderr } = await execute(words, { env: engine.env, timeout: 40_000 })
  expect([code, stdout, stderr]).toEqual([0, "done\n", ""])
}

proves("job runners", "create with a terminal and binds, archives in, steps by exec, logs, remove", () =>
  does("job"),
)
proves("job runners", "service containers on a network of the job, jobs cancelled midway", () =>
  does("services"),
)
proves("watching clients", "stats of all containers, events, logs and lists at once", () => does("watch"))
proves("watching clients", "calls of editors' container tools, by an old API version", () => does("editor"))
