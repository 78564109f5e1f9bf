// Spec → launch plan: pure. What the OCI spec cannot say (monitor, log, root) comes beside it.
import type { Operation } from "../kernel/kernel.ts"
import type { RootMount } from "../kernel/mount.ts"
import type { Device, DeviceRule, Namespace, Process, Seccomp, Spec, SpecMount } from "../oci/runtime-spec.ts"
import { capabilityMask } from "./capabilities.ts"
import { deviceProgram } from "./cgroup/device-program.ts"
import { allowsEverything, deviceLines } from "./cgroup/devices.ts"
import type { CgroupLayout } from "./cgroup/layout.ts"
import { limitWrites } from "./cgroup/limits.ts"
import { filterFlags, filterProgram } from "./seccomp/filter.ts"
import { cgroupLinks } from "./spec/mounts.ts"

/** What surrounds a container's process: its monitor, streams and root. */
export interface Surroundings {
  readonly layout: CgroupLayout
  readonly root: RootMount
  readonly monitorSocket: string
  readonly exitRecord: string
  readonly durableExit: boolean
  readonly log: {
    readonly driver: "json-file" | "none"
    readonly path: string
    readonly maxBytes: number
    readonly maxFiles: number
  }
  readonly stdinOpen: boolean
  readonly stdinOnce: boolean
  readonly expectedAttachments: number
  readonly reservations: readonly { protocol: string; address: string; port: number }[]
  /** Where the monitor relays names to, and whose they are. */
  readonly nameRelay?: { readonly path: string; readonly containerId: string }
  /** PID 1 is the launcher's init. */
  readonly init: boolean
  /** As LaunchRequest has them. */
  readonly rootOperations?: readonly Operation[]
}

/** The operations of a launch, without its verb. */
export function launchPlan(spec: Spec, around: Surroundings): Operation[] {
  return [
    ...monitorOperations(spec, around),
    ...cgroupOperations(spec, around.layout),
    ...spec.linux.namespaces.map(namespaceOperation),
    ...endOperations(spec, around.layout),
    rootOperation(around.root),
    ...mountOperations(spec, around.layout, around.rootOperations ?? []),
    ...systemOperations(spec),
    ...processOperations(spec.process, spec.linux.seccomp, around.init, "create"),
  ]
}

const flag = (condition: boolean, operation: Operation): Operation[] => (condition ? [operation] : [])

function monitorOperations(spec: Spec, around: Surroundings): Operation[] {
  const { log } = around
  return [
    ["monitor-socket", around.monitorSocket],
    ["exit-record", around.exitRecord, around.durableExit ? "sync" : "nosync"],
    log.driver === "none"
      ? ["log", "none"]
      : ["log", log.driver, log.path, String(log.maxBytes), String(log.maxFiles)],
    stdioOperation(spec.process, around.stdinOpen, around.stdinOnce),
    ...flag(around.expectedAttachments > 0, ["attach-expect", String(around.expectedAttachments)]),
    ...around.reservations.map(
      ({ protocol, address, port }): Operation => ["reserve-port", protocol, address, String(port)],
    ),
    ...(around.nameRelay
      ? [["name-relay", around.nameRelay.path, around.nameRelay.containerId] as const]
      : []),
  ]
}

/** The streams of a process. */
export function stdioOperation(process: Process, open: boolean, once: boolean): Operation {
  const { height = 0, width = 0 } = process.consoleSize ?? {}
  return [
    "stdio",
    process.terminal === true ? "tty" : "pipe",
    open ? "open" : "closed",
    once ? "once" : "keep",
    String(height),
    String(width),
  ]
}

function cgroupOperations(spec: Spec, layout: CgroupLayout): Operation[] {
  const { resources } = spec.linux
  return [
    ...layout.all.map((directory): Operation => ["cgroup", directory]),
    ...limitWrites(layout, resources).map(
      ({ file, value, optional }): Operation => ["cgroup-write", file, value, optional ? "may" : "must"],
    ),
    ...deviceOperations(layout, resources.devices ?? []),
  ]
}

