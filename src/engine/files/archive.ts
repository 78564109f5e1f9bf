// Files of a container: stat, tar out, tar in, changes, sizes. Every path is resolved by the launcher, in the root.

import { existsSync } from "node:fs"
import { failure } from "../../base/errors.ts"
import { LauncherFailure, type Operation } from "../../kernel/kernel.ts"
import { rootOperation } from "../../kernel/mount.ts"
import type { ContainerRecord, MountPoint } from "../../state/state.ts"
import { announceBriefly } from "../announce.ts"
import type { Context } from "../context.ts"
import { cleanPath } from "../creation/validate.ts"
import type { ContainerSizes, PathStat } from "../engine.ts"

interface Place {
  /** The root, and what is mounted in it. */
  readonly root: readonly Operation[]
  /** In that root. */
  readonly path: string
}

/** The mount that a path lies in, by its text; for what Docker refuses before it looks at the files. */
const mountAt = (record: ContainerRecord, path: string): MountPoint | undefined =>
  record.mountPoints
    .filter((point) => path === point.target || path.startsWith(`${point.target}/`))
    .sort((first, second) => second.target.length - first.target.length)[0]

const checkPath = (path: string): void => {
  if (path === "") throw failure("invalid", "no path was given")
  if (path.includes("\0")) throw failure("invalid", "a path must not hold NUL")
}

/** The volumes and binds of a container that does not run, parents first, as its start would mount them. */
const bindsOf = ({ mountPoints, config }: ContainerRecord): Operation[] =>
  mountPoints
    .filter(({ type, source }) => type !== "tmpfs" && existsSync(source))
    .toSorted((first, second) => first.target.split("/").length - second.target.split("/").length)
    .map((point) => {
      const asked = config.mounts.find(({ target }) => cleanPath(target) === point.target)
      const flags = ["rprivate", ...(asked?.nonRecursive ? [] : ["rec"]), ...(point.readOnly ? ["ro"] : [])]
      return ["bind", point.source, point.target, flags.join(","), "any", asked?.subpath ?? ""]
    })

/** Where a path is to be resolved: in the live root, or in that of a stopped one with its volumes and binds in place. */
const placeOf = (context: Context, record: ContainerRecord, path: string): Place => {
  checkPath(path)
  const task = context.live.find(record.id)?.task
  const inside = path.startsWith("/") ? path : `/${path}`
  if (task !== undefined) return { root: [["root-pid", String(task.rootPid)]], path: inside }
  const layers = rootOperation(context.snapshots.mounts(record.snapshot))
  return { root: [layers, ...bindsOf(record)], path: inside }
}

const missing = (path: string, name: string, cause: unknown) =>
  failure("not-found", `Could not find the file ${path} in container ${name}`, { cause })

const isMissing = (error: unknown): boolean =>
  error instanceof Error && /ENOENT|ENOTDIR|no such file|not a directory|not found/i.test(`${error.message}`)

const baseName = (path: string): string => {
  const parts = cleanPath(path).split("/")
  return parts.at(-1) || "/"
}

const statAt = async (context: Context, place: Place, name: string, path: string): Promise<PathStat> => {
  try {
    const answer = await context.kernel.perform([["stat"], ...place.root, ["path", place.path]])
    const text = (key: string): string => answer.get(key)?.[0] ?? ""
    return {
      name: baseName(path),
      size: Number(text("size")),
      mode: Number(text("mode")),
      mtime: BigInt(text("mtime-ns") || "0"),
      linkTarget: text("link-target"),
    }
  } catch (error) {
    if (isMissing(error)) throw missing(path, name, error)
    throw error
  }
}

export const archiveStat = async (context: Context, reference: string, path: string): Promise<PathStat> => {
  const record = context.catalogue.get(reference)
  return statAt(context, placeOf(context, record, path), reference, path)
}

/** A tar of the path, its top entry named as the path's last part; "DIR/." is the contents below "./". */
export const archiveGet = async (
  context: Context,
  reference: string,
  path: string,
): Promise<{ stat: PathStat; tar: AsyncIterable<Uint8Array> }> => {
  const record = context.catalogue.get(reference)
  const place = placeOf(context, record, path)
  const stat = await statAt(context, place, reference, path)
  announceBriefly(context, record, "archive-path")
  const name = /(^|\/)\.$/.test(path) && path !== "/." ? "." : stat.name
  const tar = context.kernel.receive([
    ["pack"],
    ...place.root,
    ["path", place.path],
    ["option", "name", name],
  ])
  return { stat, tar }
}

