// Mounts between Docker's several notations (Binds, Mounts, Tmpfs, Volumes) and the domain's one.
import { posix } from "node:path"
import { failure } from "../../base/errors.ts"
import { namePattern } from "../../base/ids.ts"
import type { MountRequest } from "../../state/state.ts"
import type { CreateRequest, WireMount } from "../../wire/wire.ts"

type Propagation = NonNullable<MountRequest["propagation"]>

const PROPAGATIONS: ReadonlySet<string> = new Set([
  "private",
  "rprivate",
  "shared",
  "rshared",
  "slave",
  "rslave",
])
const isPropagation = (text: string): text is Propagation => PROPAGATIONS.has(text)

/** Every mount that a create request asks for, in order of its notations. Throws invalid in Docker's words. */
export function mountRequests(request: CreateRequest): MountRequest[] {
  const host = request.HostConfig
  const driver = host?.VolumeDriver || undefined
  const mounts = (host?.Binds ?? []).map((spec) => parseBind(spec, driver))
  for (const mount of host?.Mounts ?? []) mounts.push(parseMount(mount))
  for (const [target, options] of Object.entries(host?.Tmpfs ?? {})) mounts.push(parseTmpfs(target, options))
  const seen = new Set<string>()
  for (const { target } of mounts) {
    if (seen.has(target)) throw failure("invalid", `Duplicate mount point: ${target}`)
    seen.add(target)
  }
  return mounts
}

/** "-v" notation: "/host:/in[:mode]", "name:/in[:mode]" or "/in". */
export function parseBind(spec: string, driver?: string): MountRequest {
  const parts = spec.split(":")
  if (parts.length > 3 || parts.some((part) => part === "")) {
    throw failure("invalid", `invalid volume specification: '${spec}'`)
  }
  const refuse = (reason: string) => failure("invalid", `invalid volume specification: '${spec}': ${reason}`)
  const [first = "", second, mode = ""] = parts
  if (second === undefined) {
    return { type: "volume", target: cleanTarget(first, refuse), readOnly: false, driver, origin: "volumes" }
  }
  const target = cleanTarget(second, refuse)
  const options = parseMode(mode, spec)
  if (posix.isAbsolute(first)) {
    if (options.noCopy) throw failure("invalid", `invalid mode: ${mode}`)
    return {
      type: "bind",
      source: cleanPath(first),
      target,
      readOnly: options.readOnly,
      propagation: options.propagation,
      createSource: true,
      mode,
      origin: "binds",
    }
  }
  if (options.propagation !== undefined) throw failure("invalid", `invalid mode: ${mode}`)
  requireVolumeName(first)
  return {
    type: "volume",
    source: first,
    target,
    readOnly: options.readOnly,
    noCopy: options.noCopy || undefined,
    driver,
    mode,
    origin: "binds",
  }
}

function parseMode(mode: string, spec: string) {
  let readOnly = false
  let noCopy = false
  let propagation: Propagation | undefined
  const kinds = new Set<string>()
  for (const option of mode === "" ? [] : mode.split(",")) {
    let kind = "label"
    if (option === "ro" || option === "rw") {
      kind = "access"
      readOnly = option === "ro"
    } else if (option === "nocopy") {
      kind = "copy"
      noCopy = true
    } else if (isPropagation(option)) {
      kind = "propagation"
      propagation = option
    } else if (option === "consistent" || option === "cached" || option === "delegated") {
      kind = "consistency"
    } else if (option !== "z" && option !== "Z") {
      throw failure("invalid", `invalid mode: ${mode}`)
    }
    if (kinds.has(kind)) throw failure("invalid", `invalid mode: ${mode} (in '${spec}')`)
    kinds.add(kind)
  }
  return { readOnly, noCopy, propagation }
}

