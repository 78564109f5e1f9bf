// Contract. Blobs by digest: written once while verified, read back verified on demand.
import type { FileHandle } from "node:fs/promises"

/** A blob that comes in piece by piece. It ends with finish() or abandon(). */
export interface Incoming {
  /** Bytes written so far. */
  readonly received: number
  write(chunk: Uint8Array): Promise<void>
  /** Verifies size and digest and makes it a blob. Throws "invalid" when they are wrong; nothing remains then. */
  finish(): Promise<void>
  /** Gives it up, or what was passing: nothing remains, and readers who wait for more get the error. */
  abandon(error?: unknown): Promise<void>
  /**
   * Its bytes from the first one on, as they come. They are proven only when the iteration ends: it throws when the
   * blob turns out wrong or does not come to its end. `reuse`: a chunk stays as it is only until the second one after it
   * is asked for.
   */
  follow(options?: { reuse?: boolean }): AsyncIterable<Uint8Array>
}

export interface ContentStore {
  has(digest: string): boolean
  /** Size in bytes, undefined when absent. */
  size(digest: string): number | undefined
  /**
   * Streams bytes in; the digest (and size, when given) must match, else Failure "invalid" and nothing remains.
   * The blob survives power loss only after sync(): call that before anything durable refers to it.
   */
  ingest(
    bytes: AsyncIterable<Uint8Array>,
    expected?: { digest?: string; size?: number },
    signal?: AbortSignal,
  ): Promise<{ digest: string; size: number }>
  /**
   * As ingest, but the bytes are given as they come and may be read meanwhile. One that is `passing` never becomes a blob:
   * it can be read, proven, until abandon() is called.
   */
  receive(expected: { digest: string; size: number }, options?: { passing?: boolean }): Promise<Incoming>
  /**
   * Takes over a file of the same file system that was written and hashed elsewhere; it is closed and moved, not
   * copied. The caller answers for the digest. Durable after sync(), as with ingest().
   */
  adopt(blob: {
    readonly path: string
    readonly file: FileHandle
    readonly digest: string
    readonly size: number
  }): Promise<void>
  /** Waits until every blob ingested so far is on the disk. */
  sync(): Promise<void>
  /** Small blobs (configs, manifests; at most 4 MiB), verified. Throws not-found. */
  read(digest: string): Promise<Uint8Array>
  /** Any blob as a stream of chunks. Throws not-found. */
  open(digest: string, range?: { start: number; end?: number }): AsyncIterable<Uint8Array>
  /** Gives a blob's file a second name on the same file system, so that removing the blob leaves its bytes there. */
  link(digest: string, path: string): boolean
  remove(digest: string): Promise<void>
  list(): AsyncIterable<{ digest: string; size: number }>
  /** Drops unfinished ingests. Called once at start-up. */
  recover(): Promise<void>
}

export { openContent } from "./files.ts"
