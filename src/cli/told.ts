// How a failure is told: what the daemon refused is marked as its word.
import { errorMessage, Failure } from "../base/errors.ts"

/** The sentence for anything thrown by a verb. */
export const told = (error: unknown): string =>
  error instanceof Failure && error.name === "ApiFailure"
    ? `Error response from daemon: ${errorMessage(error)}`
    : errorMessage(error)