function deviceOperations(layout: CgroupLayout, rules: readonly DeviceRule[]): Operation[] {
  if (allowsEverything(rules)) return []
  if (layout.unified !== undefined) return [["cgroup-device-program", layout.unified, deviceProgram(rules)]]
  const directory = layout.directories.get("devices")
  if (directory === undefined) return []
  return rules
    .flatMap(deviceLines)
    .map(({ file, value }) => ["cgroup-write", `${directory}/${file}`, value, "must"])
}

function namespaceOperation({ type, path }: Namespace): Operation {
  return ["namespace", type, path ?? "new"]
}

/** How an end is recognised and completed: OOM kills are counted, what outlives init is killed. */
function endOperations(spec: Spec, layout: CgroupLayout): Operation[] {
  const memory = layout.directories.get("memory")
  const counter =
    layout.unified !== undefined
      ? `${layout.unified}/memory.events`
      : memory === undefined
        ? undefined
        : `${memory}/memory.oom_control`
  const pid = spec.linux.namespaces.find((namespace) => namespace.type === "pid")
  return [
    ...(counter === undefined ? [] : [["oom-counter", counter, "oom_kill"] as const]),
    ...flag(pid === undefined || pid.path !== undefined, ["kill-on-end", layout.members]),
  ]
}

function rootOperation(root: RootMount): Operation {
  if (root.type === "directory") return ["root-path", root.path]
  return ["root-overlay", root.upper ?? "", root.work ?? "", root.options.join(","), ...root.lower]
}

const mountFlags = new Set([
  "ro",
  "rro",
  "rw",
  "nosuid",
  "suid",
  "nodev",
  "dev",
  "noexec",
  "exec",
  "relatime",
  "norelatime",
  "strictatime",
  "nostrictatime",
  "noatime",
  "atime",
  "nodiratime",
  "diratime",
  "nosymfollow",
  "private",
  "rprivate",
  "shared",
  "rshared",
  "slave",
  "rslave",
  "unbindable",
  "runbindable",
])

/** Flags that only restate what is so without them; the launcher knows the restricting ones. */
const restating = new Set(["rw", "suid", "dev", "exec", "norelatime", "nostrictatime", "atime", "diratime"])

function mountOperation(mount: SpecMount): Operation {
  const flags = mount.options.filter((option) => mountFlags.has(option) && !restating.has(option))
  if (mount.type === "bind") {
    if (mount.options.includes("rbind")) flags.push("rec")
    const create = mount.create ?? "any"
    return ["bind", mount.source, mount.destination, flags.join(","), create, mount.subpath ?? ""]
  }
  const options = mount.options.filter((option) => !mountFlags.has(option))
  const lowers = options.find((option) => option.startsWith("lowerdir="))?.slice(9)
  // Layers that are EROFS images ("erofs:DIRECTORY") are the launcher's to mount.
  if (mount.type === "overlay" && lowers !== undefined)
    return ["view", mount.destination, flags.join(","), "", ...lowers.split(/(?<!erofs):(?=\/|erofs:\/)/)]
  return ["mount", mount.type, mount.source, mount.destination, flags.join(","), options.join(",")]
}

const links: readonly Operation[] = [
  ["symlink", "/proc/self/fd", "/dev/fd"],
  ["symlink", "/proc/self/fd/0", "/dev/stdin"],
  ["symlink", "/proc/self/fd/1", "/dev/stdout"],
  ["symlink", "/proc/self/fd/2", "/dev/stderr"],
  ["symlink", "/proc/kcore", "/dev/core"],
  ["symlink", "pts/ptmx", "/dev/ptmx"],
]

const ownFilesystems = new Set(["proc", "sysfs", "devpts", "mqueue", "cgroup", "cgroup2"])

/** Whether a mount belongs to the frame that devices and links are put into, before the container's own mounts. */
const isFrame = ({ type, destination }: SpecMount): boolean =>
  ownFilesystems.has(type) ||
  destination === "/dev" ||
  destination === "/dev/shm" ||
  destination === "/sys/fs/cgroup" ||
  destination.startsWith("/sys/fs/cgroup/")

const deviceOperation = ({ path, type, major, minor, fileMode, uid, gid }: Device): Operation => [
  "device",
  path,
  type,
  String(major),
  String(minor),
  fileMode.toString(8),
  String(uid),
  String(gid),
]

const cgroupRoot = "/sys/fs/cgroup"

/**
 * What lies in the tmpfs of a cgroup v1 tree, put there before that becomes read-only and the hierarchies are mounted
 * over it: a directory for each of them, and links for controllers that share one.
 */
