// Contract. Runs a container: config → spec (pure) → launch plan (pure) → monitor → Task. Nothing here stores state.
import type { Duplex } from "node:stream"
import type { ExitRecord, MonitoredProcess, Operation, StartedExec, Streams } from "../kernel/kernel.ts"
import type { Mount, RootMount } from "../kernel/mount.ts"
import type { ContainerConfig, Resources } from "../state/container.ts"

export interface LaunchRequest {
  readonly id: string
  readonly name: string
  readonly config: ContainerConfig
  /** Path and args as they run. */
  readonly argv: readonly string[]
  /** Complete environment (image, user, HOSTNAME, TERM, PATH defaults already merged). */
  readonly env: readonly string[]
  readonly root: RootMount
  /** Volumes, binds, tmpfs and the managed files (/etc/hosts …), in mount order (parents first). */
  readonly mounts: readonly Mount[]
  /** Root operations of the launcher performed right after the mounts: what is no Mount (steps of builds: tree, secret …). */
  readonly rootOperations?: readonly Operation[]
  /** Attachment.namespace, or /proc/PID/ns/net for container:ID; "host" for none of its own. */
  readonly networkNamespace: string
  /** Paths of joined namespaces (container:ID): /proc/PID/ns/ipc … */
  readonly joined: { readonly pid?: string; readonly ipc?: string; readonly uts?: string }
  readonly reservations: readonly { protocol: string; address: string; port: number }[]
  /** Attachment.nameRelay: where the monitor relays what is asked at 127.0.0.11; absent = nobody listens there. */
  readonly nameRelay?: string
  /** Attach connections that the engine will make at once. */
  readonly expectedAttachments: number
  /** Container's own directory in the data root (log, exit record). */
  readonly directory: string
  /** Short host directory for the monitor's socket. */
  readonly runDirectory: string
  readonly log: {
    readonly driver: "json-file" | "none"
    readonly path: string
    readonly maxBytes: number
    readonly maxFiles: number
  }
  readonly durableExit: boolean
  /** Called when the launch is on its way; work done in it overlaps with the launch. */
  readonly sent?: () => void
  /** Called when attachments can be made, while the launch goes on; not called where none is expected. */
  readonly listening?: (attach: Task["attach"]) => void
}

export interface ExecRequest {
  readonly id: string
  readonly argv: readonly string[]
  readonly env: readonly string[]
  readonly user: string
  readonly workingDirectory: string
  readonly tty: boolean
  readonly openStdin: boolean
  readonly privileged: boolean
  readonly consoleSize: readonly [rows: number, columns: number]
  readonly expectedAttachments: number
  /** Streams to be joined at once. */
  readonly attach?: Streams
}

/** One reading of the container's cgroups. Bytes, nanoseconds, counts. */
export interface Reading {
  readonly readAt: number
  readonly cpuTotal: number
  readonly cpuUser: number
  readonly cpuSystem: number
  readonly cpuPerCore: readonly number[]
  readonly cpuPeriods: number
  readonly cpuThrottledPeriods: number
  readonly cpuThrottledTime: number
  /** The host's total CPU time over all cores, for percentages. */
  readonly hostCpuTotal: number
  readonly onlineCpus: number
  readonly memoryUsage: number
  readonly memoryMaxUsage: number
  readonly memoryLimit: number
  readonly memoryFailures: number
  readonly memoryDetail: Readonly<Record<string, number>>
  readonly pids: number
  readonly pidsLimit: number
  readonly blockIo: readonly {
    readonly major: number
    readonly minor: number
    readonly operation: string
    readonly bytes: number
    readonly operations: number
  }[]
}

/** A running container. Its monitor keeps it, so letting go of a Task stops nothing. */
export interface Task {
  readonly id: string
  readonly pid: number
  readonly exited: Promise<ExitRecord>
  /** Resolves after `exited`, once namespaces, mounts, ports and cgroups are let go. Never rejects. */
  readonly cleared: Promise<void>
  attach(streams: { stdin: boolean; stdout: boolean; stderr: boolean }): Promise<Duplex>
  signal(number: number): Promise<void>
  resize(rows: number, columns: number): Promise<void>
  exec(config: ContainerConfig, request: ExecRequest): Promise<StartedExec>
  /** An exec that was made before; undefined when its monitor does not know it any more. Its pid is 0 when it has ended. */
  findExec(id: string): Promise<MonitoredProcess | undefined>
  /** Calls back with the number of kills for want of memory since the start: at once when there were any, and after each. */
  onOom(listener: (kills: number) => void): void
  /** An exec will probably follow soon. */
  expectExec(): void
  pause(): Promise<void>
  resume(): Promise<void>
  /** Writes changed limits. Failure names file and value. */
  update(resources: Resources): Promise<void>
  read(): Promise<Reading>
  /** Host pids of every process in the container's cgroup. */
  pids(): Promise<number[]>
  /** For a container that was put on its first user-defined network: as LaunchRequest.nameRelay. */
  relayNames(path: string): Promise<void>
  /** For resolving paths in the live root. */
  readonly rootPid: number
  release(): void
}

export interface Runtime {
  /** Resolves once the process has passed execve. Failure leaves nothing behind; messages as Docker gives them for exit codes 125/126/127. */
  launch(request: LaunchRequest): Promise<Task>
  /** After a daemon restart: the task if its monitor lives, else how it ended (a missing record is code 137 … with a reason). */
  rejoin(request: {
    id: string
    config: ContainerConfig
    directory: string
    runDirectory: string
    pid: number
  }): Promise<Task | ExitRecord>
  /** Kills and removes whatever of a container is left: cgroups, run directory. Idempotent. */
  clean(request: { id: string; config: ContainerConfig; runDirectory: string }): Promise<void>
  /** Throws invalid for what this machine or engine cannot do; returns warnings as Docker words them. */
  validate(config: ContainerConfig): Promise<string[]>
}

export type { RuntimeOptions } from "./native/native.ts"
export { createRuntime } from "./native/native.ts"
