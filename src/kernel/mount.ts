// Contract. Mounts as values: snapshots and volumes produce them, runtime turns them into plan operations.
import type { Operation } from "./kernel.ts"

/**
 * The root of a container as an overlay. Directories are host paths; `lower` is ordered from top to bottom, and an entry
 * "erofs:DIRECTORY" is an EROFS image (launcher/PROTOCOL.md).
 */
export interface OverlayMount {
  readonly type: "overlay"
  readonly lower: readonly string[]
  /** Absent with `work` for a read-only view. */
  readonly upper?: string
  readonly work?: string
  /** Overlay options such as "volatile", "xino=off". */
  readonly options: readonly string[]
}

/** A host directory used as the root as it is. */
export interface DirectoryMount {
  readonly type: "directory"
  readonly path: string
}

export type RootMount = OverlayMount | DirectoryMount

/** A host path bound to a path in the container's root (resolved by the launcher, never here). */
export interface BindMount {
  readonly type: "bind"
  readonly source: string
  readonly target: string
  /** ro, rec, private, rprivate, shared, rshared, slave, rslave, nosuid, nodev, noexec … */
  readonly flags: readonly string[]
  /** What a missing target is created as. */
  readonly create: "dir" | "file" | "any"
  /** Beneath `source`, resolved beneath it by the launcher. */
  readonly subpath?: string
}

/** A file system mounted afresh: proc, sysfs, tmpfs, devpts, mqueue, cgroup … */
export interface FilesystemMount {
  readonly type: "filesystem"
  readonly filesystem: string
  readonly source: string
  readonly target: string
  readonly flags: readonly string[]
  readonly options: readonly string[]
}

export type Mount = BindMount | FilesystemMount

/** The plan operation that names this root, for every verb that resolves paths in one. */
export const rootOperation = (root: RootMount): Operation =>
  root.type === "directory"
    ? ["root-path", root.path]
    : ["root-overlay", root.upper ?? "", root.work ?? "", root.options.join(","), ...root.lower]

/** Words of mount(8)'s options that are flags; the rest are the file system's own options. */
export const mountFlagWords: ReadonlySet<string> = new Set([
  "ro",
  "nosuid",
  "nodev",
  "noexec",
  "sync",
  "dirsync",
  "noatime",
  "nodiratime",
  "relatime",
  "strictatime",
])
