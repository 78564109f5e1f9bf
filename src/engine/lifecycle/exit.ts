// A process has ended: record it, tell who waits, then take down, restart or remove. Shortest path to the waiters first.

import { unixMilliseconds } from "../../base/clock.ts"
import { crashPoint } from "../../base/crash-point.ts"
import { errorMessage } from "../../base/errors.ts"
import { createLog } from "../../base/log.ts"
import type { ExitRecord } from "../../kernel/kernel.ts"
import type { Task } from "../../runtime/runtime.ts"
import type { ContainerRecord } from "../../state/state.ts"
import { announce } from "../announce.ts"
import { describeContainer } from "../catalogue.ts"
import type { Context } from "../context.ts"
import type { Live } from "../live.ts"
import { removeRecord } from "./remove.ts"
import { restartDelay } from "./restart-policy.ts"
import { takeDown } from "./take-down.ts"

const log = createLog("engine")

/**
 * Handles kills for want of memory and the end of a task when they come. `oomTold` = an earlier engine has told of the
 * kills that there were.
 */
export const watchExit = (context: Context, live: Live, task: Task, oomTold = false): void => {
  let known = oomTold
  task.onOom(() => {
    if (!known && live.task === task) noteOom(context, live)
    known = false
  })
  const { promise, resolve } = Promise.withResolvers<ExitRecord>()
  live.giveUp = resolve
  task.exited.then(resolve)
  live.ended = promise.then((told) => {
    const exit = { ...told, reason: told.reason || (live.endedBecause ?? "") }
    live.endedBecause = undefined
    try {
      handleExit(context, live, task, exit)
    } catch (error) {
      log.error("the end of a container could not be handled", { id: live.id, error: errorMessage(error) })
      resolveEnded(live, exit.code, exit.reason)
    }
  })
}

/** Resolves waits for the end of a run. */
export const resolveEnded = (live: Live, exitCode: number, error: string): void => {
  if (live.waiters.size === 0) return
  for (const waiter of live.waiters) {
    if (waiter.condition === "removed") continue
    live.waiters.delete(waiter)
    waiter.resolve(error === "" ? { exitCode } : { exitCode, error })
  }
}

/** Notes and tells that the kernel killed a process of a container for want of memory. */
const noteOom = (context: Context, live: Live): void => {
  const { status } = context.catalogue.find(live.id) ?? {}
  if (status !== "running" && status !== "paused") return
  try {
    const record = context.catalogue.change(live.id, { oomKilled: true }, { durable: false })
    if (record !== undefined) announce(context, record, "oom")
  } catch (error) {
    // The end of the container tells it again.
    log.error("a kill for want of memory could not be stored", {
      id: live.id,
      error: errorMessage(error),
    })
  }
}

const publishEnd = (context: Context, record: ContainerRecord, tellOom: boolean): void => {
  if (tellOom) announce(context, record, "oom")
  const seconds = Math.max(0, Math.floor((record.finishedAt - record.startedAt) / 1000))
  announce(context, record, "die", { exitCode: String(record.exitCode), execDuration: String(seconds) })
}

/** The end is a fact even when the disk is full: then memory has it, and the monitor's record tells it again. */
const recordEnd = (context: Context, ended: ContainerRecord): void => {
  try {
    context.catalogue.put(ended, { durable: false, anyway: true })
  } catch (error) {
    log.error("the end of a container could not be stored", {
      container: describeContainer(ended),
      error: errorMessage(error),
    })
  }
}

/** The monitor takes the run down by itself; until it has, its files and ports are not free for others. */
const letGo = async (task: Task | undefined): Promise<void> => {
  await task?.cleared
  task?.release()
}

/** Everything that follows the end of a run. Resolves when the end is recorded and waits are resolved. */
export const handleExit = (context: Context, live: Live, task: Task | undefined, exit: ExitRecord): void => {
  const record = context.catalogue.find(live.id)
  live.task = undefined
  live.stopHealth?.()
  live.stopHealth = undefined
  const cleared = letGo(task)
  if (record === undefined) return
  if (record.networkLease !== undefined) context.networks.ended(record.networkLease)
  crashPoint("exit:known")
  // The end tells of every kill of the run; those that were told of when they happened are not told again.
  const tellOom = exit.oom && !record.oomKilled
  const delay = context.closing
    ? undefined
    : restartDelay(record.config.restart, {
        code: exit.code,
        stoppedByUser: record.stoppedByUser,
        restarts: record.restartCount,
        backoff: live.backoff,
        ran: exit.finishedAt - record.startedAt,
      })
  const ended: ContainerRecord = {
    ...record,
    status: delay === undefined ? "exited" : "restarting",
    pid: 0,
    exitCode: exit.code,
    oomKilled: exit.oom,
    error: exit.reason,
    // The monitor may have noted the end before the start was noted here.
    finishedAt: Math.max(exit.finishedAt || unixMilliseconds(), record.startedAt),
    publishedPorts: [],
    starting: undefined,
    restartCount: delay === undefined ? record.restartCount : record.restartCount + 1,
    ...(record.health !== undefined && { health: { ...record.health, status: "unhealthy" as const } }),
  }
  if (ended.config.autoRemove && !live.keepOnExit && !live.removing) {
    resolveEnded(live, exit.code, exit.reason)
    publishEnd(context, ended, tellOom)
    live.teardown = cleared
    try {
      removeRecord(context, live, ended, { volumes: true })
    } catch (error) {
      recordEnd(context, ended)
      log.error("a container could not be removed at its end", {
        container: describeContainer(ended),
        error: errorMessage(error),
      })
    }
    return
  }
  recordEnd(context, ended)
  crashPoint("exit:recorded")
  resolveEnded(live, exit.code, exit.reason)
  publishEnd(context, ended, tellOom)
  live.tellsOfLeaving = true
  live.teardown = context.background.run(`taking down ${describeContainer(ended)}`, async () => {
    await cleared
    await takeDown(context, ended)
  })
  if (delay !== undefined) scheduleRestart(context, live, delay)
}

/** Starts the container again after a while. */
export const scheduleRestart = (context: Context, live: Live, delay: number): void => {
  live.backoff = delay
  clearTimeout(live.restartTimer)
  live.restartTimer = setTimeout(() => {
    live.restartTimer = undefined
    context.background.run("restarting a container", async () => {
      try {
        await context.relaunch(live)
      } catch (error) {
        log.warn("a container did not start again", { id: live.id, error: errorMessage(error) })
      }
    })
  }, delay)
}