const isDirectory = (mode: number): boolean => (mode & 0o170000) === 0o040000

/** The container's user as owner of what is copied in. */
const ownerOf = ({ config }: ContainerRecord): Operation[] =>
  config.user === "" ? [] : [["user", config.user]]

const readOnlyVolume = (cause?: unknown) =>
  failure("forbidden", "mounted volume is marked read-only", { cause })
const isReadOnly = (error: unknown): boolean =>
  error instanceof LauncherFailure && error.errnoName === "EROFS"

/** Extracts a tar into a directory of the container: with the owners that the tar names, or the container's user. */
export const archivePut = async (
  context: Context,
  reference: string,
  path: string,
  tar: AsyncIterable<Uint8Array>,
  options: { noOverwriteDirNonDir: boolean; copyOwners: boolean },
): Promise<void> => {
  const { id } = context.catalogue.get(reference)
  // A layer must not be mounted for writing twice: a start waits for this.
  if (context.live.find(id)?.task === undefined) {
    await context.mutex.run(id, () => put(context, reference, path, tar, options))
  } else await put(context, reference, path, tar, options)
}

const put = async (
  context: Context,
  reference: string,
  path: string,
  tar: AsyncIterable<Uint8Array>,
  options: { noOverwriteDirNonDir: boolean; copyOwners: boolean },
): Promise<void> => {
  const record = context.catalogue.get(reference)
  const place = placeOf(context, record, path)
  const mount = mountAt(record, cleanPath(place.path))
  if (mount !== undefined && mount.type !== "tmpfs" && mount.readOnly) throw readOnlyVolume()
  if (record.config.readOnlyRoot && mount === undefined)
    throw failure("forbidden", "container rootfs is marked read-only")
  const stat = await statAt(
    context,
    { ...place, path: `${place.path.replace(/\/+$/, "")}/.` },
    reference,
    path,
  )
  if (!isDirectory(stat.mode)) throw failure("invalid", "extraction point is not a directory")
  const plan: Operation[] = [
    ["unpack"],
    ...place.root,
    ["at", place.path],
    ["option", "whiteouts", "none"],
    ["option", "overwrite-dir-with-file", options.noOverwriteDirNonDir ? "no" : "yes"],
    ["option", "owners", "keep"],
    ...(options.copyOwners ? ownerOf(record) : []),
  ]
  try {
    await context.kernel.send(plan, tar)
  } catch (error) {
    // A link led there.
    throw isReadOnly(error) ? readOnlyVolume(error) : error
  }
  announceBriefly(context, record, "extract-to-dir")
}

/** The whole root file system without mounts. */
export const exportContainer = (context: Context, reference: string): AsyncIterable<Uint8Array> => {
  const record = context.catalogue.get(reference)
  const root = rootOperation(context.snapshots.mounts(record.snapshot))
  announceBriefly(context, record, "export")
  return context.kernel.receive([["pack"], root, ["path", "/"], ["option", "contents", "yes"]])
}

const kinds: Readonly<Record<string, 0 | 1 | 2>> = { C: 0, A: 1, D: 2 }

interface Change {
  readonly kind: 0 | 1 | 2
  readonly path: string
}

/** What the writable layer changed, sorted by path. */
export const changesOf = async (context: Context, reference: string): Promise<Change[]> => {
  const record = context.catalogue.get(reference)
  const { upper, lower } = context.snapshots.layers(record.snapshot)
  const chunks: Uint8Array[] = []
  for await (const chunk of context.kernel.receive([["changes"], ["upper", upper], ["lower", ...lower]])) {
    chunks.push(chunk)
  }
  const changes: Change[] = []
  for (const line of Buffer.concat(chunks).toString("utf8").split("\0")) {
    const kind = kinds[line[0] ?? ""]
    if (kind !== undefined) changes.push({ kind, path: line.slice(2) })
  }
  return changes.sort((first, second) => (first.path < second.path ? -1 : 1))
}

/** Bytes of the writable layer, and of everything. */
export const sizesOf = async (context: Context, reference: string): Promise<ContainerSizes> => {
  const record = context.catalogue.get(reference)
  const { bytes: writable } = await context.snapshots.usage(record.snapshot)
  const image = context.state.images.find(record.imageId)
  return { writable, root: writable + (image?.size ?? 0) }
}
