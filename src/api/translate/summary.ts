// A container as GET /containers/json lists it.
import { humanDuration } from "../../base/duration.ts"
import type { ContainerRecord } from "../../state/state.ts"
import type { ContainerSummary } from "../../wire/wire.ts"
import { endpointSummaries, shownMode } from "./endpoints.ts"
import { mountPointView } from "./inspect.ts"
import { portSummaries } from "./ports.ts"

export interface SummaryExtras {
  /** What to show as image: the name that was asked for while it still means this image, else the id. */
  readonly image: string
  readonly sizes?: { readonly writable: number; readonly root: number }
}

export function containerSummary(
  record: ContainerRecord,
  extras: SummaryExtras,
  now: number,
): ContainerSummary {
  const { annotations, networkMode } = record.config
  return {
    Id: record.id,
    Names: [`/${record.name}`],
    Image: extras.image,
    ImageID: record.imageId,
    Command: commandText(record),
    Created: Math.floor(record.createdAt / 1000),
    Ports: portSummaries(record),
    ...(extras.sizes === undefined ? {} : { SizeRw: extras.sizes.writable, SizeRootFs: extras.sizes.root }),
    Labels: { ...record.config.labels },
    State: record.status,
    Status: statusText(record, now),
    HostConfig: {
      NetworkMode: shownMode(networkMode),
      ...(Object.keys(annotations).length > 0 ? { Annotations: { ...annotations } } : {}),
    },
    NetworkSettings: { Networks: endpointSummaries(record) },
    Mounts: record.mountPoints.map(mountPointView),
  }
}

/** What of a summary a record alone decides, as JSON around the image, and around the status. */
interface Pieces {
  readonly beforeImage: string
  readonly afterImage: string
  readonly afterStatus: string
}

/** Records are replaced, never changed: their pieces last as long as they do. */
const known = new WeakMap<ContainerRecord, Pieces>()

function piecesOf(record: ContainerRecord): Pieces {
  let pieces = known.get(record)
  if (pieces === undefined) {
    const {
      Id,
      Names,
      Image: _,
      Status: __,
      State,
      ImageID,
      Command,
      Created,
      Ports,
      Labels,
      ...rest
    } = containerSummary(record, { image: "" }, 0)
    pieces = {
      beforeImage: `${JSON.stringify({ Id, Names }).slice(0, -1)},"Image":`,
      afterImage: `,${JSON.stringify({ ImageID, Command, Created, Ports, Labels, State }).slice(1, -1)},"Status":`,
      afterStatus: `,${JSON.stringify(rest).slice(1)}`,
    }
    known.set(record, pieces)
  }
  return pieces
}

/** containerSummary without sizes, as JSON: lists of many are asked for often. */
export function containerSummaryText(record: ContainerRecord, image: string, now: number): string {
  const { beforeImage, afterImage, afterStatus } = piecesOf(record)
  return `${beforeImage}${JSON.stringify(image)}${afterImage}${JSON.stringify(statusText(record, now))}${afterStatus}`
}

function commandText({ path, args }: ContainerRecord): string {
  const shown = args.map((argument) => (argument.includes(" ") ? `'${argument}'` : argument))
  return [path, ...shown].join(" ")
}

/** "Up 5 minutes (healthy)", "Exited (0) 2 hours ago", as `docker ps` prints it. */
function statusText(record: ContainerRecord, now: number): string {
  const up = humanDuration(now - record.startedAt)
  const since = humanDuration(now - record.finishedAt)
  switch (record.status) {
    case "running":
      return `Up ${up}${healthText(record)}`
    case "paused":
      return `Up ${up} (Paused)`
    case "restarting":
      return `Restarting (${record.exitCode}) ${since} ago`
    case "removing":
      return "Removal In Progress"
    case "dead":
      return "Dead"
    case "created":
      return "Created"
    case "exited":
      return record.finishedAt === 0 ? "" : `Exited (${record.exitCode}) ${since} ago`
  }
}

function healthText({ health }: ContainerRecord): string {
  if (health === undefined) return ""
  return health.status === "starting" ? " (health: starting)" : ` (${health.status})`
}
