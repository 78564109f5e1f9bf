// The daemon is killed at every step of a build: nothing half made stays, and the next build goes on after the last step that was done.
import { afterAll, beforeAll, expect, test } from "bun:test"
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { eventually } from "../fixtures/engine.ts"
import { type Crashing, startCrashing } from "./crashing.ts"

let ground: Crashing
beforeAll(async () => {
  ground = await startCrashing()
}, 60_000)
afterAll(() => ground.engine.close(), 60_000)

const env = { DOCKER_BUILDKIT: "0" }
const build = (directory: string) =>
  ground.engine.dockerWith({ timeout: 20_000, env }, "build", "-t", "built", directory)

const contextOf = (name: string, last: string): string => {
  const directory = join(ground.engine.work, name)
  mkdirSync(directory, { recursive: true })
  writeFileSync(join(directory, "hello"), `hello ${name}\n`)
  const lines = ["FROM busybox", `RUN date +%N > /${name}`, "COPY hello /hello", `RUN ${last}`]
  writeFileSync(join(directory, "Dockerfile"), `${lines.join("\n")}\n`)
  return directory
}

const names = (path: string): string[] => (existsSync(path) ? readdirSync(path) : [])

/** What builds leave when they are ended badly. */
const half = (): string[] => [
  ...names(join(ground.engine.root, "run", "b")),
  ...names(join(ground.engine.root, "data", "build", "layers")),
  ...names(join(ground.engine.root, "data", "build", "contexts")).filter((name) =>
    /^(tar|archive)-/.test(name),
  ),
  ...readFileSync("/proc/self/mountinfo", "utf8")
    .split("\n")
    .filter((line) => line.includes(`${ground.engine.root}/`) && line.includes("build-")),
]

const steps = ["build:begun", "build:made", "layer:unpacked", "layer:committed", "build:recorded"]

test.each(steps)("killed at %s", async (step) => {
  const directory = contextOf(`c${steps.indexOf(step)}`, "echo done > /done")
  await ground.dieAt(step, () => build(directory))
  await ground.bystanderLives()
  await eventually("nothing half made is there", () => half().length === 0)
  await ground.expectWhole()
  const { code, stdout } = await build(directory)
  expect([code, stdout.includes("Successfully tagged built:latest")]).toEqual([0, true])
  if (step === "build:recorded") expect(stdout).toContain("Using cache")
  expect(await ground.engine.ok("run", "--rm", "built", "cat", "/done")).toBe("done")
  await ground.expectWhole()
})

/** Seconds that no other sleep of the machine has. */
const seconds = 100_000 + process.pid

test("killed while a command runs: it ends, and what ran before it is not run again", async () => {
  const directory = contextOf("running", `sleep ${seconds}`)
  const building = build(directory)
  const commands = (): number =>
    names("/proc").filter((pid) => {
      try {
        return (
          readFileSync(`/proc/${pid}/cmdline`, "utf8") === `sleep\u0000${seconds}\u0000` && /^\d+$/.test(pid)
        )
      } catch {
        return false
      }
    }).length
  const before = commands()
  await eventually("the command runs", () => commands() > before)
  await ground.engine.kill9()
  await building
  await ground.engine.start()
  await eventually("the command has ended", () => commands() <= before)
  await eventually("nothing half made is there", () => half().length === 0)
  await ground.expectWhole()
  writeFileSync(
    join(directory, "Dockerfile"),
    readFileSync(join(directory, "Dockerfile"), "utf8").replace(`sleep ${seconds}`, "true"),
  )
  const { stdout } = await build(directory)
  expect(stdout.match(/Using cache/g)?.length).toBe(2)
})
