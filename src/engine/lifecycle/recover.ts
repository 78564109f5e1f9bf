// The engine starts: running containers are found again, dead ones recorded, half-made things removed, policies applied.

import { existsSync, mkdirSync, readdirSync, rmSync } from "node:fs"
import { join } from "node:path"
import { unixMilliseconds } from "../../base/clock.ts"
import { errorMessage } from "../../base/errors.ts"
import { Limiter } from "../../base/limiter.ts"
import { createLog } from "../../base/log.ts"
import type { ExitRecord } from "../../kernel/kernel.ts"
import type { Task } from "../../runtime/runtime.ts"
import type { ContainerRecord } from "../../state/state.ts"
import { announce } from "../announce.ts"
import { describeContainer } from "../catalogue.ts"
import type { Context } from "../context.ts"
import { refreshFiles } from "../networking/living.ts"
import { recordDirectory, runDirectory } from "../places.ts"
import { forwardLogs } from "../streams/forward-logs.ts"
import { handleExit, scheduleRestart, watchExit } from "./exit.ts"
import { startHealthcheck } from "./health.ts"
import { finishRemoval, removeRecord } from "./remove.ts"
import { startsWithEngine } from "./restart-policy.ts"
import { startContainer } from "./start.ts"
import { takeDown } from "./take-down.ts"

const log = createLog("recover")
const atOnce = 16

interface Found {
  readonly record: ContainerRecord
  /** What became of the run that the record tells of. */
  readonly outcome: Task | ExitRecord
}

const isTask = (outcome: Task | ExitRecord): outcome is Task => "exited" in outcome

/** A run, or the intent of one, was under way when the engine ended. */
const wasUnderWay = (context: Context, record: ContainerRecord): boolean =>
  record.status === "running" ||
  record.status === "paused" ||
  record.networkLease !== undefined ||
  record.starting !== undefined ||
  existsSync(runDirectory(context, record.id))

const findAgain = async (context: Context, record: ContainerRecord): Promise<Found> => ({
  record,
  outcome: await context.runtime.rejoin({
    id: record.id,
    config: record.config,
    directory: recordDirectory(context, record),
    runDirectory: runDirectory(context, record.id),
    pid: record.pid,
  }),
})

const adopt = (context: Context, record: ContainerRecord, task: Task): void => {
  const live = context.live.of(record.id)
  live.task = task
  let current = record
  if (record.status !== "running" && record.status !== "paused") {
    // Launched, but the engine ended before it could say so.
    current =
      context.catalogue.change(record.id, {
        status: "running",
        pid: task.pid,
        startedAt: unixMilliseconds(),
        exitCode: 0,
        error: "",
        stoppedByUser: false,
        starting: undefined,
      }) ?? record
    announce(context, current, "start")
  }
  watchExit(context, live, task, record.oomKilled)
  forwardLogs(context, live, current, live.ended)
  startHealthcheck(context, live, current)
  if (current.filesStale)
    context.background.run(`telling ${describeContainer(record)} of its networks`, () =>
      context.mutex.run(record.id, () => refreshFiles(context, context.catalogue.get(record.id))),
    )
  log.info("found a running container again", { container: describeContainer(record), pid: task.pid })
}

/** The record of a run that ended while no engine looked. */
const bury = async (context: Context, record: ContainerRecord, exit: ExitRecord): Promise<void> => {
  const ran = record.status === "running" || record.status === "paused"
  // Without a stated reason it is what a monitor recorded: the run began and ended behind the engine's back.
  const ranUnseen = record.status === "created" && exit.reason === ""
  // Of a start that power loss cut short only the intent is on the disk: it may have been answered.
  const cutShort = record.starting !== undefined && record.starting.boot !== context.boot
  if (ran || ranUnseen || cutShort) {
    log.info("a container ended meanwhile", {
      container: describeContainer(record),
      code: exit.code,
      reason: exit.reason,
    })
    const startedAt = cutShort ? record.starting?.at : ranUnseen ? exit.finishedAt : undefined
    if (startedAt !== undefined) context.catalogue.change(record.id, { startedAt }, { durable: false })
    const live = context.live.of(record.id)
    forwardLogs(context, live, record, undefined)
    handleExit(context, live, undefined, exit)
    await live.teardown
    return
  }
  context.catalogue.change(record.id, { starting: undefined }, { durable: false })
  await takeDown(context, record)
}

