// Contract. Reads a container's json-file log as its monitor writes and rotates it.
import type { Origin } from "./forward/format.ts"
import type { Target } from "./forward/target.ts"

export interface LogEntry {
  readonly stream: "stdout" | "stderr"
  /** RFC 3339 with nanoseconds, as written. */
  readonly time: string
  /** Unix nanoseconds. */
  readonly timeNano: bigint
  /** Bytes, normally ending in a newline. */
  readonly line: Uint8Array
}

export interface LogQuery {
  readonly stdout: boolean
  readonly stderr: boolean
  /** Unix nanoseconds, inclusive. */
  readonly since?: bigint
  readonly until?: bigint
  /** Last n lines; undefined = all. */
  readonly tail?: number
  /** Keep going until `ended` resolves and the file is read to its end. */
  readonly follow: boolean
  readonly ended?: Promise<unknown>
  readonly signal?: AbortSignal
}

/** A log that is sent on to a receiver elsewhere, besides being kept. */
export interface LogForward {
  readonly path: string
  readonly target: Target
  readonly origin: Origin
  /** File that remembers how far it was sent. */
  readonly positionPath: string
  readonly signal: AbortSignal
  /** When the log ends; without it, what is there is sent. */
  readonly ended?: Promise<unknown>
}

export interface Logs {
  /** Resolves when all of it is sent, or at the signal. */
  forward(forward: LogForward): Promise<void>
  /**
   * Entries in order, as many together as were read at once, across rotated files; survives rotation while following.
   * `path` is the newest file. Readers of one log may be given the same arrays: nobody changes them or their bytes.
   */
  read(path: string, query: LogQuery): AsyncIterable<readonly LogEntry[]>
}

export type { Origin } from "./forward/format.ts"
export { LOG_DRIVERS, parseTarget, type Target } from "./forward/target.ts"
export { createLogs } from "./read.ts"
