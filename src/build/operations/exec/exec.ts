// Runs the command of a step over its root, and commits what it wrote.
import { errorMessage } from "../../../base/errors.ts"
import { createLog } from "../../../base/log.ts"
import { UndoStack } from "../../../base/undo-stack.ts"
import { type ExitRecord, LauncherFailure } from "../../../kernel/kernel.ts"
import type { Task } from "../../../runtime/runtime.ts"
import type { ContainerConfig } from "../../../state/state.ts"
import type { ExecNode } from "../../graph/graph.ts"
import type { BuildRooms } from "../../rooms.ts"
import type { Tree } from "../../solver/solver.ts"
import { commitWritable } from "../commit.ts"
import type { LayersTree, Operations, StepRun } from "../operations.ts"
import { checkEntitlements, configOf, environmentOf } from "./config.ts"
import { type PreparedMounts, prepareMounts, type StepMountParts } from "./mounts.ts"
import { connectStep } from "./networking.ts"
import { cancelled, endFailure, startFailure } from "./outcome.ts"
import { reportOutput } from "./output.ts"
import { commonStubs, makePlace, managedFiles, type StepPlace, withStubs } from "./places.ts"

const log = createLog("build")

const SIGKILL = 9

export interface ExecRoom {
  readonly exec: Operations["exec"]
  /** Waits for the steps that run, and until what ended ones left is cleared away. */
  settle(): Promise<void>
}

/** One step on its way, with what takes it down again. */
interface Step {
  readonly node: ExecNode
  readonly root: LayersTree
  readonly run: StepRun
  readonly config: ContainerConfig
  readonly undo: UndoStack
}

const isLostNamespace = (error: unknown): boolean => {
  const cause = error instanceof Error && !(error instanceof LauncherFailure) ? error.cause : error
  return (
    cause instanceof LauncherFailure &&
    cause.step === "namespace" &&
    cause.path.startsWith("held:") &&
    cause.errnoName === "ENOENT"
  )
}

const launch = async (
  rooms: BuildRooms,
  step: Step,
  place: StepPlace,
  prepared: PreparedMounts,
): Promise<Task> => {
  const { node, run, config, undo } = step
  const { id, request } = run
  // The launcher works while the network is prepared and files are written.
  const stubbed = withStubs(rooms.kernel, place, rooms.snapshots.mounts(id), [
    ...commonStubs,
    ...(request.face === "classic" ? ([["file", "/etc/hostname"]] as const) : []),
    ...prepared.stubs,
  ])
  undo.push("stubs", () => stubbed.catch(() => undefined))
  stubbed.catch(() => undefined)
  const network = await connectStep(rooms.networks, id, config)
  undo.push("network", () => network.leave())
  const texts = {
    hosts: network.hosts,
    "resolv.conf": network.resolvConf,
    ...(request.face === "classic" ? { hostname: `${config.hostname}\n` } : {}),
  }
  // BuildKit's steps cannot change them, those of the classic builder can, to no effect.
  const flags = request.face === "classic" ? ["rprivate"] : ["rprivate", "ro"]
  const managed = managedFiles(place, texts, flags)
  const root = await stubbed
  if (run.signal.aborted) throw cancelled()
  const task = await rooms.runtime.launch({
    id,
    name: id,
    config,
    argv: node.argv,
    env: [...environmentOf(node, config.hostname, request), ...prepared.env],
    root,
    mounts: managed,
    rootOperations: prepared.operations,
    networkNamespace: network.namespace,
    joined: {},
    reservations: [],
    ...(network.nameRelay === undefined ? {} : { nameRelay: network.nameRelay }),
    expectedAttachments: 1,
    directory: place.monitor,
    runDirectory: place.monitor,
    log: { driver: "none", path: "", maxBytes: 0, maxFiles: 0 },
    durableExit: false,
  })
  network.joined()
  return task
}

