// Contract. What solving deals in: trees of files that steps begin from, copy from and mount, and what a node of the graph became.
import type { ImageRecord } from "../../state/state.ts"

/** A tree of files that steps begin from, copy from and mount: layers in the store, or a context on the disk. */
export type Tree =
  | { readonly kind: "layers"; readonly chainId: string; readonly layers: ImageRecord["layers"] }
  | { readonly kind: "context"; readonly context: ContextTree }

/** A context as it lies on the disk, with what is in it. */
export interface ContextTree {
  /** Host directory; everything in it is resolved by the launcher, beneath it. */
  readonly directory: string
  /** In order of paths; ignored ones are not among them. */
  entries(): Promise<readonly TreeEntry[]>
  /**
   * Digests of the contents of regular files by path; read from the index where size, times and inode are unchanged, hashed
   * where they are not.
   */
  digests(paths: readonly string[]): Promise<ReadonlyMap<string, string>>
  /**
   * Whether the files are still as entries() and digests() told; if not, what was made of them is no cache. `paths` are the
   * sources of a copy as they are written (patterns too); a directory stands for everything beneath it.
   */
  unchanged(paths: readonly string[]): Promise<boolean>
  release(): void
}

export interface TreeEntry {
  /** Relative to the tree's root, "/" between parts, no leading slash. Latin-1 of the bytes when they are not UTF-8 (then `raw`). */
  readonly path: string
  readonly raw?: Uint8Array
  /** st_mode. */
  readonly mode: number
  readonly uid: number
  readonly gid: number
  readonly size: number
  /** Nanoseconds since 1970, as text to stay exact. */
  readonly mtime: string
  /** Target of a symbolic link. */
  readonly link?: string
  readonly device?: readonly [major: number, minor: number]
}

/** What a node became. */
export interface Solution {
  /** Names the files exactly without bringing them: a chainID, a commit; undefined where only a look into them tells. */
  readonly identity: string | undefined
  /** Brings the files here when they are not yet. */
  tree(): Promise<Tree>
  /** Key by which its step is recorded; "" for what is no step. */
  readonly key: string
  /** When its layer was made, unix milliseconds; 0 for what is no step. */
  readonly createdAt: number
  readonly cached: boolean
  /** Of a copy, "file:", "dir:" or "multi:" and the digest of what was copied in hex, for the classic builder's history. */
  readonly copied: string
}
