// Work that several builds wait for is done once. It goes on while anybody waits, and ends when nobody does.
import { failure } from "../../base/errors.ts"
import type { BuildEvent, ReportBuild } from "../progress.ts"

/** Who waits for shared work. */
export interface Waiter {
  /** Vertex under which this one's build tells of the work. */
  readonly vertex: string
  readonly report: ReportBuild
  readonly signal: AbortSignal
}

interface Run<T> {
  readonly controller: AbortController
  /** The one whose request, contexts and secrets the work uses. */
  readonly owner: Waiter
  readonly waiters: Set<Waiter>
  /** What was told so far, for those who come later. */
  readonly told: BuildEvent[]
  readonly result: Promise<T>
}

/** Events, and bytes of output, that are kept for those who come later. */
const mostTold = 10_000
const mostBytes = 1 << 20

const toldTo = (event: BuildEvent, vertex: string): BuildEvent =>
  event.type === "status" || event.type === "log" || event.type === "warning" ? { ...event, vertex } : event

const cancelled = () => failure("cancelled", "context canceled")

export interface Shared<T> {
  /**
   * Waits for the work of this name, and begins it when nobody did. Rejects as cancelled when the waiter's signal is
   * aborted: at once when others wait on, after the work has ended when this was the last. When the work failed because
   * its owner gave up, whoever waits on does it anew.
   */
  run(
    key: string,
    waiter: Waiter,
    work: (owner: Waiter) => Promise<T>,
  ): Promise<{ readonly result: T; readonly owned: boolean }>
  /** Waits until everything that this owner began has ended, whoever waits for it. */
  settled(owner: ReportBuild): Promise<void>
}

export const openShared = <T>(): Shared<T> => {
  const runs = new Map<string, Run<T>>()
  const owned = new Map<ReportBuild, Set<Promise<unknown>>>()

  const begin = (key: string, owner: Waiter, work: (owner: Waiter) => Promise<T>): Run<T> => {
    const controller = new AbortController()
    const waiters = new Set([owner])
    const told: BuildEvent[] = []
    let bytes = 0
    const report: ReportBuild = (event) => {
      if (event.type === "log") bytes += event.bytes.length
      if (told.length < mostTold && bytes < mostBytes) told.push(event)
      for (const waiter of waiters) waiter.report(toldTo(event, waiter.vertex))
    }
    const result = work({ vertex: owner.vertex, report, signal: controller.signal })
    const run = { controller, owner, waiters, told, result }
    runs.set(key, run)
    const mine = owned.get(owner.report) ?? new Set()
    owned.set(owner.report, mine)
    const ended = result
      .then(
        () => {},
        () => {},
      )
      .then(() => {
        if (runs.get(key) === run) runs.delete(key)
        mine.delete(ended)
        if (mine.size === 0) owned.delete(owner.report)
      })
    mine.add(ended)
    return run
  }

  const join = async (run: Run<T>, waiter: Waiter): Promise<T> => {
    run.waiters.add(waiter)
    const { promise: left, reject: leave } = Promise.withResolvers<never>()
    left.catch(() => {})
    const goAway = (): void => {
      run.waiters.delete(waiter)
      if (run.waiters.size > 0) leave(cancelled())
      else {
        run.controller.abort(waiter.signal.reason)
        run.result.then(
          () => leave(cancelled()),
          () => leave(cancelled()),
        )
      }
    }
    waiter.signal.addEventListener("abort", goAway, { once: true })
    try {
      return await Promise.race([run.result, left])
    } finally {
      waiter.signal.removeEventListener("abort", goAway)
      run.waiters.delete(waiter)
    }
  }

  return {
    async run(key, waiter, work) {
      for (;;) {
        if (waiter.signal.aborted) throw cancelled()
        const present = runs.get(key)
        // What nobody waits for any more is about to end: its end is awaited, and the work begun anew.
        if (present?.controller.signal.aborted) {
          await present.result.catch(() => {})
          runs.delete(key)
          continue
        }
        const run = present ?? begin(key, waiter, work)
        if (present !== undefined) for (const event of run.told) waiter.report(toldTo(event, waiter.vertex))
        try {
          return { result: await join(run, waiter), owned: run.owner === waiter }
        } catch (error) {
          if (waiter.signal.aborted || run.owner === waiter || !run.owner.signal.aborted) throw error
        }
      }
    },
    async settled(owner) {
      await Promise.all(owned.get(owner) ?? [])
    },
  }
}
