// An engine that is killed while a step runs: the next one ends the step and removes what is left of it.
import { afterAll, expect, test } from "bun:test"
import { spawn } from "node:child_process"
import { randomBytes } from "node:crypto"
import { mkdirSync, mkdtempSync, readdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { eventually } from "../../../test/fixtures/engine.ts"
import { openStepGround, type StepGround } from "./testing/ground.ts"

const directory = mkdtempSync("/tmp/slb-")
const tag = randomBytes(3).toString("hex")
let ground: StepGround | undefined
afterAll(() => ground?.close(), 20_000)

test("kill -9 in the middle of a step", async () => {
  const work = join(import.meta.dirname, "testing", "step-work.ts")
  const engine = spawn(process.execPath, [work, directory, tag], { stdio: ["ignore", "pipe", "inherit"] })
  let told = ""
  engine.stdout.on("data", (chunk: Buffer) => {
    told += chunk.toString()
  })
  await eventually("the step runs", () => told.includes("begun"), 20_000)
  const ended = new Promise((resolve) => engine.once("exit", resolve))
  engine.kill("SIGKILL")
  await ended

  ground = await openStepGround({ dataRoot: directory, tag })
  // The step lives on: its monitor keeps it.
  const left = ground.leftovers()
  expect(left.filter((name) => name.startsWith("build-")).length).toBeGreaterThanOrEqual(3)
  // A layer that was on its way, a cache mount that was never recorded.
  writeFileSync(join(ground.rooms.root, "layers", "half"), "half")
  mkdirSync(join(ground.rooms.root, "cache-mounts", "unknown", "fs"), { recursive: true })
  await ground.steps.recover()
  await ground.steps.close()
  expect(ground.leftovers()).toEqual([])
  expect(readdirSync(ground.rooms.root)).toEqual(["cache-mounts"])
  const kept = await ground.steps.cacheMounts()
  expect(kept.map(({ inUse }) => inUse)).toEqual([false])
  expect(readdirSync(join(ground.rooms.root, "cache-mounts"))).toEqual(kept.map(({ id }) => id))
  // Steps run again.
  expect((await ground.sh("cat /half 2>/dev/null || echo clean")).output).toBe("clean\n")
  // Nothing to do the second time.
  await ground.steps.recover()
}, 40_000)