/** Once more when the launcher that held the network was replaced meanwhile. */
const launchTwice = async (
  rooms: BuildRooms,
  step: Step,
  place: StepPlace,
  prepared: PreparedMounts,
): Promise<Task> => {
  const attempt = async (): Promise<Task> => {
    const inner = new UndoStack()
    try {
      const task = await launch(rooms, { ...step, undo: inner }, place, prepared)
      step.undo.push("launch", () => inner.unwind())
      return task
    } catch (error) {
      await inner.unwind()
      throw error
    }
  }
  try {
    return await attempt()
  } catch (error) {
    if (!isLostNamespace(error)) throw error
    return attempt()
  }
}

/** Tells its output and waits for its end; kills it when the run is cancelled. */
const watch = async (task: Task, node: ExecNode, run: StepRun): Promise<ExitRecord> => {
  const kill = () => {
    task.signal(SIGKILL).catch(() => {
      // It has ended meanwhile.
    })
  }
  run.signal.addEventListener("abort", kill, { once: true })
  if (run.signal.aborted) kill()
  try {
    const output = task
      .attach({ stdin: false, stdout: true, stderr: true })
      .then((stream) => reportOutput(stream, run.vertex, run.report))
      .catch((error: unknown) =>
        log.warn("the output of a step is lost", { step: node.name, error: errorMessage(error) }),
      )
    const exit = await task.exited
    await output
    return exit
  } finally {
    run.signal.removeEventListener("abort", kill)
  }
}

/** `parts.mounts` makes the mounts that a step asks for. */
export const openExec = (parts: { rooms: BuildRooms; mounts: StepMountParts }): ExecRoom => {
  const { rooms } = parts
  const clearing = new Set<Promise<unknown>>()

  /** Nobody waits for what is cleared away after a step. */
  const clearLater = (task: Task, undo: UndoStack): void => {
    const work = task.cleared
      .then(() => undo.unwind())
      .finally(() => {
        task.release()
        clearing.delete(work)
      })
    clearing.add(work)
  }

  const perform = async (step: Step, trees: ReadonlyMap<number, Tree>): Promise<LayersTree> => {
    const { node, root, run, config, undo } = step
    const { id } = run
    const place = makePlace(rooms.runRoot, id, config)
    undo.push("run directory", () => place.remove())
    await rooms.snapshots.prepare(id, root.chainId, { ephemeral: true })
    undo.push("snapshot", () => rooms.snapshots.remove(id))
    const prepared = await prepareMounts(parts.mounts, node, trees, { run, place, undo })
    undo.push("processes", () => rooms.runtime.clean({ id, config, runDirectory: place.monitor }))
    let task: Task
    try {
      task = await launchTwice(rooms, step, place, prepared)
    } catch (error) {
      throw run.signal.aborted ? cancelled() : startFailure(node, error, run.request.face)
    }
    let cleared = false
    try {
      const exit = await watch(task, node, run)
      if (run.signal.aborted) throw cancelled()
      if (exit.code !== 0) throw endFailure(node, exit, config.resources.memory ?? 0)
      const result = await commitWritable(rooms, id, root, run)
      cleared = true
      clearLater(task, undo)
      return result
    } finally {
      if (!cleared) {
        await task.cleared
        task.release()
      }
    }
  }

  const exec: Operations["exec"] = async (node, root, trees, run) => {
    checkEntitlements(node, run.request)
    if (run.signal.aborted) throw cancelled()
    const config = configOf(node, run.request, run.id)
    await rooms.runtime.validate(config)
    const undo = new UndoStack()
    try {
      return await perform({ node, root, run, config, undo }, trees)
    } catch (error) {
      await undo.unwind()
      throw run.signal.aborted ? cancelled() : error
    }
  }

  return {
    exec(...words) {
      const work = exec(...words)
      const known = work.catch(() => undefined).finally(() => clearing.delete(known))
      clearing.add(known)
      return work
    },
    async settle() {
      while (clearing.size > 0) await Promise.allSettled([...clearing])
    },
  }
}
