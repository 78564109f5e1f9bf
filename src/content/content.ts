// Contract. Blobs by digest: written once while verified, read back verified on demand.

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
  /** Waits until every blob ingested so far is on the disk. */
  sync(): Promise<void>
  /** Small blobs (configs, manifests; at most 4 MiB), verified. Throws not-found. */
  read(digest: string): Promise<Uint8Array>
  /** Any blob as a stream of chunks. Throws not-found. */
  open(digest: string, range?: { start: number; end?: number }): AsyncIterable<Uint8Array>
  remove(digest: string): Promise<void>
  list(): AsyncIterable<{ digest: string; size: number }>
  /** Drops unfinished ingests. Called once at start-up. */
  recover(): Promise<void>
}

export { openContent } from "./files.ts"
