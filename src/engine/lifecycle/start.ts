// Starts a container: namespaces and network, files, mounts, launch, record. A failure unwinds everything.

import { unixMilliseconds } from "../../base/clock.ts"
import { crashPoint } from "../../base/crash-point.ts"
import { errorMessage } from "../../base/errors.ts"
import { UndoStack } from "../../base/undo-stack.ts"
import { LauncherFailure } from "../../kernel/kernel.ts"
import type { Task } from "../../runtime/runtime.ts"
import type { ContainerRecord } from "../../state/state.ts"
import { announce, announceEndpoints } from "../announce.ts"
import type { Context } from "../context.ts"
import { environmentOf } from "../creation/environment.ts"
import { parseLog } from "../creation/log-options.ts"
import { mountAttributes } from "../creation/mount-points.ts"
import { furniture } from "../files/furniture.ts"
import { mountsOf } from "../files/mounts.ts"
import type { Live, PendingAttach } from "../live.ts"
import { connectContainer, joinedNamespaces, NETWORKING_FAILED } from "../networking/connect.ts"
import { logPath, recordDirectory, runDirectory } from "../places.ts"
import { parseDetachKeys } from "../streams/detach-keys.ts"
import { forwardLogs } from "../streams/forward-logs.ts"
import { resolveEnded, watchExit } from "./exit.ts"
import { startHealthcheck } from "./health.ts"
import { removeRecord } from "./remove.ts"
import { permit } from "./transitions.ts"

/** What `docker run` exits with: the engine's own failures are 125. */
export const startFailureCode = (message: string): number => {
  if (message.startsWith(NETWORKING_FAILED)) return 128
  if (/executable file not found|no such file or directory|not found/i.test(message)) return 127
  if (/permission denied|is a directory|exec format error|not a directory/i.test(message)) return 126
  return 128
}

/**
 * Joins the clients that were waiting to the running process, whether or not they are still there. The monitor holds
 * the output until as many have come as it was told, so nobody waits for this.
 */
const connectPending = (
  context: Context,
  live: Live,
  attach: Task["attach"],
  pending: readonly PendingAttach[],
): void => {
  for (const one of pending) {
    live.pending.delete(one)
    context.background.run("connecting a client", async () => {
      try {
        one.stream.connect(await attach(one.streams))
      } catch {
        // The process and its monitor are gone already: there is nothing to stream.
        one.stream.finish()
      }
    })
  }
}

const launch = async (
  context: Context,
  live: Live,
  record: ContainerRecord,
  undo: UndoStack,
): Promise<Task> => {
  const { config, id } = record
  // The old exit record goes with a new launch; the exit must be on the disk before.
  if (record.startedAt > 0) context.state.flush()
  await context.snapshots.furnish(id, furniture)
  const root = context.snapshots.mounts(id)
  const joined = joinedNamespaces(context, record)
  const connection = await connectContainer(context, record)
  const { attachment } = connection
  if (attachment !== undefined) undo.push("network", () => context.networks.leave(attachment.lease))
  crashPoint("start:joined")
  const mounts = await mountsOf(context, record, connection.managed)
  const run = runDirectory(context, id)
  // The intent: a restarted engine finds the lease, and by it everything of this start.
  context.catalogue.change(
    id,
    {
      ...(connection.networks === undefined ? {} : { config: { ...config, networks: connection.networks } }),
      networkLease: attachment?.lease,
      endpoints: connection.endpoints,
      publishedPorts: attachment?.ports ?? [],
      starting: { at: unixMilliseconds(), boot: context.boot },
    },
    { durable: false },
  )
  crashPoint("start:intended")

  const pending = [...live.pending]
  let network: Promise<void> | undefined
  undo.push("launch", () => context.runtime.clean({ id, config, runDirectory: run }))
  const task = await context.runtime.launch({
    id,
    name: record.name,
    config,
    argv: [record.path, ...record.args],
    env: environmentOf(config, connection.linkedEnv),
    root,
    mounts,
    networkNamespace: connection.namespace,
    joined,
    reservations: attachment?.reservations ?? [],
    nameRelay: attachment?.nameRelay,
    expectedAttachments: pending.length,
    directory: recordDirectory(context, record),
    runDirectory: run,
    log: { ...parseLog(config.logDriver, config.logOptions), path: logPath(context, id) },
    durableExit: !config.autoRemove,
    // What nobody should wait for is done while the launcher works: the intent reaches the disk, the bridge is looked at.
    sent: () => {
      if (!config.autoRemove) context.state.flush()
      network = attachment?.ensure?.()
      network?.catch(() => {})
    },
    listening: (attach) => connectPending(context, live, attach, pending),
  })
  crashPoint("start:launched")
  await network
  if (attachment !== undefined) context.networks.joined(attachment.lease)
  return task
}

