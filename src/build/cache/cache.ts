// Contract. What earlier steps made, by exact keys; and how much of the disk that is.

import type { BuildCacheRecord } from "../../state/state.ts"

/** A finished step. Kept until pruned, or until its layer is gone. */
export type CacheRecord = BuildCacheRecord

export interface CacheUsage {
  readonly id: string
  readonly parents: readonly string[]
  readonly kind: string
  readonly description: string
  /** A step of a build that runs uses it. */
  readonly inUse: boolean
  /** An image uses its layer too: removing it gives nothing back. */
  readonly shared: boolean
  readonly size: number
  readonly createdAt: number
  readonly usedAt: number
  readonly uses: number
}

/** Docker's filters of builder prune: id, parent, type, description, inuse, shared, private, until (unix ms of last use). */
export interface CacheUseFilter {
  readonly id?: readonly string[]
  readonly parents?: readonly string[]
  readonly kind?: readonly string[]
  readonly description?: readonly string[]
  readonly inUse?: boolean
  readonly shared?: boolean
  readonly private?: boolean
  /** Unused since, unix milliseconds. */
  readonly unusedSince?: number
}
