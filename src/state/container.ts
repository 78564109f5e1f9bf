// Contract. A container as the engine knows and stores it. Names follow the domain, not the Docker API.
import type { HealthTest } from "../oci/execution-config.ts"

/** Absent = inherited or default. */
export type Healthcheck = HealthTest

/** A mount as asked for. */
export interface MountRequest {
  readonly type: "bind" | "volume" | "tmpfs" | "image"
  /** bind: host path; volume: name (absent = anonymous). */
  readonly source?: string
  readonly target: string
  readonly readOnly: boolean
  readonly propagation?: "private" | "rprivate" | "shared" | "rshared" | "slave" | "rslave"
  readonly nonRecursive?: boolean
  /** Read-only at the top only; what is mounted beneath stays writable. */
  readonly readOnlyNonRecursive?: boolean
  /** bind given by --mount: the source must exist; by -v: it is created. */
  readonly createSource?: boolean
  readonly noCopy?: boolean
  readonly subpath?: string
  readonly driver?: string
  readonly driverOptions?: Readonly<Record<string, string>>
  readonly labels?: Readonly<Record<string, string>>
  readonly tmpfsSize?: number
  readonly tmpfsMode?: number
  readonly tmpfsOptions?: readonly string[]
  /** From -v: "z", "Z", "consistent" and the like, kept for inspect. */
  readonly mode?: string
  /** "binds" (-v), "mounts" (--mount), "image" (VOLUME), "volumes" (-v /path). For inspect. */
  readonly origin: "binds" | "mounts" | "image" | "volumes" | "tmpfs"
}

/** A mount as it was set up (inspect's Mounts). */
export interface MountPoint {
  readonly type: "bind" | "volume" | "tmpfs"
  readonly name?: string
  readonly source: string
  readonly target: string
  readonly driver?: string
  readonly mode: string
  readonly readOnly: boolean
  readonly propagation: string
}

export interface PortRequest {
  readonly protocol: "tcp" | "udp" | "sctp"
  readonly containerPort: number
  /** "" = every address. */
  readonly hostAddress: string
  /** First of the range; absent = any free one. */
  readonly hostPort?: number
  readonly hostPortEnd?: number
}

export interface DeviceRequest {
  readonly hostPath: string
  readonly containerPath: string
  /** Some of "rwm". */
  readonly access: string
}

export interface Ulimit {
  readonly name: string
  readonly soft: number
  readonly hard: number
}

/** Limits; bytes, and 0 or absent = unlimited. CPU quota and period in microseconds. */
export interface Resources {
  readonly memory?: number
  readonly memoryReservation?: number
  /** memory + swap; -1 = unlimited swap. */
  readonly memorySwap?: number
  readonly memorySwappiness?: number
  readonly kernelMemory?: number
  readonly oomKillDisable?: boolean
  readonly cpuShares?: number
  readonly cpuPeriod?: number
  readonly cpuQuota?: number
  /** Billionths of a CPU (--cpus). */
  readonly nanoCpus?: number
  readonly cpusetCpus?: string
  readonly cpusetMems?: string
  readonly cpuRealtimePeriod?: number
  readonly cpuRealtimeRuntime?: number
  readonly pids?: number
  readonly blkioWeight?: number
  readonly blkioWeightDevice?: readonly { readonly path: string; readonly weight: number }[]
  readonly blkioReadBps?: readonly { readonly path: string; readonly rate: number }[]
  readonly blkioWriteBps?: readonly { readonly path: string; readonly rate: number }[]
  readonly blkioReadIops?: readonly { readonly path: string; readonly rate: number }[]
  readonly blkioWriteIops?: readonly { readonly path: string; readonly rate: number }[]
  readonly devices?: readonly DeviceRequest[]
  readonly deviceCgroupRules?: readonly string[]
  readonly ulimits?: readonly Ulimit[]
  readonly cgroupParent?: string
}

export interface RestartPolicy {
  readonly name: "no" | "always" | "unless-stopped" | "on-failure"
  readonly maximumRetries: number
}

/** One network a container is on: as asked for. */
export interface NetworkRequest {
  readonly network: string
  readonly aliases: readonly string[]
  readonly links: readonly string[]
  readonly ipv4?: string
  readonly ipv6?: string
  readonly linkLocal?: readonly string[]
  readonly macAddress?: string
  readonly driverOptions?: Readonly<Record<string, string>>
  /** The endpoint with the highest one gives the default gateway (0). */
  readonly gatewayPriority?: number
  /** Id of the network when the container was on it last; absent before. */
  readonly networkId?: string
}

/** What was asked for, image defaults merged in. Changed only by update and rename. */
export interface ContainerConfig {
  /** As typed by the user. */
  readonly image: string
  readonly hostname: string
  readonly domainname: string
  readonly user: string
  readonly env: readonly string[]
  readonly command: readonly string[]
  /** undefined = none. */
  readonly entrypoint?: readonly string[]
  readonly argsEscaped?: boolean
  readonly workingDirectory: string
  readonly labels: Readonly<Record<string, string>>
  readonly tty: boolean
  readonly openStdin: boolean
  readonly stdinOnce: boolean
  /** As the client said it will attach; for inspect and for the attach-before-start contract. */
  readonly attachStdin: boolean
  readonly attachStdout: boolean
  readonly attachStderr: boolean
  /** "80/tcp" */
  readonly exposedPorts: readonly string[]
  /** Anonymous volume paths (image VOLUME and -v /path). */
  readonly volumes: readonly string[]
  readonly stopSignal?: string
  /** Seconds; absent = 10; negative = for ever. */
  readonly stopTimeout?: number
  readonly healthcheck?: Healthcheck
  readonly shell?: readonly string[]
  readonly onBuild?: readonly string[]
  readonly networkDisabled?: boolean
  readonly macAddress?: string

