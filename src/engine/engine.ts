// Contract. The engine as every face sees it: containers and execs by reference (id, unique id prefix, or name).
import type { Duplex } from "node:stream"
import type { Events } from "../events/events.ts"
import type { Images } from "../images/images.ts"
import type { LogEntry } from "../logs/logs.ts"
import type { EndpointCounters, NetworkCreate, Networks } from "../network/network.ts"
import type { Reading } from "../runtime/runtime.ts"
import type {
  ContainerConfig,
  ContainerRecord,
  NetworkRecord,
  NetworkRequest,
  Resources,
  RestartPolicy,
} from "../state/state.ts"
import type { Volumes } from "../volumes/volumes.ts"
import type { PortChange } from "./networking/ports.ts"

/** What a face knows of a new container: everything optional is filled from the image and the defaults. */
export type CreateConfig = { readonly image: string } & {
  readonly [K in keyof Omit<ContainerConfig, "image" | "command">]?: ContainerConfig[K]
} & { readonly command?: readonly string[] }

export interface ContainerSizes {
  readonly writable: number
  readonly root: number
}

export interface ListFilter {
  readonly all: boolean
  readonly limit?: number
  /** Docker's filters by name: id, name, label, status, ancestor, exited, volume, network, before, since, publish, expose, health, is-task. */
  readonly filters: ReadonlyMap<string, readonly string[]>
}

export type WaitCondition = "not-running" | "next-exit" | "removed"

/** One attach: connected now or, for a container not yet running, when it starts. */
export interface Attached {
  readonly tty: boolean
  /** Multiplexed frames (raw when tty) towards us; writing is stdin; ends when the container does. Destroying it detaches. */
  readonly stream: Duplex
}

export interface AttachOptions {
  readonly stdin: boolean
  readonly stdout: boolean
  readonly stderr: boolean
  /** Replay the log first. */
  readonly logs: boolean
  readonly stream: boolean
  /** "ctrl-p,ctrl-q" form; undefined = default; "" = none. Seen only on a tty. */
  readonly detachKeys?: string
}

export interface ExecConfig {
  readonly command: readonly string[]
  readonly env: readonly string[]
  readonly user: string
  readonly workingDirectory: string
  readonly tty: boolean
  readonly privileged: boolean
  readonly attachStdin: boolean
  readonly attachStdout: boolean
  readonly attachStderr: boolean
  readonly detachKeys?: string
  readonly consoleSize?: readonly [rows: number, columns: number]
}

export interface ExecRecord extends ExecConfig {
  readonly id: string
  readonly containerId: string
  readonly running: boolean
  /** undefined until it has ended. */
  readonly exitCode?: number
  readonly pid: number
}

export interface PathStat {
  readonly name: string
  readonly size: number
  /** st_mode */
  readonly mode: number
  /** Unix nanoseconds. */
  readonly mtime: bigint
  readonly linkTarget: string
}

export interface StatsReading extends Reading {
  readonly networks: readonly EndpointCounters[]
}

/** What an image shall say instead of what its container says, or besides it. */
export type CommitConfig = Pick<
  CreateConfig,
  | (
      | "user"
      | "exposedPorts"
      | "env"
      | "entrypoint"
      | "command"
      | "argsEscaped"
      | "volumes"
      | "workingDirectory"
    )
  | ("labels" | "stopSignal" | "healthcheck" | "shell" | "onBuild")
>

export interface CommitOptions {
  readonly reference?: string
  readonly author?: string
  readonly comment?: string
  readonly pause: boolean
  /** Comes before the changes. */
  readonly config?: CommitConfig
  /** Instructions of a Dockerfile. */
  readonly changes: readonly string[]
}

