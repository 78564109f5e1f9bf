// Contract. What building remembers: finished steps, steps that run, builds that were, and cache mounts.
import type { ImageRecord } from "./state.ts"

/** A finished step of a build, by the digest of all that it depends on. Key: that digest. */
export interface BuildCacheRecord {
  readonly key: string
  /** State after the step; "" is the empty tree. Its snapshot is kept while the record is there. */
  readonly chainId: string
  /** The step's own layer; "" when it changed nothing. */
  readonly diffId: string
  readonly blob: string
  /** Bytes of the layer. */
  readonly size: number
  /** "[build 2/5] RUN make" */
  readonly description: string
  /** "regular", "source.local", "exec.cachemount", "internal", "frontend", "source.git.checkout" */
  readonly kind: string
  /** Unix milliseconds. */
  readonly createdAt: number
  readonly usedAt: number
  readonly uses: number
  /** Of a copy: "file:", "dir:" or "multi:" and the digest of what was copied, in hex. */
  readonly copied?: string
  /** Keys of the steps that this one began from. */
  readonly inputs?: readonly string[]
  /** All layers of the state, where they are not those of the first input and the own one. */
  readonly layers?: ImageRecord["layers"]
}

/** A step whose operation is under way: what a restarted engine must end. Key: the run's id. */
export interface BuildStepRecord {
  /** "build-" and 24 hex: also the key of its snapshot and the name of its run directory. */
  readonly id: string
  /** Build that began it. */
  readonly build: string
  readonly description: string
  readonly startedAt: number
}

/** A build as history tells of it. Key: its id. */
export interface BuildHistoryRecord {
  readonly id: string
  /** Unix milliseconds. */
  readonly startedAt: number
  /** 0 while it runs. */
  readonly endedAt: number
  readonly target: string
  /** "" when it went well. */
  readonly error: string
  readonly dockerfilePath: string
  readonly context: string
  readonly imageId: string
  readonly steps: number
  readonly cachedSteps: number
  readonly attributes: Readonly<Record<string, string>>
}

/** A directory that steps mount to keep files between builds. Key: its id. */
export interface CacheMountRecord {
  readonly id: string
  /** Name beneath DATA_ROOT/build that holds its files. */
  readonly directory: string
  /** As --mount=type=cache,id= has it, and what keeps equal ids of others apart. */
  readonly name: string
  readonly scope: string
  readonly sharing: "shared" | "private" | "locked"
  /** Unix milliseconds. */
  readonly createdAt: number
  readonly usedAt: number
  readonly uses: number
  /** As last measured. */
  readonly bytes: number
}
