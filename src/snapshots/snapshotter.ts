// Contract. Snapshots by chainID: committed ones are read-only layers, an active one is a container's writable layer.
// `key` is always an active snapshot, `chainId` a committed one; "" is the empty parent.
import type { Operation } from "../kernel/kernel.ts"
import type { RootMount } from "../kernel/mount.ts"
import type { LayerEntry } from "./erofs/tar-scan.ts"
import type { ScannedTar, TarFollower, WrittenIndex } from "./erofs/write-layer.ts"

/** Bytes in whole blocks, as du counts them. */
export interface SnapshotsUse {
  /** Committed and furnished layers by key. */
  readonly layers: ReadonlyMap<string, number>
  /** Active snapshots by key. */
  readonly writable: ReadonlyMap<string, number>
  /** What belongs to no snapshot: spare and removed layers, the room's own directories. */
  readonly idle: number
}

/** The uncompressed bytes of a layer. */
export interface LayerTar {
  readonly size: number
  /** Host path of a plain file that holds them and nothing else. */
  readonly path: string
  open(range?: { start: number; end?: number }): AsyncIterable<Uint8Array>
}

export interface Snapshotter {
  /** How new layers are kept: "overlay" unpacks them, "erofs" keeps their tars with an index beside. */
  readonly name: string
  /**
   * Makes a layer (uncompressed tar bytes) over its parent and commits it. Idempotent by chainID; a crash leaves only
   * garbage. With `parentReady` the parent need not be there yet: the tar may flow in at once, and the layer is committed
   * when the promise has resolved (its rejection is this one's).
   */
  commitLayer(request: {
    chainId: string
    parent: string
    tar: AsyncIterable<Uint8Array>
    /** Gives a plain file that holds the very tar this name too; false when it cannot, and the tar is read. */
    link?: (path: string) => boolean
    parentReady?: Promise<unknown>
    signal?: AbortSignal
    /** The index of the very tar that `link` names, made by describe(); it is moved. */
    index?: WrittenIndex
    /** What the very tar that `link` names amounts to, found by follow(); it is used up. */
    scanned?: ScannedTar
    /** It need not be on the disk at once: power loss may take it until persist() has been waited for. */
    lazy?: boolean
  }): Promise<{ size: number }>
  /** Waits until a committed stack is on the disk as far as it was committed lazily. Free when all is. */
  persist(chainId: string): Promise<void>
  /**
   * Makes a layer's index while its tar is still being written: `entries` say where everything will lie in `tarBytes`. To a
   * new file at `path`, on the snapshots' file system. Undefined where layers have no index.
   */
  describe(
    parent: string,
    path: string,
    entries: () => Iterable<LayerEntry>,
    tarBytes: number,
  ): Promise<WrittenIndex | undefined>
  /**
   * Follows a layer's tar while its bytes come in, so that they need not be read again; it gives up after `most` entries.
   * Undefined where layers are unpacked.
   */
  follow(most: number): TarFollower | undefined
  has(chainId: string): boolean
  /**
   * The very tar that a layer was committed from, where it is kept (and on the disk, synced); undefined for layers that
   * are only unpacked, and for unknown ones.
   */
  tar(chainId: string): LayerTar | undefined
  /**
   * Makes a writable layer over a committed one. `ephemeral`: contents need not survive power loss (overlay volatile).
   * `together`: writes of the caller's that are one transaction with the layer's record; when they throw, so does this, and
   * nothing is left. A killed engine leaves both or neither.
   */
  prepare(
    key: string,
    parent: string,
    options: { readonly ephemeral: boolean; readonly together?: () => void },
  ): Promise<RootMount>
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
  /** Bytes that files have, of the writable layer or of one committed layer; not what they take on the disk. */
  usage(keyOrChainId: string): Promise<{ bytes: number; inodes: number }>
  /** What everything takes on the disk. Committed layers are known without a walk over their files. */
  diskUse(): Promise<SnapshotsUse>
  /**
   * A layer diff of an active snapshot as a tar with `.wh.` entries. `latest` (unix seconds): later times are told as that
   * one. `named`: what a directory that replaced another hides is told by a whiteout for each name, not by one marker for
   * all. Two zero blocks when there is nothing.
   */
  diff(key: string, options?: { latest?: number; named?: boolean }): AsyncIterable<Uint8Array>
  /** Everything that a committed snapshot shows, as one tar whose bytes depend on nothing else. */
  flatten(chainId: string): AsyncIterable<Uint8Array>
  /**
   * Removes what a crash left: directories without a record, unfinished extractions. Called once at start-up. Gives the
   * layers that had not reached the disk when the machine went down; they are gone.
   */
  recover(): Promise<readonly string[]>
  /** Waits for background reaping. */
  settle(): Promise<void>
}

export { chooseLayerForm, type LayerForm } from "./choose.ts"
export type { LayerEntry } from "./erofs/tar-scan.ts"
export type { ScannedTar, TarFollower, WrittenIndex } from "./erofs/write-layer.ts"
export { openOverlaySnapshotter } from "./overlay.ts"