  readonly mounts: readonly MountRequest[]
  /** Container ids or names whose volumes are taken over ("id:ro"). */
  readonly volumesFrom: readonly string[]
  readonly ports: readonly PortRequest[]
  readonly publishAllPorts: boolean
  readonly resources: Resources
  readonly restart: RestartPolicy
  readonly autoRemove: boolean
  readonly privileged: boolean
  readonly readOnlyRoot: boolean
  readonly capAdd: readonly string[]
  readonly capDrop: readonly string[]
  /** "seccomp=…", "no-new-privileges", "apparmor=…", "label=…", "systempaths=unconfined". A seccomp value is the profile's JSON. */
  readonly securityOptions: readonly string[]
  readonly groupAdd: readonly string[]
  readonly oomScoreAdjust: number
  readonly init?: boolean
  readonly shmSize: number
  readonly sysctls: Readonly<Record<string, string>>
  readonly extraHosts: readonly string[]
  readonly dns: readonly string[]
  readonly dnsSearch: readonly string[]
  readonly dnsOptions: readonly string[]
  readonly links: readonly string[]
  /** "default", "bridge", "none", "host", "container:ID", or a network's name. */
  readonly networkMode: string
  /** Those it is on, or will be when it starts; empty in records of before = the one that networkMode names. */
  readonly networks: readonly NetworkRequest[]
  /** It was taken off its last network: an empty list means none. */
  readonly offNetworks?: boolean
  /** "", "host", "container:ID" */
  readonly pidMode: string
  /** "", "private", "shareable", "host", "none", "container:ID" */
  readonly ipcMode: string
  /** "", "host" */
  readonly utsMode: string
  /** "", "host" */
  readonly usernsMode: string
  /** "", "private", "host" */
  readonly cgroupnsMode: string
  /** undefined = defaults of a non-privileged container. */
  readonly maskedPaths?: readonly string[]
  readonly readonlyPaths?: readonly string[]
  readonly logDriver: string
  readonly logOptions: Readonly<Record<string, string>>
  readonly consoleSize: readonly [rows: number, columns: number]
  readonly runtime: string
  readonly annotations: Readonly<Record<string, string>>
  readonly storageOptions: Readonly<Record<string, string>>
  readonly isolation: string
  /** As asked for by --volume-driver, which says it of the volumes that the same request names. */
  readonly volumeDriver?: string
  readonly cidFile: string
}

export type Status = "created" | "running" | "paused" | "restarting" | "removing" | "exited" | "dead"

export interface HealthResult {
  readonly start: number
  readonly end: number
  readonly exitCode: number
  readonly output: string
}
export interface HealthState {
  readonly status: "starting" | "healthy" | "unhealthy"
  readonly failingStreak: number
  readonly log: readonly HealthResult[]
}

/** One network a container is on: as it came to be (network room's Endpoint, kept for inspect and recovery). */
export interface EndpointRecord {
  readonly network: string
  readonly networkName: string
  readonly endpointId: string
  readonly ipv4?: string
  readonly ipv4PrefixLength?: number
  readonly gateway?: string
  readonly ipv6?: string
  readonly ipv6PrefixLength?: number
  readonly gateway6?: string
  readonly macAddress: string
  readonly aliases: readonly string[]
  /** Every name by which others on the network find it: the container's name, aliases, short id, hostname. */
  readonly dnsNames?: readonly string[]
  /** The interface's name inside: "eth0", "eth1" …; absent in records of before = "eth0". */
  readonly interfaceName?: string
}

export interface PublishedPort {
  readonly protocol: "tcp" | "udp" | "sctp"
  readonly containerPort: number
  readonly hostAddress: string
  readonly hostPort: number
}

/** The whole stored container. Times are unix milliseconds (fraction allowed), 0 = never. */
export interface ContainerRecord {
  readonly id: string
  readonly name: string
  readonly createdAt: number
  /** Image id (sha256:…), absent when the image has no config (never for local images). */
  readonly imageId: string
  /** Path and args as they will run (entrypoint + command). */
  readonly path: string
  readonly args: readonly string[]
  readonly config: ContainerConfig
  /** Snapshot key of the writable layer. */
  readonly snapshot: string
  readonly mountPoints: readonly MountPoint[]

  readonly status: Status
  readonly pid: number
  readonly exitCode: number
  readonly oomKilled: boolean
  /** Why it did not start or ended, in words; "" if there is nothing to say. */
  readonly error: string
  readonly startedAt: number
  readonly finishedAt: number
  readonly restartCount: number
  /** Set by stop/kill by the user: "always" does not restart it, "unless-stopped" not after a daemon restart either. */
  readonly stoppedByUser: boolean
  readonly health?: HealthState
  readonly endpoints: readonly EndpointRecord[]
  readonly publishedPorts: readonly PublishedPort[]
  /**
   * A start is under way: since when, in which boot. It is synced before the start is answered, so that power loss
   * does not forget that the container was started; the record of success needs no sync of its own.
   */
  readonly starting?: { readonly at: number; readonly boot: string }
  /** Opaque to all but the network room: what leave() needs after a daemon restart. */
  readonly networkLease?: string
  /** Its networks have changed and its managed files do not say so yet. */
  readonly filesStale?: boolean
}
