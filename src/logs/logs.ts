// Contract. Reads a container's json-file log as its monitor writes and rotates it.

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

export interface Logs {
  /** Entries in order, across rotated files; survives rotation while following. `path` is the newest file. */
  read(path: string, query: LogQuery): AsyncIterable<LogEntry>
}

export { createLogs } from "./read.ts"
