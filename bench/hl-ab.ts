// The launcher alone: from a plan handed over to its process's exit known, with a prepared network namespace and with
// one made for it, against the kernel's own floor. Floor and launcher get the same plans in turn, with the same rest
// before each, and one C program (bench/floor/) holds the clock for both. It connects to the launcher before that rest, as
// the daemon keeps a connection ahead of the next launch. The container's program is a static true.
import { type ChildProcess, spawn } from "node:child_process"
import { existsSync, mkdirSync, mkdtempSync, rmdirSync, rmSync, statfsSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { createInterface } from "node:readline"
import { buildProgram, launcherFile } from "../scripts/launcher.mjs"
import { type Kernel, openKernel, type Plan } from "../src/kernel/kernel.ts"
import { createRuntime, type LaunchRequest } from "../src/runtime/runtime.ts"
import { busyboxConfig } from "../src/runtime/testing/fixtures.ts"
import { compile } from "../test/fixtures/c-program.ts"
import { median } from "./harness/measure.ts"
import type { Bench } from "./harness/promise.ts"

const project = join(import.meta.dirname, "..")
const launcherBinary = process.env.SLOOP_LAUNCHER ?? join(project, "dist", "launcher")
const kinds = ["cold", "warm"] as const
const sides = ["launcher", "floor"] as const
type Kind = (typeof kinds)[number]

/** Dead network namespaces are torn down for tens of milliseconds; they would weigh on the next container. */
const rest = () => new Promise((resolve) => setTimeout(resolve, 60))

/** Thrown instead of launching. */
class Captured extends Error {
  readonly plan: Plan

  constructor(plan: Plan) {
    super("a plan was captured")
    this.plan = plan
  }
}

/** The plan that the runtime would hand over. */
async function planOf(kernel: Kernel, request: LaunchRequest): Promise<Plan> {
  const capturing: Kernel = {
    ...kernel,
    features: () => kernel.features(),
    perform: (plan, signal) => kernel.perform(plan, signal),
    launch: (id, plan) => Promise.reject(new Captured([["launch", id], ...plan])),
  }
  try {
    await createRuntime({ kernel: capturing, cgroupParent: "sloop-bench" }).launch(request)
  } catch (error) {
    for (let cause = error; cause instanceof Error; cause = cause.cause)
      if (cause instanceof Captured) return cause.plan
    throw error
  }
  throw new Error("the runtime launched nothing")
}

function frame(plan: Plan): Buffer {
  const words = plan.flatMap(([name, ...args]) => [name, String(args.length), ...args])
  const payload = Buffer.from(words.map((word) => `${word}\0`).join(""))
  const header = Buffer.from([1, 1, 0, 0, 0, 0, 0, 0])
  header.writeUInt32LE(payload.length, 4)
  return Buffer.concat([header, payload])
}

/** The C program that performs plans itself and asks launchers to; milliseconds for each. */
class Clock {
  readonly #child: ChildProcess
  readonly #answers: AsyncIterableIterator<string>

  constructor(dataRoot: string) {
    const sources = ["floor.c", "perform.c", "read.c"].map((name) => join(project, "bench", "floor", name))
    const shared = ["mount.c", "report.c", "plan.c", "seat.c"].map(launcherFile)
    const program = buildProgram([...sources, ...shared], join(dataRoot, "floor"))
    this.#child = spawn(program, [dataRoot], { stdio: ["pipe", "pipe", "inherit"] })
    if (!this.#child.stdout) throw new Error("the floor's program has no output")
    this.#answers = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]()
  }

  async measure(...words: readonly string[]): Promise<number> {
    this.#child.stdin?.write(`${words.join(" ")}\n`)
    const microseconds = Number((await this.#answers.next()).value)
    if (!(microseconds > 0)) throw new Error(`${words[0]} failed`)
    return microseconds / 1000
  }

  close(): Promise<unknown> {
    const ended = new Promise((resolve) => this.#child.once("exit", resolve))
    this.#child.stdin?.end()
    return ended
  }
}

/** Five layers; as the engine furnishes an image, nothing to mount over is made at a launch. */
function makeLayers(directory: string): string[] {
  const lower = Array.from({ length: 5 }, (_, index) => join(directory, `layer-${index}`))
  const [top = directory] = lower
  for (const path of lower) mkdirSync(path, { recursive: true })
  for (const path of ["dev", "dev/pts", "dev/shm", "etc", "proc", "sys"])
    mkdirSync(join(top, path), { recursive: true })
  const source = join(directory, "true.c")
  writeFileSync(source, "int main(void) { return 0; }\n")
  compile(top, source)
  return lower
}

/** Run roots lie on a tmpfs on every distribution. */
function makeRunRoot(): string {
  const tmpfs = 0x01021994
  const place = ["/run", "/dev/shm"].find((path) => statfsSync(path).type === tmpfs)
  return mkdtempSync(join(place ?? tmpdir(), "sbl-"))
}


const bins = process.argv.slice(3)
const N = Number(process.argv[2])
const directory = mkdtempSync(join(tmpdir(), "sbl-"))
const lower = makeLayers(directory)
const clock = new Clock(directory)
const parents = new Set<string>()
const sidesX = await Promise.all(bins.map(async (bin, n) => {
  const runRoot = makeRunRoot()
  const kernel = await openKernel({ launcherBinary: bin, runRoot, dataRoot: directory })
  return { bin, runRoot, kernel, times: [] as number[], n }
}))
for (let round = 0; round < N + 3; round++)
  for (const { runRoot, kernel, times, n } of sidesX) {
    const id = `${round}a${n}`.padStart(64, "0")
    const request: LaunchRequest = {
      id, name: id,
      config: busyboxConfig({ resources: { memory: 256 << 20, cpuShares: 512, pids: 100 } }),
      argv: ["/true"], env: ["PATH=/bin"],
      root: { type: "overlay", lower, upper: join(directory, id, "upper"), work: join(directory, id, "work"), options: ["volatile"] },
      mounts: [], networkNamespace: `held:${id}`, joined: {}, reservations: [], expectedAttachments: 0,
      directory: join(directory, id), runDirectory: join(runRoot, "c", id.slice(0, 12)),
      log: { driver: "json-file", path: join(directory, id, "log"), maxBytes: 0, maxFiles: 1 },
      durableExit: false,
    }
    const plan = await planOf(kernel, request)
    for (const path of ["upper", "work"]) mkdirSync(join(directory, id, path), { recursive: true })
    mkdirSync(request.runDirectory, { recursive: true })
    for (const [name, path] of plan) if (name === "cgroup" && path) parents.add(dirname(path))
    const file = join(directory, id, "plan")
    writeFileSync(file, frame(plan))
    await kernel.perform([["netns-create"], ["name", id]])
    await clock.measure("dial", join(runRoot, "launcher.sock"))
    await new Promise((resolve) => setTimeout(resolve, 50))
    const took = await clock.measure("ask", file)
    if (round >= 3) times.push(took)
    await kernel.perform([["netns-drop"], ["name", id]])
    rmSync(join(directory, id), { recursive: true, force: true })
  }
for (const { bin, times, kernel, runRoot } of sidesX) {
  times.sort((a, b) => a - b)
  const q = (f: number) => times[Math.floor(times.length * f)]?.toFixed(2)
  console.log(`${bin}: p10 ${q(0.1)} p25 ${q(0.25)} median ${q(0.5)} p75 ${q(0.75)}`)
  await kernel.stopLauncher(); await kernel.close(); rmSync(runRoot, { recursive: true, force: true })
}
await clock.close()
for (const path of parents) if (existsSync(path)) rmdirSync(path)
rmSync(directory, { recursive: true, force: true })
