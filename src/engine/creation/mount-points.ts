// Create: the mounts that were asked for become mount points; volumes are made and filled, sources are checked.
import { existsSync, mkdirSync } from "node:fs"
import { failure } from "../../base/errors.ts"
import { newId } from "../../base/ids.ts"
import type { UndoStack } from "../../base/undo-stack.ts"
import type { RootMount } from "../../kernel/mount.ts"
import type { ContainerRecord, MountPoint, MountRequest } from "../../state/state.ts"
import type { Context } from "../context.ts"
import { cleanPath } from "./validate.ts"

interface Made {
  readonly record: ContainerRecord
  readonly points: MountPoint[]
  /** Anonymous volumes, which go away again should the engine die before the record is written. */
  readonly anonymous: string[]
  /** Volumes that are new and to be filled from the image. */
  readonly fill: { readonly name: string; readonly target: string }[]
}

const propagationOf = (mount: MountRequest): string => mount.propagation ?? "rprivate"

/** Throws invalid when a source that must exist does not; makes the one that -v promises. */
export const checkBindSource = (mount: { source?: string; createSource?: boolean }): void => {
  const source = mount.source ?? ""
  if (existsSync(source)) return
  if (!mount.createSource) {
    throw failure(
      "invalid",
      `invalid mount config for type "bind": bind source path does not exist: ${source}`,
    )
  }
  try {
    mkdirSync(source, { recursive: true, mode: 0o755 })
  } catch (cause) {
    throw failure(
      "invalid",
      `error while creating mount source path '${source}': mkdir ${source}: it cannot be made there`,
      {
        cause,
      },
    )
  }
}

const bindPoint = (mount: MountRequest): MountPoint => {
  checkBindSource(mount)
  return {
    type: "bind",
    source: mount.source ?? "",
    target: cleanPath(mount.target),
    mode: mount.mode ?? "",
    readOnly: mount.readOnly,
    propagation: propagationOf(mount),
  }
}

/** Until the container's record is written, this tells a restarted engine what to clear. */
const noteAnonymous = (context: Context, { record, anonymous }: Made, undo: UndoStack): void => {
  const { removals } = context.state
  if (anonymous.length === 1) undo.push("removal", () => removals.remove(record.id, { durable: false }))
  removals.put(record.id, { container: record, volumes: anonymous.slice() }, { durable: false })
}

const volumePoint = async (
  context: Context,
  made: Made,
  undo: UndoStack,
  mount: Omit<MountRequest, "type" | "origin"> & { readonly origin?: MountRequest["origin"] },
): Promise<MountPoint> => {
  const anonymous = mount.source === undefined || mount.source === ""
  const name = anonymous ? newId() : (mount.source ?? "")
  const known = context.volumes.find(name)
  if (anonymous) {
    made.anonymous.push(name)
    noteAnonymous(context, made, undo)
  }
  const volume =
    known ??
    (await context.volumes.create({
      name,
      anonymous,
      driver: mount.driver,
      options: mount.driverOptions,
      labels: mount.labels,
    }))
  if (known === undefined) {
    undo.push(`volume ${volume.name}`, () => context.volumes.remove(volume.name, { force: true }, []))
  }
  const target = cleanPath(mount.target)
  if (!mount.noCopy) made.fill.push({ name: volume.name, target })
  return {
    type: "volume",
    name: volume.name,
    source: context.volumes.path(volume.name),
    target,
    driver: volume.driver,
    mode: mount.mode || (anonymous ? "" : "z"),
    readOnly: mount.readOnly,
    propagation: "",
  }
}

/** "name", "id:ro", "id:rw" → the other container's mount points, changed accordingly. */
const takenOver = (context: Context, reference: string): MountPoint[] => {
  const [name, mode] = reference.split(/:(?=[^:]*$)/)
  if (mode !== undefined && !/^(ro|rw|z|Z)(,(ro|rw|z|Z))*$/.test(mode)) {
    throw failure("invalid", `invalid volumes-from specification: ${reference}`)
  }
  const readOnly = mode?.split(",").includes("ro") ?? false
  return context.catalogue.required(name ?? "").mountPoints.map((point) => ({
    ...point,
    readOnly: point.readOnly || readOnly,
    mode: mode ?? point.mode,
  }))
}

/**
 * Sets up every mount of a new container. Order as Docker: volumes-from, then what was asked for, then anonymous
 * volumes where nothing else is. What was made is undone by the stack.
 */
export const makeMountPoints = async (
  context: Context,
  record: ContainerRecord,
  undo: UndoStack,
  imageRoot: () => RootMount,
): Promise<MountPoint[]> => {
  const { config } = record
  if (config.mounts.length === 0 && config.volumes.length === 0 && config.volumesFrom.length === 0) return []
  const made: Made = { record, points: [], anonymous: [], fill: [] }
  const place = (point: MountPoint) => {
    const index = made.points.findIndex((other) => other.target === point.target)
    if (index >= 0) made.points.splice(index, 1)
    made.points.push(point)
  }
  for (const reference of config.volumesFrom) for (const point of takenOver(context, reference)) place(point)
  for (const mount of config.mounts) {
    if (mount.type === "bind") place(bindPoint(mount))
    else if (mount.type === "volume") place(await volumePoint(context, made, undo, mount))
    else if (mount.type === "tmpfs" && mount.origin === "mounts") {
      place({
        type: "tmpfs",
        source: "",
        target: cleanPath(mount.target),
        mode: "",
        readOnly: mount.readOnly,
        propagation: "",
      })
    }
  }
  const elsewhere = new Set(config.mounts.map((mount) => cleanPath(mount.target)))
  for (const path of config.volumes) {
    const target = cleanPath(path)
    if (elsewhere.has(target) || made.points.some((point) => point.target === target)) continue
    place(await volumePoint(context, made, undo, { target, readOnly: false }))
  }
  for (const { name, target } of made.fill) await context.volumes.populate(name, imageRoot(), target)
  return made.points
}

/** Events of volumes that a start mounts. */
export const mountAttributes = (point: MountPoint, containerId: string): Record<string, string> => ({
  driver: point.driver ?? "local",
  container: containerId,
  destination: point.target,
  "read/write": String(!point.readOnly),
  propagation: point.propagation,
})
