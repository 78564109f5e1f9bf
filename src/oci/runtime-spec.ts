// The OCI runtime specification's config.json, as far as Linux containers of this engine use it.

export interface Spec {
  ociVersion: string
  process: Process
  root: { path: string; readonly?: boolean }
  hostname?: string
  domainname?: string
  mounts: SpecMount[]
  annotations?: Readonly<Record<string, string>>
  linux: Linux
}

export interface Process {
  terminal?: boolean
  consoleSize?: { height: number; width: number }
  user: User
  args: readonly string[]
  env: readonly string[]
  cwd: string
  capabilities?: ProcessCapabilities
  rlimits?: Rlimit[]
  noNewPrivileges?: boolean
  oomScoreAdj?: number
}

/**
 * Who runs. The engine does not read a container's /etc/passwd, so `username` holds the user as asked for
 * ("", "uid", "name:group" …) and whoever performs the spec looks it up inside the root.
 */
export interface User {
  uid: number
  gid: number
  umask?: number
  username?: string
  /** Group ids or names, as asked for. */
  additionalGroups?: readonly string[]
}

/** Names with their "CAP_" prefix. */
export interface ProcessCapabilities {
  bounding: readonly string[]
  effective: readonly string[]
  permitted: readonly string[]
  inheritable: readonly string[]
  ambient: readonly string[]
}

/** `type` is "RLIMIT_NOFILE" and the like; -1 is unlimited. */
export interface Rlimit {
  type: string
  soft: number
  hard: number
}

export interface SpecMount {
  destination: string
  type: string
  source: string
  options: readonly string[]
  /** Extension: what a missing target of a bind is created as. */
  create?: "dir" | "file" | "any"
  /** Extension: a path beneath the source of a bind, resolved beneath it. */
  subpath?: string
}

export type NamespaceType = "mount" | "pid" | "network" | "uts" | "ipc" | "cgroup" | "user" | "time"

/** Without a path the namespace is a new one. */
export interface Namespace {
  type: NamespaceType
  path?: string
}

export interface Device {
  path: string
  type: "c" | "b"
  major: number
  minor: number
  fileMode: number
  uid: number
  gid: number
}

/** A device cgroup rule; absent type, major or minor means every one. */
export interface DeviceRule {
  allow: boolean
  type?: "a" | "c" | "b"
  major?: number
  minor?: number
  access: string
}

export interface Linux {
  namespaces: Namespace[]
  devices: Device[]
  /** Beneath each hierarchy, with a leading slash. */
  cgroupsPath: string
  resources: LinuxResources
  sysctl: Readonly<Record<string, string>>
  seccomp?: Seccomp
  maskedPaths: readonly string[]
  readonlyPaths: readonly string[]
  rootfsPropagation?: "private" | "rprivate" | "shared" | "rshared" | "slave" | "rslave"
}

export interface LinuxResources {
  devices?: readonly DeviceRule[]
  memory?: {
    limit?: number
    reservation?: number
    /** memory + swap; -1 = unlimited. */
    swap?: number
    swappiness?: number
    disableOOMKiller?: boolean
  }
  cpu?: {
    shares?: number
    quota?: number
    period?: number
    realtimeRuntime?: number
    realtimePeriod?: number
    cpus?: string
    mems?: string
  }
  pids?: { limit: number }
  blockIO?: BlockIo
}

export interface BlockIo {
  weight?: number
  weightDevice?: readonly { major: number; minor: number; weight: number }[]
  throttleReadBpsDevice?: readonly Throttle[]
  throttleWriteBpsDevice?: readonly Throttle[]
  throttleReadIOPSDevice?: readonly Throttle[]
  throttleWriteIOPSDevice?: readonly Throttle[]
}

export interface Throttle {
  major: number
  minor: number
  rate: number
}

export type SeccompAction =
  | "SCMP_ACT_KILL"
  | "SCMP_ACT_KILL_THREAD"
  | "SCMP_ACT_KILL_PROCESS"
  | "SCMP_ACT_TRAP"
  | "SCMP_ACT_ERRNO"
  | "SCMP_ACT_TRACE"
  | "SCMP_ACT_LOG"
  | "SCMP_ACT_ALLOW"

export type SeccompOperator =
  | "SCMP_CMP_NE"
  | "SCMP_CMP_LT"
  | "SCMP_CMP_LE"
  | "SCMP_CMP_EQ"
  | "SCMP_CMP_GE"
  | "SCMP_CMP_GT"
  | "SCMP_CMP_MASKED_EQ"

export interface SeccompArgument {
  index: number
  /** 64 bits, unsigned. */
  value: number | bigint
  /** SCMP_CMP_MASKED_EQ: `value` is the mask, `valueTwo` what the masked argument must equal. */
  valueTwo?: number | bigint
  op: SeccompOperator
}

export interface SeccompSyscall {
  names: readonly string[]
  action: SeccompAction
  errnoRet?: number
  args?: readonly SeccompArgument[]
}

export interface Seccomp {
  defaultAction: SeccompAction
  defaultErrnoRet?: number
  /** SCMP_ARCH_X86_64 and the like. */
  architectures?: readonly string[]
  /** SECCOMP_FILTER_FLAG_LOG and the like. */
  flags?: readonly string[]
  syscalls: readonly SeccompSyscall[]
}
