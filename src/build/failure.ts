// Contract. A build that failed: the sentence, and where in the Dockerfile it happened, so that every face can show the lines.
import { type ErrorKind, Failure } from "../base/errors.ts"
import type { Place } from "./dockerfile/instructions.ts"

/** What is known of where and how a build failed. */
export interface BuildFailureDetail {
  /** Lines of the Dockerfile; absent when it has none to blame. */
  readonly place?: Place
  /** Name and text of the Dockerfile; filled in by the builder where the thrower does not know them. */
  readonly file?: string
  readonly source?: Uint8Array
  /** Digest of the step's vertex. */
  readonly vertex?: string
  /** Of a RUN that ended with one. */
  readonly exitCode?: number
}

export class BuildFailure extends Failure {
  readonly detail: BuildFailureDetail
  constructor(kind: ErrorKind, message: string, detail: BuildFailureDetail, options?: { cause?: unknown }) {
    super(kind, message, options)
    this.name = "BuildFailure"
    this.detail = detail
  }
}

/** The same failure with what a caller knows beyond; what it says already stays. Anything else becomes one. */
export const placed = (error: unknown, detail: BuildFailureDetail): BuildFailure => {
  if (error instanceof BuildFailure)
    return new BuildFailure(error.kind, error.message, { ...detail, ...error.detail }, { cause: error.cause })
  const known = error instanceof Failure ? error : undefined
  const message = error instanceof Error ? error.message : String(error)
  return new BuildFailure(known?.kind ?? "internal", message, detail, { cause: error })
}