function cgroupTree(mounts: readonly SpecMount[], layout: CgroupLayout, readonly: boolean): Operation[] {
  return [
    ...mounts
      .filter(({ destination }) => destination.startsWith(`${cgroupRoot}/`))
      .map(({ destination }): Operation => ["directory", destination, "755", "0", "0"]),
    ...cgroupLinks(layout).map(([text, path]): Operation => ["symlink", text, path]),
    ...flag(readonly, ["readonly", cgroupRoot]),
  ]
}

function mountOperations(spec: Spec, layout: CgroupLayout, further: readonly Operation[]): Operation[] {
  const { linux, mounts } = spec
  const ownDev = mounts.some(({ destination, type }) => destination === "/dev" && type === "bind")
  const readonlySys = mounts.some(
    ({ destination, options }) => destination === "/sys" && options.includes("ro"),
  )
  const frame = mounts.filter(isFrame)
  const own = mounts.filter((mount) => !isFrame(mount))
  return [
    ...frame.flatMap((mount) => {
      const operation = mountOperation(mount)
      const isTree = mount.destination === cgroupRoot && mount.type === "tmpfs" && mount.source === "cgroup"
      return isTree ? [operation, ...cgroupTree(frame, layout, readonlySys)] : [operation]
    }),
    ...linux.devices.map(deviceOperation),
    ...(ownDev ? [] : links),
    ...own.map(mountOperation),
    ...further,
    ...flag(spec.process.terminal === true, ["console"]),
    ...linux.maskedPaths.map((path): Operation => ["mask", path]),
    ...linux.readonlyPaths.map((path): Operation => ["readonly", path]),
    ...(linux.rootfsPropagation === undefined
      ? []
      : [["root-propagation", linux.rootfsPropagation] as const]),
    ...flag(spec.root.readonly === true, ["root-readonly"]),
  ]
}

function systemOperations(spec: Spec): Operation[] {
  const operations: Operation[] = []
  if (spec.hostname !== undefined) operations.push(["hostname", spec.hostname])
  if (spec.domainname !== undefined) operations.push(["domainname", spec.domainname])
  for (const [key, value] of Object.entries(spec.linux.sysctl)) operations.push(["sysctl", key, value])
  return operations
}

/** Masks in hex; the sets are mostly one and the same list. */
function maskTexts(): (names: readonly string[] | undefined) => string {
  const known = new Map<readonly string[], string>()
  return (names = []) => {
    const text = known.get(names) ?? capabilityMask(names).toString(16)
    known.set(names, text)
    return text
  }
}

const limitText = (value: number): string => (value < 0 ? "unlimited" : String(value))

/** What launch and exec share: limits, identity, rights, directory, environment and the command. */
export function processOperations(
  process: Process,
  seccomp: Seccomp | undefined,
  init: boolean,
  directory: "create" | "exist",
): Operation[] {
  const { user, capabilities } = process
  const mask = maskTexts()
  return [
    ...(process.rlimits ?? []).map(
      ({ type, soft, hard }): Operation => [
        "rlimit",
        type.replace(/^RLIMIT_/, "").toLowerCase(),
        limitText(soft),
        limitText(hard),
      ],
    ),
    ...flag((process.oomScoreAdj ?? 0) !== 0, ["oom-score-adj", String(process.oomScoreAdj)]),
    ["user", user.username ?? `${user.uid}:${user.gid}`],
    ...(user.additionalGroups ?? []).map((group): Operation => ["group-add", group]),
    ...flag(process.noNewPrivileges === true, ["no-new-privileges"]),
    [
      "capabilities",
      mask(capabilities?.bounding),
      mask(capabilities?.effective),
      mask(capabilities?.permitted),
      mask(capabilities?.inheritable),
      mask(capabilities?.ambient),
    ],
    ...(seccomp === undefined
      ? []
      : [["seccomp", filterProgram(seccomp), String(filterFlags(seccomp))] as const]),
    ["umask", (user.umask ?? 0o022).toString(8).padStart(4, "0")],
    ["cwd", process.cwd, directory],
    ...process.env.map((variable): Operation => ["env", variable]),
    ...flag(init, ["init"]),
    ["argv", ...process.args],
  ]
}
