// The mounts of a container: the defaults that its own do not replace, then its own.
import type { Mount } from "../../kernel/mount.ts"
import type { SpecMount } from "../../oci/runtime-spec.ts"
import type { CgroupLayout } from "../cgroup/layout.ts"
import { containerOf } from "./namespaces.ts"
import type { SpecContext, With } from "./spec.ts"

export const withMounts: With = (spec, context) => {
  const own = context.request.mounts.map(specMount)
  const targets = new Set(own.map((mount) => mount.destination))
  const ownDev = targets.has("/dev")
  const ownCgroups = targets.has("/sys/fs/cgroup")
  const defaults = defaultMounts(context).filter(
    ({ destination }) =>
      !targets.has(destination) &&
      !(ownDev && destination.startsWith("/dev/")) &&
      !(ownCgroups && destination.startsWith("/sys/fs/cgroup/")),
  )
  spec.mounts = [...defaults, ...own]
}

function specMount(mount: Mount): SpecMount {
  if (mount.type === "filesystem")
    return {
      destination: mount.target,
      type: mount.filesystem,
      source: mount.source,
      options: [...mount.flags, ...mount.options],
    }
  return {
    destination: mount.target,
    type: "bind",
    source: mount.source,
    options: [
      mount.flags.includes("rec") ? "rbind" : "bind",
      ...mount.flags.filter((flag) => flag !== "rec"),
    ],
    create: mount.create,
    subpath: mount.subpath,
  }
}

function defaultMounts(context: SpecContext): SpecMount[] {
  const { config } = context.request
  const sysAccess = config.privileged ? "rw" : "ro"
  const mounts: SpecMount[] = [
    { destination: "/proc", type: "proc", source: "proc", options: ["nosuid", "noexec", "nodev"] },
    {
      destination: "/dev",
      type: "tmpfs",
      source: "tmpfs",
      options: ["nosuid", "strictatime", "mode=755", "size=65536k"],
    },
    {
      destination: "/dev/pts",
      type: "devpts",
      source: "devpts",
      options: ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"],
    },
    {
      destination: "/sys",
      type: "sysfs",
      source: "sysfs",
      options: ["nosuid", "noexec", "nodev", sysAccess],
    },
    ...cgroupMounts(context, hasWritableCgroups(config) ? "rw" : sysAccess),
    { destination: "/dev/mqueue", type: "mqueue", source: "mqueue", options: ["nosuid", "noexec", "nodev"] },
  ]
  const shm = sharedMemory(context)
  if (shm !== undefined) mounts.push(shm)
  return mounts
}

/** Host directory that stands for /dev/shm of a container whose IPC others may share. */
export const sharedMemoryDirectory = (id: string): string => `/dev/shm/sloop-${id}`

function sharedMemory({ request }: SpecContext): SpecMount | undefined {
  const { ipcMode, shmSize } = request.config
  const destination = "/dev/shm"
  const bind = (source: string): SpecMount => ({
    destination,
    type: "bind",
    source,
    options: ["rbind", "rprivate"],
    create: "dir",
  })
  if (ipcMode === "none") return undefined
  if (ipcMode === "host") return bind("/dev/shm")
  if (ipcMode === "shareable") return bind(sharedMemoryDirectory(request.id))
  const other = containerOf(ipcMode)
  if (other !== undefined) return bind(sharedMemoryDirectory(other))
  const size = shmSize > 0 ? shmSize : 64 << 20
  return {
    destination,
    type: "tmpfs",
    source: "shm",
    options: ["nosuid", "noexec", "nodev", "mode=1777", `size=${size}`],
  }
}

const hasWritableCgroups = ({ securityOptions }: SpecContext["request"]["config"]): boolean =>
  securityOptions.some((option) => /^writable-cgroups(?:[=:]true)?$/.test(option))

const cgroupFlags = ["nosuid", "noexec", "nodev", "relatime"]

/**
 * A view of the cgroups from the container's cgroup namespace: its own subtree, or all of the host's (read-only too)
 * when it has none of its own.
 */
function cgroupMounts({ layout }: SpecContext, access: "ro" | "rw"): SpecMount[] {
  const destination = "/sys/fs/cgroup"
  const options = [...cgroupFlags, access]
  if (layout.unified !== undefined) return [{ destination, type: "cgroup2", source: "cgroup", options }]
  return [
    // The plan makes it read-only once the hierarchies and links are in it.
    { destination, type: "tmpfs", source: "cgroup", options: ["nosuid", "noexec", "nodev", "mode=755"] },
    ...[...layout.hierarchies].map(([mount, controllers]) => ({
      destination: `${destination}/${hierarchyName(mount)}`,
      type: "cgroup",
      source: "cgroup",
      options: [...options, ...controllers.flatMap(hierarchyOptions)],
    })),
  ]
}

const hierarchyOptions = (controller: string): string[] =>
  controller.startsWith("name=") ? ["none", controller] : [controller]

/** The last part of a hierarchy's mount point: "cpu,cpuacct", "memory", "systemd". */
const hierarchyName = (mount: string): string => mount.slice(mount.lastIndexOf("/") + 1)

/** Links such as cpu → cpu,cpuacct for hierarchies that hold several controllers. Pairs of text and path. */
export function cgroupLinks(layout: CgroupLayout): (readonly [text: string, path: string])[] {
  const links: (readonly [string, string])[] = []
  for (const [mount, controllers] of layout.hierarchies) {
    const name = hierarchyName(mount)
    if (controllers.length < 2) continue
    for (const controller of controllers)
      if (controller !== name) links.push([name, `/sys/fs/cgroup/${controller}`])
  }
  return links
}
