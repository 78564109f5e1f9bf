// The runtime over our own launcher: spec → plan → monitor → task, and what is left of it cleaned.
import { chmodSync, existsSync, mkdirSync, readdirSync, rmdirSync, rmSync, unlinkSync } from "node:fs"
import { join } from "node:path"
import { type ExitRecord, type Kernel, lostMonitor, readExitRecord } from "../../kernel/kernel.ts"
import type { ContainerConfig } from "../../state/container.ts"
import { containerCapabilities } from "../capabilities.ts"
import { type CgroupLayout, cgroupLayout, cgroupPath } from "../cgroup/layout.ts"
import { prepareUnified } from "../cgroup/unified.ts"
import { launchPlan } from "../plan.ts"
import type { LaunchRequest, Runtime, Task } from "../runtime.ts"
import { type SeccompChoice, seccompChoice } from "../seccomp/choice.ts"
import { filterProgram } from "../seccomp/filter.ts"
import { sharedMemoryDirectory } from "../spec/mounts.ts"
import { buildSpec } from "../spec/spec.ts"
import { validateConfig } from "../validate.ts"
import { execPlanner } from "./exec.ts"
import { launchFailure } from "./failures.ts"
import { taskOf } from "./task.ts"

export interface RuntimeOptions {
  readonly kernel: Kernel
  /** Cgroup above the containers' own, beneath the root of each hierarchy; "sloop" when absent. */
  readonly cgroupParent?: string
  /** JSON of the profile for containers that name none; the built-in one when absent. */
  readonly seccompProfile?: string
}

/** Name of the exit record in a container's directory. */
const exitRecordName = "exit"
const socketName = "monitor.sock"

/** A runtime that launches through the kernel's launcher. */
export function createRuntime({ kernel, cgroupParent = "sloop", seccompProfile }: RuntimeOptions): Runtime {
  const seccomp = seccompChoice(seccompProfile)
  const planExec = execPlanner(kernel, seccomp)
  // The usual filter is compiled ahead of the first container that needs it.
  setImmediate(() => {
    kernel
      .features()
      .then(({ capabilities, kernelVersion }) => warmFilter(seccomp, capabilities, kernelVersion))
      .catch(() => {})
  })

  const layoutOf = async (id: string, config: ContainerConfig): Promise<CgroupLayout> =>
    cgroupLayout(await kernel.features(), cgroupPath(config.resources.cgroupParent || cgroupParent, id))

  async function launch(request: LaunchRequest): Promise<Task> {
    const { id, config, directory, runDirectory } = request
    const features = await kernel.features()
    const { spec, layout } = buildSpec({
      request,
      features,
      cgroupParent,
      seccomp: seccomp(config, features.kernelVersion),
    })
    const monitorSocket = join(runDirectory, socketName)
    const exitRecord = join(directory, exitRecordName)
    const operations = launchPlan(spec, {
      layout,
      root: request.root,
      monitorSocket,
      exitRecord,
      durableExit: request.durableExit,
      log: request.log,
      stdinOpen: config.openStdin,
      stdinOnce: config.stdinOnce,
      expectedAttachments: request.expectedAttachments,
      reservations: request.reservations,
      ...(request.nameRelay === undefined ? {} : { nameRelay: { path: request.nameRelay, containerId: id } }),
      init: config.init === true,
      ...(request.rootOperations === undefined ? {} : { rootOperations: request.rootOperations }),
    })
    mkdirSync(runDirectory, { recursive: true, mode: 0o700 })
    // A record of an earlier life must not answer for this one.
    removeFile(exitRecord)
    if (layout.unified !== undefined) prepareUnified(features, spec.linux.cgroupsPath)
    if (config.ipcMode === "shareable") prepareSharedMemory(id)
    try {
      return taskOf(
        id,
        await kernel.launch(id, operations, monitorSocket, {
          exitRecord,
          sent: request.sent,
          listening: request.listening,
        }),
        { layout, features },
        planExec,
      )
    } catch (error) {
      removeRunDirectory(runDirectory)
      if (config.ipcMode === "shareable") rmSync(sharedMemoryDirectory(id), { recursive: true, force: true })
      throw launchFailure(error)
    }
  }

  async function rejoin(request: {
    id: string
    config: ContainerConfig
    directory: string
    runDirectory: string
    pid: number
  }): Promise<Task | ExitRecord> {
    const exitRecord = join(request.directory, exitRecordName)
    const features = await kernel.features()
    const layout = await layoutOf(request.id, request.config)
    const monitor = await kernel.rejoin(join(request.runDirectory, socketName), exitRecord)
    if (monitor !== undefined) return taskOf(request.id, monitor, { layout, features }, planExec)
    // Without its monitor nobody serves the container: what is left of it is ended.
    await kill(kernel, layout)
    return readExitRecord(exitRecord) ?? lostMonitor()
  }

  async function clean(request: {
    id: string
    config: ContainerConfig
    runDirectory: string
  }): Promise<void> {
    await kill(kernel, await layoutOf(request.id, request.config))
    removeRunDirectory(request.runDirectory)
    if (request.config.ipcMode === "shareable")
      rmSync(sharedMemoryDirectory(request.id), { recursive: true, force: true })
  }

  return {
    launch,
    rejoin,
    clean,
    validate: async (config) => validateConfig(config, await kernel.features(), seccomp),
  }
}

function warmFilter(seccomp: SeccompChoice, available: bigint, kernelVersion: string): void {
  const usual = { privileged: false, capAdd: [], capDrop: [], securityOptions: [] }
  const filter = seccomp(usual, kernelVersion)(containerCapabilities(usual, available))
  if (filter !== undefined) filterProgram(filter)
}

/** Kills what a container's cgroups hold and removes them; mostly its monitor has done so already. */
async function kill(kernel: Kernel, layout: CgroupLayout): Promise<void> {
  const left = layout.all.filter((directory) => existsSync(directory))
  if (left.length === 0) return
  await kernel.perform([["cgroup-kill"], ...left.map((directory) => ["path", directory] as const)])
}

/** Removes a file that may be missing. */
function removeFile(path: string): void {
  try {
    unlinkSync(path)
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "ENOENT")) throw error
  }
}

/** Removes a run's directory; the plain way first, because it is on the way of every container. */
function removeRunDirectory(path: string): void {
  try {
    for (const name of readdirSync(path)) unlinkSync(join(path, name))
    rmdirSync(path)
  } catch {
    rmSync(path, { recursive: true, force: true })
  }
}

function prepareSharedMemory(id: string): void {
  const directory = sharedMemoryDirectory(id)
  mkdirSync(directory, { recursive: true })
  chmodSync(directory, 0o1777)
}
