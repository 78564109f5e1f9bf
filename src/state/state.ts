// Contract. Durable state in SQLite: one small store per noun behind one door. Synchronous; each write is durable when it returns.
import type { BuildCacheRecord, BuildHistoryRecord, BuildStepRecord, CacheMountRecord } from "./build.ts"
import type { ContainerRecord } from "./container.ts"

export type * from "./build.ts"
export type * from "./container.ts"
export { openState } from "./database.ts"
export { plainConfig } from "./plain-config.ts"

/** A stored image. `references` lives in its own table. */
export interface ImageRecord {
  /** Config digest. */
  readonly id: string
  /** Manifest digest if one is stored, "" else. */
  readonly manifestDigest: string
  readonly createdAt: number
  /** Sum of uncompressed layer sizes, bytes. */
  readonly size: number
  /** chainID of the top layer, "" for an empty image. */
  readonly chainId: string
  readonly layers: readonly {
    readonly diffId: string
    /** Digest of the bytes that registries have for it; they need not be here (images/layer-blobs.ts). */
    readonly blob: string
    readonly size: number
    /** How the blob was made from the layer's tar, when this engine compressed it: the same way gives the same bytes. */
    readonly recipe?: { readonly name: string; readonly size: number }
  }[]
  readonly addedAt: number
  /** Parent image id if known ("" else). */
  readonly parent: string
}

export interface VolumeRecord {
  readonly name: string
  readonly driver: string
  readonly options: Readonly<Record<string, string>>
  readonly labels: Readonly<Record<string, string>>
  readonly createdAt: number
  readonly anonymous: boolean
}

export interface NetworkRecord {
  readonly id: string
  readonly name: string
  readonly driver: string
  readonly createdAt: number
  readonly internal: boolean
  readonly attachable: boolean
  /** Absent in records of before = true. */
  readonly ipv4?: boolean
  readonly ipv6: boolean
  /** "default" (also when absent) or "null"; options as given. */
  readonly ipamDriver?: string
  readonly ipamOptions?: Readonly<Record<string, string>>
  readonly options: Readonly<Record<string, string>>
  readonly labels: Readonly<Record<string, string>>
  /** IPv4 and IPv6 ones, in the order asked for. CIDR; gateway and range are of the subnet's family. */
  readonly subnets: readonly {
    readonly subnet: string
    readonly gateway: string
    readonly range?: string
    readonly auxiliary?: Readonly<Record<string, string>>
    /** Chosen by the engine, not given by the user: no container may ask for an address in it. */
    readonly chosen?: boolean
    /** The subnet was given and its gateway chosen: inspect does not tell of it, as Docker's does not. */
    readonly gatewayChosen?: boolean
  }[]
}

export interface SnapshotRecord {
  /** chainID for committed ones, container id for active ones, "furnished:" and the parent's chainID for furnished ones. */
  readonly key: string
  readonly parent: string
  /** furnished: the mount points that every container of the parent needs, between its layers and the container's own. */
  readonly kind: "committed" | "active" | "furnished"
  /** Directory name beneath the snapshotter's root. */
  readonly directory: string
  readonly createdAt: number
  readonly size: number
  /** How a committed layer is kept when it is not unpacked: as its tar and an EROFS index. */
  readonly image?: {
    readonly tarBytes: number
    readonly inodes: number
    /** Its root directory, which a writable layer above takes on. */
    readonly top: { readonly mode: number; readonly uid: number; readonly gid: number }
  }
  /** Bytes that a committed layer has allocated on disk, its directories included; absent when it was never measured. */
  readonly disk?: number
}

/** A blob that a repository of the built-in registry holds. Key: "repository@digest". */
export interface RegistryBlobRecord {
  readonly repository: string
  readonly digest: string
  /** The content store's name for the bytes, where it is not the digest (sha512). */
  readonly content?: string
  /** Bytes. */
  readonly size: number
  /** Unix milliseconds of the last upload or mount; young ones are not collected, as their manifest may yet come. */
  readonly linkedAt: number
}

/** A manifest that a repository of the built-in registry holds. Key: "repository@digest". */
export interface RegistryManifestRecord {
  readonly repository: string
  readonly digest: string
  /** The content store's name for the bytes, where it is not the digest (sha512). */
  readonly content?: string
  readonly mediaType: string
  /** Bytes. */
  readonly size: number
  /** Digests of config, layers and listed manifests: what must not be collected while this one is there. */
  readonly references: readonly string[]
  /** The manifest that this one is about, which need not exist. */
  readonly subject?: string
  readonly artifactType?: string
  readonly annotations?: Readonly<Record<string, string>>
  readonly pushedAt: number
}

/** A tag of the built-in registry. Key: "repository:tag". */
export interface RegistryTagRecord {
  readonly repository: string
  readonly tag: string
  readonly digest: string
  readonly taggedAt: number
}

/** A container whose record is gone and whose traces are still being cleared, or that was never wholly made. */
export interface RemovalRecord {
  readonly container: ContainerRecord
  /** Volumes that go with it. */
  readonly volumes: readonly string[]
}

/**
 * How sure a write is when it returns. Always: a killed process loses nothing. `durable` (the default) also survives
 * power loss, for one sync of the disk. Writes reach the disk in order, so a write that is not durable becomes so with
 * the next one that is.
 */
export interface WriteOptions {
  readonly durable?: boolean
  /** The value is a fact: reads give it even when the write fails (and throws). */
  readonly anyway?: boolean
  /** For a transaction that removes things: on a full disk it may use the room that is kept aside for that. */
  readonly makesRoom?: boolean
}

/** A keyed table of one noun. All methods are synchronous; reads come from memory, in order of insertion. */
export interface Table<T> {
  find(key: string): T | undefined
  list(): T[]
  /** Keys with their values, in order of insertion. */
  entries(): [key: string, value: T][]
  /** What was put must not be changed afterwards. */
  put(key: string, value: T, options?: WriteOptions): void
  /** Whether it was there. */
  remove(key: string, options?: WriteOptions): boolean
}

export interface State {
  readonly containers: Table<ContainerRecord>
  /** By container id: what a restarted engine must still clear away. */
  readonly removals: Table<RemovalRecord>
  readonly images: Table<ImageRecord>
  /** Normalised reference ("docker.io/library/busybox:latest") to image id. */
  readonly references: Table<string>
  readonly volumes: Table<VolumeRecord>
  readonly networks: Table<NetworkRecord>
  readonly snapshots: Table<SnapshotRecord>
  readonly registryBlobs: Table<RegistryBlobRecord>
  readonly registryManifests: Table<RegistryManifestRecord>
  readonly registryTags: Table<RegistryTagRecord>
  readonly buildRecords: Table<BuildCacheRecord>
  readonly buildSteps: Table<BuildStepRecord>
  readonly buildHistory: Table<BuildHistoryRecord>
  readonly cacheMounts: Table<CacheMountRecord>
  /** Small settings and identities ("engine-id", "subnet"). */
  readonly settings: Table<string>
  /** All writes inside are one transaction, durable unless said otherwise here. `work` is synchronous. An error undoes all. */
  transaction<T>(work: () => T, options?: WriteOptions): T
  /** Makes every earlier write durable; free when all are. */
  flush(): void
  close(): void
}
