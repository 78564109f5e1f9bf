// A real machine for tests: a private launcher, a busybox root, containers that are cleaned away in the end.
import { spawnSync } from "node:child_process"
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs"
import { tmpdir } from "node:os"
import { basename, join } from "node:path"
import { openTestKernel } from "../../../test/fixtures/launcher-kernel.ts"
import type { LauncherKernel } from "../../kernel/kernel.ts"
import type { ContainerConfig } from "../../state/container.ts"
import { type CgroupLayout, cgroupLayout, cgroupPath } from "../cgroup/layout.ts"
import { createRuntime, type ExecRequest, type LaunchRequest, type Runtime, type Task } from "../runtime.ts"
import { plainRequest } from "./fixtures.ts"

const applets =
  "sh true false cat ls id sleep mount echo dd hostname env grep pwd mknod touch kill ps stat head tail wc readlink ulimit nproc mkdir rm stty tty chmod ip nc seq"

export interface Machine {
  readonly kernel: LauncherKernel
  readonly runtime: Runtime
  /** Host directory of the containers' lower layer. */
  readonly lower: string
  /** A request for a fresh container. */
  request(
    argv: readonly string[],
    config?: Partial<ContainerConfig>,
    changes?: Partial<LaunchRequest>,
  ): LaunchRequest
  /** Launches, waits and cleans; output is what the log holds. */
  run(
    argv: readonly string[],
    config?: Partial<ContainerConfig>,
    changes?: Partial<LaunchRequest>,
  ): Promise<{ code: number; oom: boolean; output: string }>
  launch(request: LaunchRequest): Promise<Task>
  layout(request: LaunchRequest): Promise<CgroupLayout>
  /** Output of a container so far. */
  output(request: LaunchRequest): string
  close(): Promise<void>
}

function makeRoot(lower: string): void {
  for (const directory of ["bin", "etc", "tmp", "root"])
    mkdirSync(join(lower, directory), { recursive: true })
  cpSync("/bin/busybox", join(lower, "bin", "busybox"))
  for (const applet of applets.split(" ")) symlinkSync("busybox", join(lower, "bin", applet))
  writeFileSync(
    join(lower, "etc", "passwd"),
    "root:x:0:0:root:/root:/bin/sh\nbob:x:1000:1000::/home/bob:/bin/sh\n",
  )
  writeFileSync(join(lower, "etc", "group"), "root:x:0:\nbob:x:1000:\nextra:x:2000:bob\n")
}

/** Compiles a C program statically into the root. */
export function compileInto(lower: string, name: string, source: string): void {
  const compiled = spawnSync("cc", ["-static", "-O1", "-x", "c", "-o", join(lower, "bin", name), "-"], {
    input: source,
    encoding: "utf8",
  })
  if (compiled.status !== 0) throw new Error(`the test program ${name} does not compile: ${compiled.stderr}`)
}

/** The kernel, whose features know no v1 hierarchy. */
function onlyUnified(kernel: LauncherKernel): LauncherKernel {
  const features = async () => ({
    ...(await kernel.features()),
    cgroupMode: "v2" as const,
    cgroupV1: new Map(),
  })
  return new Proxy(kernel, {
    get: (target, name) => {
      if (name === "features") return features
      const value: unknown = Reflect.get(target, name)
      return typeof value === "function" ? value.bind(target) : value
    },
  })
}

const messages = (log: string): string =>
  log
    .split("\n")
    .filter((line) => line !== "")
    .map((line): string => JSON.parse(line).log)
    .join("")

/** `unified` puts containers into the (perhaps empty) v2 hierarchy beside v1 ones, as if there were no other. */
export async function openMachine({ unified = false } = {}): Promise<Machine> {
  const base = mkdtempSync(join(tmpdir(), "sloop-rt-"))
  const lower = join(base, "lower")
  makeRoot(lower)
  const { kernel: opened, stop } = await openTestKernel(base)
  const kernel = unified ? onlyUnified(opened) : opened
  const parent = `sloop-test-${basename(base).slice(-6)}`
  const runtime = createRuntime({ kernel, cgroupParent: parent })
  const requests = new Set<LaunchRequest>()
  let count = 0

  const machine: Machine = {
    kernel,
    runtime,
    lower,
    request: (argv, config, changes) => {
      count += 1
      const id = `${basename(base).slice(-6)}${count}`.toLowerCase()
      const directory = join(base, "data", id)
      const upper = join(directory, "upper")
      const work = join(directory, "work")
      mkdirSync(upper, { recursive: true })
      mkdirSync(work)
      return plainRequest(argv, config, {
        id,
        directory,
        runDirectory: join(base, "run", id),
        root: { type: "overlay", lower: [lower], upper, work, options: [] },
        log: { driver: "json-file", path: join(directory, "log"), maxBytes: 0, maxFiles: 1 },
        ...changes,
      })
    },
    launch: (request) => {
      requests.add(request)
      return runtime.launch(request)
    },
    run: async (argv, config, changes) => {
      const request = machine.request(argv, config, changes)
      const task = await machine.launch(request)
      const { code, oom } = await task.exited
      await runtime.clean(request)
      return { code, oom, output: machine.output(request) }
    },
    layout: async (request) => cgroupLayout(await kernel.features(), cgroupPath(parent, request.id)),
    output: ({ log }) => (existsSync(log.path) ? messages(readFileSync(log.path, "utf8")) : ""),
    close: async () => {
      for (const request of requests) await runtime.clean(request)
      const { all } = cgroupLayout(await kernel.features(), `/${parent}`)
      await kernel.perform([["cgroup-kill"], ...all.map((directory) => ["path", directory] as const)])
      await stop()
      rmSync(base, { recursive: true, force: true })
    },
  }
  return machine
}

export const plainExec = (argv: readonly string[], changes: Partial<ExecRequest> = {}): ExecRequest => ({
  id: `exec${Math.random().toString(16).slice(2)}`,
  argv,
  env: ["PATH=/bin"],
  user: "",
  workingDirectory: "",
  tty: false,
  openStdin: false,
  privileged: false,
  consoleSize: [0, 0],
  expectedAttachments: 1,
  ...changes,
})
