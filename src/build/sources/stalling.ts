// Reads that must go on: a source that stays silent for too long is given up.
import { failure } from "../../base/errors.ts"

/** Milliseconds until an answer begins, and between two pieces of it. */
export interface Patience {
  readonly answer: number
  readonly stall: number
}

export const patience: Patience = { answer: 60_000, stall: 60_000 }

/** The promise, or a failure when it does not settle in time. `sentence` says what was waited for. */
export const within = async <T>(promise: Promise<T>, milliseconds: number, sentence: string): Promise<T> => {
  const { promise: late, reject } = Promise.withResolvers<never>()
  const timer = setTimeout(() => reject(failure("unavailable", sentence)), milliseconds)
  try {
    return await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
    promise.catch(() => undefined)
  }
}
