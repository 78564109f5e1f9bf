// Contract. The only door to the launcher: plans go in, reports and byte streams come out (launcher/PROTOCOL.md).
import type { Duplex } from "node:stream"

/** One operation of a plan: its name and arguments. Arguments never contain NUL; bytes travel as hex. */
export type Operation = readonly [name: string, ...args: string[]]
/** A plan; the first operation is the verb. */
export type Plan = readonly Operation[]

/** How a process ended. `code` is what a shell would show (128 + signal when killed). */
export interface ExitRecord {
  readonly code: number
  /** 0 when it exited by itself. */
  readonly signal: number
  readonly oom: boolean
  /** Unix time in milliseconds with fraction. */
  readonly finishedAt: number
  /** Empty unless something other than the process itself explains its end. */
  readonly reason: string
}

/** What `ok` carried: key to values, in order. */
export type Answer = ReadonlyMap<string, readonly string[]>

/** Which streams a client is joined to. */
export interface Streams {
  readonly stdin: boolean
  readonly stdout: boolean
  readonly stderr: boolean
}

/** A launched process (init or exec) as its monitor serves it. */
export interface MonitoredProcess {
  readonly pid: number
  /**
   * Resolves when the process has ended and all its output is in the log. When the monitor itself vanished without a
   * record it resolves with code 137 and a reason.
   */
  readonly exited: Promise<ExitRecord>
  /** Connects streams. Bytes towards us are Docker's multiplexed frames, or raw for a tty; `end()` is end of stdin. */
  attach(streams: Streams): Promise<Duplex>
  /** Failure kind "conflict" when it has ended. */
  signal(number: number): Promise<void>
  resize(rows: number, columns: number): Promise<void>
}

/** An exec that has passed execve, with the streams that were asked for together with it. */
export interface StartedExec extends MonitoredProcess {
  readonly stream?: Duplex
}

/** A monitor: the init it keeps, and the execs that it made. Letting go of it stops nothing. */
export interface Monitor extends MonitoredProcess {
  /**
   * Plan operations of an exec (without the verb). Resolves once it has passed execve. With `attach` its streams are
   * joined in the same breath, which spares a round trip.
   */
  exec(id: string, operations: Plan, attach?: Streams): Promise<StartedExec>
  /** An exec that was made before, running or among the last that ended (then its pid is 0); undefined when it is not known. */
  findExec(id: string): Promise<MonitoredProcess | undefined>
  /**
   * Calls back with the number of kills for want of memory since the start of the container: at once when there were any,
   * and after each further one. One listener.
   */
  onOom(listener: (kills: number) => void): void
  /** An exec will probably be asked for soon: its connections are made ahead, and dropped when it does not come. */
  expectExec(): void
  /** From now on the monitor relays what is asked at 127.0.0.11 to the name server at the path (as launch's `name-relay` does). */
  relayNames(path: string, containerId: string): Promise<void>
  /**
   * Resolves some time after `exited`, when the monitor has let go of the container's namespaces, mounts, ports and
   * cgroups, or was found to be gone. Never rejects.
   */
  readonly cleared: Promise<void>
  /** Forgets the connections; the monitor lives on. */
  release(): void
}

/** What this machine can do, as the launcher's probe found it. */
export interface KernelFeatures {
  readonly kernelVersion: string
  readonly cgroupMode: "v1" | "hybrid" | "v2"
  /** v1: controller to hierarchy mount point; v2: empty. */
  readonly cgroupV1: ReadonlyMap<string, string>
  /** Mount point of the cgroup2 hierarchy, if any. */
  readonly cgroupV2?: string
  /** Bit mask of the launcher's bounding set. */
  readonly capabilities: bigint
  /** Raw probe answers by name. */
  readonly raw: Answer
}

export interface Kernel {
  features(): Promise<KernelFeatures>
  /** Performs a plan with a plain answer. Throws Failure naming step and path. */
  perform(plan: Plan, signal?: AbortSignal): Promise<Answer>
  /** Performs a plan that consumes bytes (unpack). Back-pressure reaches the source; a source error aborts the verb. */
  send(plan: Plan, bytes: AsyncIterable<Uint8Array>, signal?: AbortSignal): Promise<Answer>
  /** Performs a plan that yields bytes (pack, changes, netlink). The iteration throws if the verb fails. */
  receive(plan: Plan, signal?: AbortSignal): AsyncIterable<Uint8Array>
  /**
   * Launches a container's init; resolves once it has passed execve. `socket` is the plan's monitor-socket,
   * `exitRecord` the plan's exit-record: read when the monitor vanished without telling.
   */
  launch(
    id: string,
    operations: Plan,
    socket: string,
    options?: {
      readonly exitRecord?: string
      /** Called when the plan is on its way: what follows overlaps with the launch. */
      readonly sent?: () => void
      /**
       * Called once the monitor listens, if its plan expects attachments: those made by then are joined before anything of
       * the process's output is read. An attach fails when the launch does.
       */
      readonly listening?: (attach: MonitoredProcess["attach"]) => void
    },
  ): Promise<Monitor>
  /** Finds a running monitor again; undefined when none listens there. */
  rejoin(socket: string, exitRecord?: string): Promise<Monitor | undefined>
  /** Lets go of connections. Launcher and monitors live on. */
  close(): Promise<void>
}

export type { FakeKernel } from "./fake.ts"
export { fakeKernel } from "./fake.ts"
export type { LauncherKernel } from "./launcher.ts"
export { openKernel } from "./launcher.ts"
export { errnoText, LauncherFailure, lostMonitor, readExitRecord } from "./reports.ts"
