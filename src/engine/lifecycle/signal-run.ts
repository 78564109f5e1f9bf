// Signals a run. One whose monitor cannot be reached any more, because its socket was removed, is killed by its cgroup.
import { unixMilliseconds } from "../../base/clock.ts"
import { errorKind } from "../../base/errors.ts"
import { createLog } from "../../base/log.ts"
import { signalKill } from "../../base/signals.ts"
import type { Task } from "../../runtime/runtime.ts"
import { describeContainer } from "../catalogue.ts"
import type { Context } from "../context.ts"
import type { Live } from "../live.ts"
import { runDirectory } from "../places.ts"

const log = createLog("engine")

/** Milliseconds in which a run that does not hear has told its end, if it has ended. */
const toldWithin = 1000
/** The same for one that was killed by its cgroup. */
const killedWithin = 3000

/** "unheard" = it runs, as far as is known, but nobody hears at its monitor's socket. */
export type Delivery = "delivered" | "ended" | "unheard"

/** Whether the run ended within so many milliseconds; negative = waits for ever. */
export const endsWithin = async (live: Live, milliseconds: number): Promise<boolean> => {
  if (live.task === undefined || live.ended === undefined) return true
  if (milliseconds < 0) {
    await live.ended
    return true
  }
  const { promise, resolve } = Promise.withResolvers<boolean>()
  const timer = setTimeout(() => resolve(false), milliseconds)
  live.ended.then(() => resolve(true))
  const ended = await promise
  clearTimeout(timer)
  return ended
}

/** Kills what the container's cgroups hold. Its monitor, if there is one, tells the end, else it is taken for granted. */
const killByCgroup = async (context: Context, live: Live, task: Task): Promise<void> => {
  const record = context.catalogue.find(live.id)
  if (record === undefined) return
  const run = runDirectory(context, live.id)
  const reason = `the monitor's socket in ${run} was removed, so the container was killed by its cgroup`
  log.warn("a container cannot be reached and is killed by its cgroup", {
    container: describeContainer(record),
  })
  live.endedBecause = reason
  await task.resume().catch(() => {})
  await context.runtime.clean({ id: live.id, config: record.config, runDirectory: run })
  if (await endsWithin(live, killedWithin)) return
  live.giveUp?.({ code: 137, signal: signalKill, oom: false, finishedAt: unixMilliseconds(), reason })
  await live.ended
}

/** Sends a signal. A KILL reaches every run: it is "delivered" also where the run had to be killed by its cgroup. */
export const signalRun = async (context: Context, live: Live, signal: number): Promise<Delivery> => {
  const { task } = live
  if (task === undefined) return "ended"
  try {
    await task.signal(signal)
    return "delivered"
  } catch (error) {
    if (errorKind(error) !== "conflict") throw error
  }
  if (await endsWithin(live, toldWithin)) return "ended"
  if (signal !== signalKill) return "unheard"
  await killByCgroup(context, live, task)
  return "delivered"
}
