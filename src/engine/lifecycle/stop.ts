// Stops, kills, restarts, pauses and resumes.

import { crashPoint } from "../../base/crash-point.ts"
import { failure } from "../../base/errors.ts"
import { Limiter } from "../../base/limiter.ts"
import { parseSignal, signalKill, signalTerminate } from "../../base/signals.ts"
import type { ContainerRecord } from "../../state/state.ts"
import { announce } from "../announce.ts"
import type { Context } from "../context.ts"
import type { Live } from "../live.ts"
import { resolveEnded } from "./exit.ts"
import { endsWithin, signalRun } from "./signal-run.ts"
import { launchContainer } from "./start.ts"
import { isActive, permit } from "./transitions.ts"

/** Sends a signal; one that has ended already is fine. A kill or stop signal also wakes a paused container. False = unheard. */
const send = async (
  context: Context,
  live: Live,
  record: ContainerRecord,
  signal: number,
  wakes: boolean,
): Promise<boolean> => {
  const { task } = live
  const delivery = await signalRun(context, live, signal)
  if (delivery !== "delivered" || task === undefined) return delivery !== "unheard"
  announce(context, record, "kill", { signal: String(signal) })
  if (wakes && context.catalogue.find(record.id)?.status === "paused") {
    await task.resume()
    if (live.task === task) context.catalogue.change(record.id, { status: "running" }, { durable: false })
  }
  return true
}

/** A restart that is due is called off: the container counts as stopped. */
const callOffRestart = (context: Context, live: Live, record: ContainerRecord): void => {
  clearTimeout(live.restartTimer)
  live.restartTimer = undefined
  context.catalogue.change(record.id, { status: "exited", stoppedByUser: true })
  resolveEnded(live, record.exitCode, record.error)
}

const markStopped = (context: Context, record: ContainerRecord): void => {
  if (!record.stoppedByUser) context.catalogue.change(record.id, { stoppedByUser: true }, { durable: false })
}

/** Stop signal, patience, kill. The lock is not held, so that a kill may come between. */
const stopRun = async (
  context: Context,
  live: Live,
  record: ContainerRecord,
  options: { timeout?: number; signal?: string },
): Promise<void> => {
  const signal = options.signal ?? record.config.stopSignal
  const timeout = options.timeout ?? record.config.stopTimeout ?? context.config.stopTimeout ?? 10
  if (!context.closing) markStopped(context, record)
  const number = signal === undefined ? signalTerminate : parseSignal(signal)
  const heard = await send(context, live, record, number, true)
  crashPoint("stop:signalled")
  // Patience is for those that have heard.
  if (heard && (await endsWithin(live, timeout < 0 ? -1 : timeout * 1000))) return
  await send(context, live, record, signalKill, true)
  await endsWithin(live, -1)
  crashPoint("stop:ended")
}

/** Waits for a start that is under way, then says what there is to stop. */
const settled = (context: Context, reference: string): Promise<ContainerRecord> => {
  const { id } = context.catalogue.get(reference)
  if (!context.mutex.held(id)) return Promise.resolve(context.catalogue.get(id))
  return context.mutex.run(id, () => context.catalogue.get(id))
}

/** The stop verb. not-modified when it does not run. */
export const stopContainer = async (
  context: Context,
  reference: string,
  options: { timeout?: number; signal?: string } = {},
): Promise<void> => {
  if (options.signal !== undefined) parseSignal(options.signal)
  const record = await settled(context, reference)
  permit("stop", record)
  const live = context.live.of(record.id)
  if (record.status === "restarting") callOffRestart(context, live, record)
  else await stopRun(context, live, record, options)
  announce(context, context.catalogue.find(record.id) ?? record, "stop")
}

/** The kill verb. A KILL is answered when the container has ended. */
export const killContainer = async (context: Context, reference: string, signal = "KILL"): Promise<void> => {
  const number = parseSignal(signal)
  const record = await settled(context, reference)
  permit("kill", record)
  const live = context.live.of(record.id)
  const stops =
    number === signalKill ||
    (record.config.stopSignal !== undefined && parseSignal(record.config.stopSignal) === number)
  if (record.status === "restarting") {
    if (stops) callOffRestart(context, live, record)
    return
  }
  if (stops) markStopped(context, record)
  if (!(await send(context, live, record, number, stops)))
    throw failure(
      "conflict",
      `container ${record.id} cannot be reached, kill or stop it: its run's files were removed`,
    )
  if (number === signalKill) await endsWithin(live, 10_000)
}

/** The restart verb: stops what runs, then starts. A --rm container is kept. */
export const restartVerb = async (
  context: Context,
  reference: string,
  options: { timeout?: number; signal?: string } = {},
): Promise<void> => {
  if (options.signal !== undefined) parseSignal(options.signal)
  const record = await settled(context, reference)
  const live = context.live.of(record.id)
  live.keepOnExit = true
  try {
    if (record.status === "restarting") callOffRestart(context, live, record)
    else if (isActive(record.status)) await stopRun(context, live, record, options)
    await context.mutex.run(record.id, async () => {
      const now = context.catalogue.get(record.id)
      if (isActive(now.status)) return
      permit("start", now)
      live.backoff = 0
      await launchContainer(context, live, undefined)
    })
  } finally {
    live.keepOnExit = false
  }
  announce(context, context.catalogue.find(record.id) ?? record, "restart")
}

const stopsAtOnce = 16

/** Stops everything that runs because the engine ends; the user did not ask for it, so policies start it again. */
export const stopAll = async (context: Context): Promise<void> => {
  const limiter = new Limiter(stopsAtOnce)
  const running = context.live.list().filter((live) => live.task !== undefined)
  await Promise.all(
    running.map((live) =>
      limiter.run(async () => {
        const record = context.catalogue.find(live.id)
        if (record !== undefined) await stopRun(context, live, record, {})
      }),
    ),
  )
}

const freeze = async (context: Context, reference: string, verb: "pause" | "unpause"): Promise<void> => {
  const { id } = context.catalogue.get(reference)
  await context.mutex.run(id, async () => {
    const record = context.catalogue.get(id)
    permit(verb, record)
    const { task } = context.live.of(id)
    if (task === undefined) return
    if (verb === "pause") await task.pause()
    else await task.resume()
    if (context.live.of(id).task !== task) return
    const changed = context.catalogue.change(
      id,
      { status: verb === "pause" ? "paused" : "running" },
      { durable: false },
    )
    announce(context, changed ?? record, verb)
  })
}

export const pauseContainer = (context: Context, reference: string): Promise<void> =>
  freeze(context, reference, "pause")
export const unpauseContainer = (context: Context, reference: string): Promise<void> =>
  freeze(context, reference, "unpause")