export interface Containers {
  create(request: { name?: string; config: CreateConfig }): Promise<{ id: string; warnings: string[] }>
  /** Throws not-found "No such container: x"; conflict when an id prefix is ambiguous. */
  get(reference: string): ContainerRecord
  find(reference: string): ContainerRecord | undefined
  list(filter: ListFilter): Promise<ContainerRecord[]>
  sizes(reference: string): Promise<ContainerSizes>
  start(reference: string, options?: { detachKeys?: string }): Promise<void>
  /** not-modified when it does not run. timeout in seconds; negative = for ever. */
  stop(reference: string, options?: { timeout?: number; signal?: string }): Promise<void>
  restart(reference: string, options?: { timeout?: number; signal?: string }): Promise<void>
  kill(reference: string, signal?: string): Promise<void>
  pause(reference: string): Promise<void>
  unpause(reference: string): Promise<void>
  rename(reference: string, name: string): Promise<void>
  resize(reference: string, rows: number, columns: number): Promise<void>
  /** Throws at once when there is no such container; the promise inside resolves when the condition holds. */
  wait(
    reference: string,
    condition: WaitCondition,
  ): { ended: Promise<{ exitCode: number; error?: string }>; cancel(): void }
  attach(reference: string, options: AttachOptions): Promise<Attached>
  /** Entries in order, as many together as were read at once. Nobody changes the arrays. */
  logs(
    reference: string,
    options: {
      stdout: boolean
      stderr: boolean
      since?: bigint
      until?: bigint
      tail?: number
      follow: boolean
      signal?: AbortSignal
    },
  ): AsyncIterable<readonly LogEntry[]>
  /** Docker's top: ps output by columns. */
  top(reference: string, psArguments: string): Promise<{ titles: string[]; processes: string[][] }>
  stats(reference: string): Promise<StatsReading>
  /** Kind 0 changed, 1 added, 2 deleted. */
  changes(reference: string): Promise<{ kind: 0 | 1 | 2; path: string }[]>
  archiveStat(reference: string, path: string): Promise<PathStat>
  archiveGet(reference: string, path: string): Promise<{ stat: PathStat; tar: AsyncIterable<Uint8Array> }>
  archivePut(
    reference: string,
    path: string,
    tar: AsyncIterable<Uint8Array>,
    options: { noOverwriteDirNonDir: boolean; copyOwners: boolean },
  ): Promise<void>
  export(reference: string): AsyncIterable<Uint8Array>
  update(reference: string, changes: { resources: Resources; restart?: RestartPolicy }): Promise<string[]>
  /** Puts a container on one more network, at once when it runs. Forbidden: "endpoint with name x already exists in network y". */
  connect(reference: string, request: NetworkRequest): Promise<void>
  /** Takes a container off a network, at once when it runs. */
  disconnect(reference: string, network: string, options: { force: boolean }): Promise<void>
  /** Publishes further ports, or takes some back, at once when it runs; all or none. */
  changePorts(reference: string, change: PortChange): Promise<ContainerRecord>
  remove(reference: string, options: { force: boolean; volumes: boolean; link?: boolean }): Promise<void>
  prune(options: {
    until?: number
    labels: readonly string[]
  }): Promise<{ removed: string[]; reclaimed: number }>
  /** docker commit; returns the image id. */
  commit(reference: string, options: CommitOptions): Promise<string>
}

export interface Execs {
  create(container: string, config: ExecConfig): Promise<string>
  /**
   * Attached unless detach. The stream ends when the process does. `accepted` is called before anything is launched for a
   * client that attaches: from then on an error concerns the command, not the request.
   */
  start(
    id: string,
    options: {
      detach: boolean
      tty: boolean
      consoleSize?: readonly [number, number]
      accepted?: () => void
    },
  ): Promise<Attached | undefined>
  get(id: string): ExecRecord
  resize(id: string, rows: number, columns: number): Promise<void>
}

export interface EngineDescription {
  /** Stable id of this engine (settings "engine-id"). */
  readonly id: string
  readonly name: string
  readonly dataRoot: string
  readonly runRoot: string
  readonly snapshotter: string
  readonly cgroupMode: "v1" | "hybrid" | "v2"
  readonly kernelVersion: string
  readonly logDriver: string
  readonly warnings: readonly string[]
}

/** Bytes in whole blocks, as du counts them, below the data root. */
export interface DiskUse {
  /** By chainID (and "furnished:" chainID). */
  readonly layers: ReadonlyMap<string, number>
  /** Configs, manifests, and the blobs that are kept. */
  readonly content: number
  /** Writable layers, logs and records by container id. */
  readonly containers: ReadonlyMap<string, number>
  readonly volumes: ReadonlyMap<string, number>
  /** The engine's own things by name: database, launcher, spare layers … */
  readonly own: ReadonlyMap<string, number>
  readonly total: number
}

export interface Engine {
  readonly containers: Containers
  readonly execs: Execs
  readonly images: Images
  readonly volumes: Volumes
  readonly networks: Networks
  readonly events: Events
  describe(): EngineDescription
  /** What the disk holds. Containers' layers and volumes are walked, because their owners write to them unseen. */
  diskUse(): Promise<DiskUse>
  /** Image removal, prune and volume removal that must know who uses what. */
  removeImage(
    reference: string,
    options: { force: boolean; prune: boolean },
  ): Promise<{ untagged?: string; deleted?: string }[]>
  pruneImages(options: {
    all: boolean
    until?: number
    labels: readonly string[]
  }): Promise<{ removed: { untagged?: string; deleted?: string }[]; reclaimed: number }>
  removeVolume(name: string, options: { force: boolean }): Promise<void>
  pruneVolumes(options: {
    all: boolean
    labels: readonly string[]
  }): Promise<{ removed: string[]; reclaimed: number }>
  /** A network, told of. Throws forbidden for pre-defined names, conflict for one that is taken. */
  createNetwork(request: NetworkCreate): Promise<{ network: NetworkRecord; warning: string }>
  /** Throws not-found, forbidden (pre-defined, or containers are on it). */
  removeNetwork(reference: string): Promise<void>
  /** Removes networks that no running container is on; gives their names. `until`: unix milliseconds. */
  pruneNetworks(options: { until?: number; labels: readonly string[] }): Promise<string[]>
  /** How many containers use a volume. */
  volumeUsers(name: string): readonly string[]
  /** Finds running containers again, records dead ones, applies restart policies, removes half-made things. */
  recover(): Promise<void>
  /** `stopContainers`: stop all first; else leave them running. */
  close(options: { stopContainers: boolean }): Promise<void>
}

export { createEngine, type EngineOptions } from "./assemble.ts"
export type { EngineConfiguration } from "./context.ts"
export type { PortChange, PortMatch } from "./networking/ports.ts"
export { isUserDefined, requestedNetworks } from "./networking/requests.ts"
export { containerFilters } from "./views/list.ts"
