// Contract. The few kinds of failure that a face maps to its own codes, thrown with a cause and one clear sentence.

/** What went wrong, as a caller can act on it. Each face maps these once (api/http-status.ts, cli/exit-code.ts). */
export type ErrorKind =
  | "invalid" // the request itself is wrong
  | "not-found"
  | "conflict" // the thing's state or a name forbids it
  | "forbidden"
  | "unauthorized"
  | "not-modified" // already so
  | "not-implemented" // this engine does not do that
  | "unavailable" // try again later, or elsewhere
  | "exhausted" // disk, descriptors, memory, addresses
  | "cancelled"
  | "internal"

/** A failure that a person reads: the message names the thing, the step that failed and what to do. */
export class Failure extends Error {
  readonly kind: ErrorKind
  constructor(kind: ErrorKind, message: string, options?: { cause?: unknown }) {
    super(message, options)
    this.name = "Failure"
    this.kind = kind
  }
}

/** Builds a {@link Failure}; use as `throw failure("not-found", "No such container: web")`. */
export const failure = (kind: ErrorKind, message: string, options?: { cause?: unknown }): Failure =>
  new Failure(kind, message, options)

/** The kind of anything thrown; what is not a Failure is "internal". */
export const errorKind = (error: unknown): ErrorKind => (error instanceof Failure ? error.kind : "internal")

/** The message of anything thrown. */
export const errorMessage = (error: unknown): string =>
  error instanceof Error ? error.message : String(error)
