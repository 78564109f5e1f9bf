// Facts about the host that info shows; the fixed ones are read once.
import { existsSync, readdirSync, readFileSync, statfsSync } from "node:fs"

export interface HostDescription {
  readonly operatingSystem: string
  readonly osVersion: string
  /** Name of the file system that a path lies on, "" if unknown. */
  fileSystemOf(path: string): string
  /** Open file descriptors of this process. */
  openDescriptors(): number
  /** What the kernel can limit, by its files; `v1`: with controllers in hierarchies of their own. */
  abilities(v1: boolean): Abilities
  /** A sentence, in Docker's words, for each ability that is missing. */
  warnings(abilities: Abilities): string[]
}

export interface Abilities {
  readonly memory: boolean
  readonly swap: boolean
  readonly cpu: boolean
  readonly cpuQuota: boolean
  readonly cpuset: boolean
  readonly pids: boolean
  readonly forwarding: boolean
}

const FILE_SYSTEMS: Readonly<Record<number, string>> = {
  61267: "extfs",
  1481003842: "xfs",
  2435016766: "btrfs",
  16914836: "tmpfs",
  2035054128: "overlayfs",
  801189825: "zfs",
  4076150800: "f2fs",
}

let known: HostDescription | undefined

export function hostDescription(): HostDescription {
  known ??= { ...osRelease(), fileSystemOf, openDescriptors, abilities, warnings }
  return known
}

function fileSystemOf(path: string): string {
  try {
    return FILE_SYSTEMS[statfsSync(path).type] ?? ""
  } catch {
    return ""
  }
}

const openDescriptors = (): number => readdirSync("/proc/self/fd").length

const CGROUPS = "/sys/fs/cgroup"

function abilities(v1: boolean): Abilities {
  const forwarding = content("/proc/sys/net/ipv4/ip_forward") === "1"
  if (v1) {
    const has = (file: string) => existsSync(`${CGROUPS}/${file}`)
    return {
      memory: has("memory/memory.limit_in_bytes"),
      swap: has("memory/memory.memsw.limit_in_bytes"),
      cpu: has("cpu/cpu.shares"),
      cpuQuota: has("cpu/cpu.cfs_quota_us"),
      cpuset: has("cpuset/cpuset.cpus"),
      pids: has("pids"),
      forwarding,
    }
  }
  const controllers = content(`${CGROUPS}/cgroup.controllers`).split(" ")
  const has = (name: string) => controllers.includes(name)
  return {
    memory: has("memory"),
    swap: has("memory") && !/swapaccount=0/.test(content("/proc/cmdline")),
    cpu: has("cpu"),
    cpuQuota: has("cpu"),
    cpuset: has("cpuset"),
    pids: has("pids"),
    forwarding,
  }
}

const WARNINGS = {
  memory: "WARNING: No memory limit support",
  swap: "WARNING: No swap limit support",
  cpu: "WARNING: No cpu shares support",
  cpuQuota: "WARNING: No cpu cfs quota support",
  cpuset: "WARNING: No cpuset support",
  pids: "WARNING: No pids limit support",
  forwarding: "WARNING: IPv4 forwarding is disabled",
} as const satisfies Record<keyof Abilities, string>

const warnings = (can: Abilities): string[] =>
  Object.entries(WARNINGS).flatMap(([name, warning]) => (can[name as keyof Abilities] ? [] : [warning]))

function content(path: string): string {
  try {
    return readFileSync(path, "utf8").trim()
  } catch {
    return ""
  }
}

function osRelease(): { operatingSystem: string; osVersion: string } {
  try {
    const text = readFileSync("/etc/os-release", "utf8")
    const value = (key: string) => new RegExp(`^${key}="?([^"\n]*)"?$`, "m").exec(text)?.[1]
    return { operatingSystem: value("PRETTY_NAME") ?? "Linux", osVersion: value("VERSION_ID") ?? "" }
  } catch {
    return { operatingSystem: "Linux", osVersion: "" }
  }
}