/** Directories, sockets and layers that belong to no container. */
const clearOrphans = async (context: Context): Promise<void> => {
  const known = new Set(context.catalogue.list().map((record) => record.id))
  const containers = join(context.dataRoot, "containers")
  mkdirSync(containers, { recursive: true, mode: 0o710 })
  for (const entry of readdirSync(containers)) {
    if (!known.has(entry)) context.reaper.take(join(containers, entry))
  }
  const runs = join(context.runRoot, "c")
  mkdirSync(runs, { recursive: true, mode: 0o700 })
  const knownRuns = new Set([...known].map((id) => runDirectory(context, id)))
  for (const entry of readdirSync(runs)) {
    const path = join(runs, entry)
    if (!knownRuns.has(path)) rmSync(path, { recursive: true, force: true })
  }
  for (const snapshot of context.state.snapshots.list()) {
    // A step of a build may still run over its own: the builder ends it first.
    if (snapshot.key.startsWith("build-")) continue
    if (snapshot.kind === "active" && !known.has(snapshot.key)) await context.snapshots.remove(snapshot.key)
  }
  context.reaper.recover()
}

const applyPolicies = (context: Context): void => {
  for (const record of context.catalogue.list()) {
    const live = context.live.of(record.id)
    if (live.task !== undefined || live.restartTimer !== undefined || live.removing) continue
    if (record.status === "restarting") {
      scheduleRestart(context, live, 100)
      continue
    }
    if (record.config.autoRemove) {
      removeRecord(context, live, record, { volumes: true })
      continue
    }
    const starts = startsWithEngine(record.config.restart, {
      code: record.exitCode,
      stoppedByUser: record.stoppedByUser,
      started: record.startedAt > 0,
      restarts: record.restartCount,
    })
    if (record.status !== "exited" || !starts) continue
    context.background.run(`starting ${describeContainer(record)}`, () => startContainer(context, record.id))
  }
}

/** See Engine.recover. Opens the networks and recovers the rooms below, because only here it is known who runs. */
export const recoverEngine = async (context: Context): Promise<void> => {
  context.features = await context.kernel.features()
  const limiter = new Limiter(atOnce)
  const found = await Promise.all(
    context.catalogue
      .list()
      .filter((record) => wasUnderWay(context, record))
      .map((record) => limiter.run(() => findAgain(context, record))),
  )
  const running = found.filter(({ outcome }) => isTask(outcome))
  await context.networks.open(
    running.flatMap(({ record, outcome }) =>
      record.networkLease === undefined || !isTask(outcome)
        ? []
        : [{ containerId: record.id, lease: record.networkLease, pid: outcome.pid }],
    ),
  )
  for (const { record, outcome } of found) if (isTask(outcome)) adopt(context, record, outcome)
  const lost = await context.snapshots.recover()
  await Promise.all([context.images.recover(lost), context.volumes.recover()])

  for (const removal of context.state.removals.list()) {
    try {
      await finishRemoval(context, removal)
    } catch (error) {
      log.warn("a removal could not be finished", {
        container: describeContainer(removal.container),
        error: errorMessage(error),
      })
    }
  }
  await Promise.all(
    found.map(({ record, outcome }) =>
      limiter.run(async () => {
        if (isTask(outcome)) return
        try {
          await bury(context, record, outcome)
        } catch (error) {
          log.warn("a dead container could not be taken down", {
            container: describeContainer(record),
            error: errorMessage(error),
          })
        }
      }),
    ),
  )
  await clearOrphans(context)
  applyPolicies(context)
}
