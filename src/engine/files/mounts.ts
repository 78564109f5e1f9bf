// Start: mount points, tmpfs requests and the managed files become mounts for the launch plan, parents first.
import { type BindMount, type FilesystemMount, type Mount, mountFlagWords } from "../../kernel/mount.ts"
import type { ContainerRecord, MountPoint, MountRequest } from "../../state/state.ts"
import type { Context } from "../context.ts"
import { checkBindSource } from "../creation/mount-points.ts"
import { cleanPath } from "../creation/validate.ts"

const depth = (mount: Mount): number => cleanPath(mount.target).split("/").length

/** Flags that are not the file system's own options. "exec" and the like take a default away. */
const opposites: Readonly<Record<string, string>> = { exec: "noexec", suid: "nosuid", dev: "nodev", rw: "ro" }

const tmpfsMount = (mount: MountRequest): FilesystemMount => {
  const flags = new Set(["noexec", "nosuid", "nodev"])
  const options: string[] = []
  for (const option of mount.tmpfsOptions ?? []) {
    const opposite = opposites[option]
    if (opposite !== undefined) flags.delete(opposite)
    else if (mountFlagWords.has(option)) flags.add(option)
    else if (option !== "" && !/^r?(private|shared|slave)$/.test(option)) options.push(option)
  }
  if (mount.readOnly) flags.add("ro")
  if (mount.tmpfsSize !== undefined && mount.tmpfsSize > 0) options.push(`size=${mount.tmpfsSize}`)
  if (mount.tmpfsMode !== undefined && mount.tmpfsMode > 0)
    options.push(`mode=${mount.tmpfsMode.toString(8)}`)
  return {
    type: "filesystem",
    filesystem: "tmpfs",
    source: "tmpfs",
    target: cleanPath(mount.target),
    flags: [...flags],
    options,
  }
}

const bindMount = (point: MountPoint, request: MountRequest | undefined): BindMount => {
  checkBindSource({ source: point.source, createSource: request?.createSource })
  const flags = [point.propagation || "rprivate"]
  // "rro" makes what is mounted beneath the source read-only too.
  const deep = !request?.nonRecursive && !request?.readOnlyNonRecursive
  if (point.readOnly) flags.push(deep ? "rro" : "ro")
  if (!request?.nonRecursive) flags.push("rec")
  return { type: "bind", source: point.source, target: point.target, flags, create: "any" }
}

const imageMount = async (context: Context, mount: MountRequest): Promise<Mount> => {
  const root = context.images.view(await context.images.get(mount.source ?? ""))
  const target = cleanPath(mount.target)
  if (root.type === "directory" || root.lower.length === 1) {
    const source = root.type === "directory" ? root.path : (root.lower[0] ?? "")
    return { type: "bind", source, target, flags: ["ro"], create: "dir", subpath: mount.subpath }
  }
  return {
    type: "filesystem",
    filesystem: "overlay",
    source: "overlay",
    target,
    flags: ["ro"],
    options: [`lowerdir=${root.lower.join(":")}`],
  }
}

/** Every mount of a start. `managed` are the engine's own files, left out where the user mounts something himself. */
export const mountsOf = async (
  context: Context,
  record: ContainerRecord,
  managed: readonly BindMount[],
): Promise<Mount[]> => {
  const { config, mountPoints } = record
  if (mountPoints.length === 0 && config.mounts.length === 0) return [...managed]
  const mounts: Mount[] = []
  const requestAt = (target: string) => config.mounts.find((mount) => cleanPath(mount.target) === target)
  for (const point of mountPoints) {
    const request = requestAt(point.target)
    if (point.type === "bind") mounts.push(bindMount(point, request))
    else if (point.type === "tmpfs") {
      mounts.push(
        tmpfsMount(request ?? { type: "tmpfs", target: point.target, readOnly: false, origin: "mounts" }),
      )
    } else {
      mounts.push(
        await context.volumes.mount(point.name ?? "", point.target, {
          readOnly: point.readOnly,
          subpath: request?.subpath,
        }),
      )
    }
  }
  for (const mount of config.mounts) {
    if (mount.type === "tmpfs" && mount.origin !== "mounts") mounts.push(tmpfsMount(mount))
    if (mount.type === "image") mounts.push(await imageMount(context, mount))
  }
  const taken = new Set(mounts.map((mount) => cleanPath(mount.target)))
  for (const file of managed) if (!taken.has(file.target)) mounts.push(file)
  return mounts.sort((first, second) => depth(first) - depth(second))
}
