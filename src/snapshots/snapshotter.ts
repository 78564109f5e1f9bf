// Contract. Snapshots by chainID: committed ones are read-only layers, an active one is a container's writable layer.
// `key` is always an active snapshot, `chainId` a committed one; "" is the empty parent.
import type { Operation } from "../kernel/kernel.ts"
import type { RootMount } from "../kernel/mount.ts"

export interface Snapshotter {
  /** "overlay" here; "erofs" later. */
  readonly name: string
  /** Extracts a layer (uncompressed tar bytes) over its parent and commits it. Idempotent by chainID; a crash leaves only garbage. */
  commitLayer(request: {
    chainId: string
    parent: string
    tar: AsyncIterable<Uint8Array>
    signal?: AbortSignal
  }): Promise<{ size: number }>
  has(chainId: string): boolean
  /** Makes a writable layer over a committed one. `ephemeral`: contents need not survive power loss (overlay volatile). */
  prepare(key: string, parent: string, options: { ephemeral: boolean }): Promise<RootMount>
  /**
   * Makes what a start needs in the root (operations of the launcher's `furnish`) once for all snapshots over the same
   * parent, beneath the writable layer: it is no part of diff, usage or changes. To be called before a start.
   */
  furnish(key: string, operations: readonly Operation[]): Promise<void>
  /** The mount of an active snapshot. Throws not-found. */
  mounts(key: string): RootMount
  /** A read-only view of a committed snapshot. */
  view(chainId: string): RootMount
  /** Returns at once after the name is gone; the bytes are reaped in the background. Missing is fine. */
  remove(keyOrChainId: string): Promise<void>
  /** Host directories of an active snapshot, for `changes`: its upper and the lowers from top to bottom. */
  layers(key: string): { upper: string; lower: readonly string[] }
  /** Bytes of the writable layer, or of one committed layer. */
  usage(keyOrChainId: string): Promise<{ bytes: number; inodes: number }>
  /** A layer diff of an active snapshot as a tar with `.wh.` entries. */
  diff(key: string): AsyncIterable<Uint8Array>
  /** Removes what a crash left: directories without a record, unfinished extractions. Called once at start-up. */
  recover(): Promise<void>
  /** Waits for background reaping. */
  settle(): Promise<void>
}

export { openOverlaySnapshotter } from "./overlay.ts"
