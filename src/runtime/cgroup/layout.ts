// Where a container's cgroups are: one directory for each mounted v1 hierarchy, or one of the unified hierarchy.
import { join } from "node:path"
import { failure } from "../../base/errors.ts"
import type { KernelFeatures } from "../../kernel/kernel.ts"

/** v1 controllers that a container gets a cgroup of its own in, when they are mounted. */
const usedControllers = [
  "cpuset",
  "cpu",
  "cpuacct",
  "memory",
  "devices",
  "freezer",
  "blkio",
  "pids",
  "name=systemd",
] as const
export type Controller = (typeof usedControllers)[number]

export interface CgroupLayout {
  readonly version: 1 | 2
  /** v1: controller to directory; v2: every controller's directory is the same one, see {@link unified}. */
  readonly directories: ReadonlyMap<Controller, string>
  /** v2 only. */
  readonly unified?: string
  /** Each directory once. */
  readonly all: readonly string[]
  /** The directory whose processes stand for the container's. */
  readonly members: string
  /** v1: mount point to the controllers mounted there, for the container's own /sys/fs/cgroup. */
  readonly hierarchies: ReadonlyMap<string, readonly string[]>
}

/**
 * Path of a container's cgroup beneath each hierarchy's root. Containers are placed at the root of the hierarchies,
 * as Docker does it, whatever cgroup the engine itself runs in.
 */
export function cgroupPath(parent: string, id: string): string {
  const parts = parent.split("/").filter((part) => part !== "" && part !== ".")
  if (parts.includes("..")) throw failure("invalid", `invalid cgroup parent "${parent}": it contains ".."`)
  return `/${[...parts, id].join("/")}`
}

/** The directories of a cgroup path on this machine. Throws unavailable when no hierarchy is mounted. */
export function cgroupLayout(features: KernelFeatures, path: string): CgroupLayout {
  if (features.cgroupMode === "v2") {
    if (features.cgroupV2 === undefined)
      throw failure("unavailable", "No cgroup hierarchy is mounted; mount cgroup2 on /sys/fs/cgroup")
    const unified = join(features.cgroupV2, path)
    return {
      version: 2,
      directories: new Map(),
      unified,
      all: [unified],
      members: unified,
      hierarchies: new Map(),
    }
  }
  const directories = new Map<Controller, string>()
  const hierarchies = new Map<string, string[]>()
  for (const controller of usedControllers) {
    const mount = features.cgroupV1.get(controller)
    if (mount === undefined) continue
    directories.set(controller, join(mount, path))
    const shared = hierarchies.get(mount)
    if (shared === undefined) hierarchies.set(mount, [controller])
    else shared.push(controller)
  }
  const all = [...new Set(directories.values())]
  const members = directories.get("pids") ?? directories.get("freezer") ?? all[0]
  if (members === undefined)
    throw failure("unavailable", "No cgroup controller is mounted; mount them beneath /sys/fs/cgroup")
  return { version: 1, directories, all, members, hierarchies }
}
