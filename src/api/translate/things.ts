// Volumes, events and path stats as the API shows them.
import type { PathStat } from "../../engine/engine.ts"
import type { EngineEvent } from "../../events/events.ts"
import type { VolumeRecord } from "../../state/state.ts"
import type { EventView, PathStatView, VolumeView } from "../../wire/wire.ts"
import { rfc3339Nano, rfc3339Seconds } from "./times.ts"

export function volumeView(volume: VolumeRecord, mountpoint: string): VolumeView {
  return {
    CreatedAt: rfc3339Seconds(volume.createdAt),
    Driver: volume.driver,
    Labels: Object.keys(volume.labels).length > 0 ? { ...volume.labels } : null,
    Mountpoint: mountpoint,
    Name: volume.name,
    Options: Object.keys(volume.options).length > 0 ? { ...volume.options } : null,
    Scope: "local",
  }
}

/** One line of the event stream. Container and image events repeat their fields as clients before 1.22 knew them. */
export function eventLine(event: EngineEvent): string {
  const old = event.type === "container" || event.type === "image"
  const from = event.attributes.image
  const view: EventView = {
    ...(old ? { status: event.action, id: event.id } : {}),
    ...(event.type === "container" && from !== undefined ? { from } : {}),
    Type: event.type,
    Action: event.action,
    Actor: { ID: event.id, Attributes: { ...event.attributes } },
    scope: "local",
    time: Number(event.timeNano / 1_000_000_000n),
  }
  return `${JSON.stringify(view).slice(0, -1)},"timeNano":${event.timeNano}}\n`
}

const TYPE_BITS: ReadonlyMap<number, number> = new Map([
  [0o040000, 2 ** 31], // directory
  [0o120000, 2 ** 27], // symbolic link
  [0o060000, 2 ** 26], // block device
  [0o020000, 2 ** 26 + 2 ** 21], // character device
  [0o010000, 2 ** 25], // named pipe
  [0o140000, 2 ** 24], // socket
])

/** st_mode as Go's os.FileMode. */
function goFileMode(mode: number): number {
  let bits = (mode & 0o777) + (TYPE_BITS.get(mode & 0o170000) ?? 0)
  if (mode & 0o4000) bits += 2 ** 23
  if (mode & 0o2000) bits += 2 ** 22
  if (mode & 0o1000) bits += 2 ** 20
  return bits
}

/** The value of X-Docker-Container-Path-Stat. */
export function pathStatHeader(stat: PathStat): string {
  const view: PathStatView = {
    name: stat.name,
    size: stat.size,
    mode: goFileMode(stat.mode),
    mtime: rfc3339Nano(stat.mtime),
    linkTarget: stat.linkTarget,
  }
  return Buffer.from(JSON.stringify(view)).toString("base64")
}