/**
 * Whether another try with a network of its own mends it: the launcher that held the namespace was replaced, or a
 * random port was taken by another program just now.
 */
const isPassing = (record: ContainerRecord, error: unknown): boolean => {
  const cause = error instanceof Error && !(error instanceof LauncherFailure) ? error.cause : error
  if (!(cause instanceof LauncherFailure)) return false
  if (cause.step === "namespace") return cause.path.startsWith("held:") && cause.errnoName === "ENOENT"
  const random = record.config.ports.every((port) => (port.hostPort ?? 0) === 0)
  return cause.step === "reserve-port" && cause.errnoName === "EADDRINUSE" && random
}

/** Launches, and once more when the first failure was a passing one. */
const launchTwice = async (
  context: Context,
  live: Live,
  record: ContainerRecord,
  undo: UndoStack,
): Promise<Task> => {
  try {
    return await launch(context, live, record, undo)
  } catch (error) {
    if (!isPassing(record, error)) throw error
    await undo.unwind()
    return launch(context, live, record, undo)
  }
}

const recordFailure = (
  context: Context,
  live: Live,
  record: ContainerRecord,
  error: unknown,
  restarting: boolean,
): void => {
  const message = errorMessage(error)
  const exitCode = startFailureCode(message)
  for (const attach of live.pending) attach.stream.finish()
  live.pending.clear()
  const failed = context.catalogue.change(record.id, {
    status: record.startedAt > 0 ? "exited" : "created",
    pid: 0,
    exitCode,
    error: message,
    networkLease: undefined,
    endpoints: [],
    publishedPorts: [],
    starting: undefined,
  })
  // Who asked for the start hears it from the start; a wait for its end would tell the same error twice.
  if (restarting) resolveEnded(live, exitCode, message)
  if (failed?.config.autoRemove && !live.keepOnExit) {
    removeRecord(context, live, { ...failed, error: "" }, { volumes: true })
  }
}

/** Starts a container that does not run, with its lock held. Throws what the failing step said. */
export const launchContainer = async (
  context: Context,
  live: Live,
  restarting: { count: number } | undefined,
): Promise<void> => {
  await live.teardown
  const record = context.catalogue.get(live.id)
  const undo = new UndoStack()
  let task: Task
  let started: ContainerRecord | undefined
  try {
    crashPoint("start:begun")
    task = await launchTwice(context, live, record, undo)
    const running: Partial<ContainerRecord> = {
      status: "running",
      pid: task.pid,
      startedAt: unixMilliseconds(),
      exitCode: 0,
      oomKilled: false,
      error: "",
      stoppedByUser: false,
      restartCount: restarting?.count ?? 0,
      health: undefined,
      starting: undefined,
    }
    // The intent is on the disk; power loss ends the process all the same.
    started = context.catalogue.change(live.id, running, { durable: false })
  } catch (error) {
    await undo.unwind()
    recordFailure(context, live, record, error, restarting !== undefined)
    throw error
  }
  live.task = task
  live.tellsOfLeaving = false
  crashPoint("start:recorded")
  undo.discard()
  if (started === undefined) return
  publishStart(context, started)
  watchExit(context, live, task)
  forwardLogs(context, live, started, live.ended)
  startHealthcheck(context, live, started)
  // Clients that came while the launch was under way.
  connectPending(context, live, task.attach, [...live.pending])
}

const publishStart = (context: Context, record: ContainerRecord): void => {
  for (const point of record.mountPoints) {
    if (point.type !== "volume" || point.name === undefined) continue
    context.events.publish({
      type: "volume",
      action: "mount",
      id: point.name,
      attributes: mountAttributes(point, record.id),
    })
  }
  announceEndpoints(context, record, "connect")
  announce(context, record, "start")
}

/** The start verb. not-modified when it runs already. */
export const startContainer = async (
  context: Context,
  reference: string,
  options: { detachKeys?: string } = {},
): Promise<void> => {
  parseDetachKeys(options.detachKeys)
  const { id } = context.catalogue.get(reference)
  await context.mutex.run(id, async () => {
    const record = context.catalogue.get(id)
    permit("start", record)
    const live = context.live.of(id)
    live.backoff = 0
    await launchContainer(context, live, undefined)
  })
}

/** Starts again after an exit, if nobody decided otherwise meanwhile. A start that fails leaves it exited, as Docker. */
export const restartContainer = (context: Context, live: Live): Promise<void> =>
  context.mutex.run(live.id, async () => {
    const record = context.catalogue.find(live.id)
    if (record === undefined || record.status !== "restarting" || context.closing || live.removing) return
    await launchContainer(context, live, { count: record.restartCount })
  })
