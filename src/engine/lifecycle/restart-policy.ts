// Whether and when an ended container starts again. Pure.
import type { RestartPolicy } from "../../state/state.ts"

const firstDelay = 100
const longestDelay = 60_000
const longRun = 10_000

/**
 * Milliseconds until the next start, or undefined for none. `restarts` are the automatic ones so far, `backoff` what
 * the last one waited (0 = none), `ran` how long the process ran in milliseconds.
 */
export const restartDelay = (
  policy: RestartPolicy,
  exit: { code: number; stoppedByUser: boolean; restarts: number; backoff: number; ran: number },
): number | undefined => {
  if (exit.stoppedByUser) return undefined
  switch (policy.name) {
    case "no":
      return undefined
    case "on-failure":
      if (exit.code === 0) return undefined
      if (policy.maximumRetries > 0 && exit.restarts >= policy.maximumRetries) return undefined
      break
    case "always":
    case "unless-stopped":
      break
    default:
      policy.name satisfies never
  }
  if (exit.ran >= longRun || exit.backoff === 0) return firstDelay
  return Math.min(Math.max(exit.backoff * 2, firstDelay), longestDelay)
}

/** Whether a container that does not run is started when the engine starts. */
export const startsWithEngine = (
  policy: RestartPolicy,
  last: { code: number; stoppedByUser: boolean; started: boolean; restarts: number },
): boolean => {
  if (!last.started) return false
  switch (policy.name) {
    case "no":
      return false
    case "always":
      return true
    case "unless-stopped":
      return !last.stoppedByUser
    case "on-failure":
      return (
        !last.stoppedByUser &&
        last.code !== 0 &&
        (policy.maximumRetries === 0 || last.restarts < policy.maximumRetries)
      )
    default:
      return policy.name satisfies never
  }
}