/** "--mount" notation. */
function parseMount(mount: WireMount): MountRequest {
  const refuse = (reason: string) =>
    failure("invalid", `invalid mount config for type "${mount.Type}": ${reason}`)
  if (mount.Type === "") throw failure("invalid", "invalid mount config: field Type must not be empty")
  if (mount.Target === "") throw refuse("field Target must not be empty")
  const target = cleanTarget(mount.Target, refuse)
  const unexpected = (field: string) => refuse(`field ${field} must not be specified`)
  if (mount.Type !== "bind" && mount.BindOptions) throw unexpected("BindOptions")
  if (mount.Type !== "volume" && mount.VolumeOptions) throw unexpected("VolumeOptions")
  if (mount.Type !== "tmpfs" && mount.TmpfsOptions) throw unexpected("TmpfsOptions")
  if (mount.Type !== "image" && mount.ImageOptions) throw unexpected("ImageOptions")
  switch (mount.Type) {
    case "bind": {
      if (mount.Source === "") throw refuse("field Source must not be empty")
      if (!posix.isAbsolute(mount.Source)) {
        throw refuse(`invalid mount path: '${mount.Source}' mount path must be absolute`)
      }
      const propagation = mount.BindOptions?.Propagation ?? ""
      if (propagation !== "" && !isPropagation(propagation)) {
        throw refuse(`invalid propagation mode: ${propagation}`)
      }
      return {
        type: "bind",
        source: cleanPath(mount.Source),
        target,
        readOnly: mount.ReadOnly,
        propagation: propagation === "" ? undefined : (propagation as Propagation),
        nonRecursive: mount.BindOptions?.NonRecursive || undefined,
        readOnlyNonRecursive: mount.BindOptions?.ReadOnlyNonRecursive || undefined,
        createSource: mount.BindOptions?.CreateMountpoint ?? false,
        origin: "mounts",
      }
    }
    case "volume": {
      const options = mount.VolumeOptions
      if (mount.Source !== "") requireVolumeName(mount.Source)
      else if (options?.Subpath) throw refuse("must not set Subpath when using anonymous volumes")
      return {
        type: "volume",
        source: mount.Source || undefined,
        target,
        readOnly: mount.ReadOnly,
        noCopy: options?.NoCopy || undefined,
        subpath: options?.Subpath ? relativePath(options.Subpath, refuse) : undefined,
        driver: options?.DriverConfig?.Name || undefined,
        driverOptions: filled(options?.DriverConfig?.Options),
        labels: filled(options?.Labels),
        origin: "mounts",
      }
    }
    case "tmpfs": {
      if (mount.Source !== "") throw unexpected("Source")
      const options = mount.TmpfsOptions
      if ((options?.SizeBytes ?? 0) < 0) throw refuse("the size must not be negative")
      return {
        type: "tmpfs",
        target,
        readOnly: mount.ReadOnly,
        tmpfsSize: options?.SizeBytes || undefined,
        tmpfsMode: options?.Mode || undefined,
        tmpfsOptions: options?.Options.map((pair) => pair.join("=")),
        origin: "mounts",
      }
    }
    case "image":
      if (mount.Source === "") throw refuse("field Source must not be empty")
      return {
        type: "image",
        source: mount.Source,
        target,
        readOnly: true,
        subpath: mount.ImageOptions?.Subpath ? relativePath(mount.ImageOptions.Subpath, refuse) : undefined,
        origin: "mounts",
      }
    default:
      throw refuse("mount type unknown")
  }
}

const TMPFS_OPTION =
  /^(?:ro|rw|exec|noexec|suid|nosuid|dev|nodev|sync|async|atime|noatime|diratime|nodiratime|relatime|norelatime|strictatime|nostrictatime|mand|nomand|dirsync|remount|bind|rbind|unbindable|runbindable|private|rprivate|shared|rshared|slave|rslave|(?:size|nr_blocks|nr_inodes)=\d+[kKmMgG%]?|mode=[0-7]{1,4}|[ug]id=\d{1,10}|mpol=[\w:,=-]+|huge=\w+)$/

/** "--tmpfs" notation: a target and "size=64m,mode=1777". */
function parseTmpfs(target: string, options: string): MountRequest {
  const refuse = (reason: string) => failure("invalid", `invalid mount config for type "tmpfs": ${reason}`)
  const list = options === "" ? [] : options.split(",").filter((option) => option !== "")
  for (const option of list) {
    if (!TMPFS_OPTION.test(option)) throw failure("invalid", `Invalid tmpfs option ${JSON.stringify(option)}`)
  }
  return {
    type: "tmpfs",
    target: cleanTarget(target, refuse),
    readOnly: list.includes("ro"),
    tmpfsOptions: list,
    mode: options,
    origin: "tmpfs",
  }
}

/** Paths of anonymous volumes, cleaned and without those that another mount covers. */
export function anonymousVolumes(paths: readonly string[], mounts: readonly MountRequest[]): string[] {
  const covered = new Set(mounts.map(({ target }) => target))
  const refuse = (reason: string) => failure("invalid", `invalid volume specification: ${reason}`)
  return paths.map((path) => cleanTarget(path, refuse)).filter((path) => !covered.has(path))
}

function cleanTarget(target: string, refuse: (reason: string) => Error): string {
  if (!posix.isAbsolute(target)) {
    throw refuse(`invalid mount path: '${target}' mount path must be absolute`)
  }
  const clean = cleanPath(target)
  if (clean === "/") throw refuse("invalid specification: destination can't be '/'")
  return clean
}

function relativePath(path: string, refuse: (reason: string) => Error): string {
  const clean = posix.normalize(path)
  if (posix.isAbsolute(clean) || clean === ".." || clean.startsWith("../")) {
    throw refuse("subpath must be a relative path within the volume")
  }
  return clean.replace(/\/$/, "")
}

function cleanPath(path: string): string {
  const clean = posix.normalize(path)
  return clean.length > 1 && clean.endsWith("/") ? clean.slice(0, -1) : clean
}

const VOLUME_NAME = new RegExp(`^${namePattern}*$`)

function requireVolumeName(name: string): void {
  if (VOLUME_NAME.test(name) && name.length <= 255) return
  throw failure(
    "invalid",
    `${JSON.stringify(name)} includes invalid characters for a local volume name, only "${namePattern}" are allowed. If you intended to pass a host directory, use absolute path`,
  )
}

const filled = (map: Readonly<Record<string, string>> | undefined) =>
  map !== undefined && Object.keys(map).length > 0 ? map : undefined
