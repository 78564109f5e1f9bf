// Contract. What earlier steps made, by exact keys; and how much of the disk that is.

/** A finished step. Kept until pruned, or until its layer is gone. */
export interface CacheRecord {
  /** "sha256:…" of the key's parts. */
  readonly key: string
  /** State after the step. */
  readonly chainId: string
  /** The step's own layer; "" when it changed nothing. */
  readonly diffId: string
  readonly blob: string
  /** Bytes of the layer. */
  readonly size: number
  /** "[build 2/5] RUN make" */
  readonly description: string
  /** "regular" (steps), "source.local", "exec.cachemount", "internal", "frontend", "source.git.checkout" */
  readonly kind: string
  /** Unix milliseconds. */
  readonly createdAt: number
  readonly usedAt: number
  readonly uses: number
}

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
  readonly kind?: readonly string[]
  readonly description?: readonly string[]
  readonly inUse?: boolean
  readonly shared?: boolean
  readonly private?: boolean
  /** Unused since, unix milliseconds. */
  readonly unusedSince?: number
}
