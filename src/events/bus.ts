// The bus itself: a ring of the last events and a set of listeners.
import { unixNanoseconds } from "../base/clock.ts"
import { errorMessage } from "../base/errors.ts"
import { createLog } from "../base/log.ts"
import type { EngineEvent, Events } from "./events.ts"

const log = createLog("events")
const ringSize = 1000

/** A new bus. Times never go backwards, so `since` with an event's own time continues exactly behind it. */
export const createEvents = (): Events => {
  const ring: EngineEvent[] = []
  let oldest = 0
  let last = 0n
  const listeners = new Set<(event: EngineEvent) => void>()
  return {
    publish(event) {
      const now = unixNanoseconds()
      last = now > last ? now : last + 1n
      const stamped: EngineEvent = { ...event, timeNano: last }
      if (ring.length < ringSize) ring.push(stamped)
      else {
        ring[oldest] = stamped
        oldest = (oldest + 1) % ringSize
      }
      for (const listener of listeners) {
        try {
          listener(stamped)
        } catch (error) {
          log.error("a listener failed", { action: event.action, error: errorMessage(error) })
        }
      }
    },
    subscribe(listener) {
      // Each subscription is its own, even of one function twice.
      const own = (event: EngineEvent) => listener(event)
      listeners.add(own)
      return () => {
        listeners.delete(own)
      }
    },
    listeners: () => listeners.size,
    recent: () => [...ring.slice(oldest), ...ring.slice(0, oldest)],
  }
}
