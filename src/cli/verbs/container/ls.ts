// sloop ps
import { filterFlag, readFilters } from "../../filters.ts"
import { labelColumns, printList, type Row, templateFlag } from "../../format/list.ts"
import { ago, ellipsis, goTime, humanSize, shortId } from "../../format/units.ts"
import type { Verb } from "../../verb.ts"

interface Port {
  IP?: string
  PrivatePort: number
  PublicPort?: number
  Type: string
}

/** A container as the API lists it. */
export interface ListedContainer {
  Id: string
  Names: string[]
  Image: string
  ImageID: string
  Command: string
  Created: number
  State: string
  Status: string
  Ports: Port[]
  Labels: Record<string, string>
  Mounts: { Name?: string; Source: string }[]
  NetworkSettings?: { Networks: Record<string, unknown> }
  SizeRw?: number
  SizeRootFs?: number
}

const address = (port: Port) => (port.IP?.includes(":") ? `[${port.IP}]` : port.IP)

/** "0.0.0.0:8080->80/tcp, 443/tcp"; runs of ports on the same address become ranges. */
function showPorts(ports: readonly Port[]): string {
  const sorted = [...ports].sort(
    (a, b) => a.PrivatePort - b.PrivatePort || (a.PublicPort ?? 0) - (b.PublicPort ?? 0),
  )
  const shown: { first: Port; last: Port }[] = []
  for (const port of sorted) {
    const run = shown.find(
      ({ last }) =>
        last.Type === port.Type &&
        last.IP === port.IP &&
        last.PrivatePort + 1 === port.PrivatePort &&
        (last.PublicPort === undefined
          ? port.PublicPort === undefined
          : last.PublicPort + 1 === port.PublicPort),
    )
    if (run) run.last = port
    else shown.push({ first: port, last: port })
  }
  const span = (first?: number, last?: number) => (first === last ? `${first}` : `${first}-${last}`)
  return shown
    .map(({ first, last }) => {
      const inside = `${span(first.PrivatePort, last.PrivatePort)}/${first.Type}`
      return first.PublicPort
        ? `${address(first)}:${span(first.PublicPort, last.PublicPort)}->${inside}`
        : inside
    })
    .join(", ")
}

export function containerRow(container: ListedContainer, noTrunc: boolean): Row {
  const command = JSON.stringify(noTrunc ? container.Command : ellipsis(container.Command, 20))
  const mounts = container.Mounts.map(({ Name, Source }) => Name ?? Source)
  const size = `${humanSize(container.SizeRw ?? 0, 3)}${container.SizeRootFs ? ` (virtual ${humanSize(container.SizeRootFs, 3)})` : ""}`
  return {
    ID: noTrunc ? container.Id : shortId(container.Id),
    Names: container.Names.map((name) => name.replace(/^\//, "")).join(","),
    Image: noTrunc
      ? container.Image
      : /^sha256:/.test(container.Image)
        ? shortId(container.Image)
        : container.Image,
    Command: command,
    CreatedAt: goTime(container.Created),
    RunningFor: ago(container.Created),
    Ports: showPorts(container.Ports),
    State: container.State,
    Status: container.Status,
    Size: size,
    Platform: null,
    ...labelColumns(container.Labels),
    Mounts: mounts.map((name) => (noTrunc ? name : ellipsis(name, 15))).join(","),
    LocalVolumes: String(container.Mounts.filter(({ Name }) => Name).length),
    Networks: Object.keys(container.NetworkSettings?.Networks ?? {}).join(","),
  }
}

export const containerHeadings = {
  ID: "CONTAINER ID",
  Names: "NAMES",
  Image: "IMAGE",
  Command: "COMMAND",
  CreatedAt: "CREATED AT",
  RunningFor: "CREATED",
  Ports: "PORTS",
  State: "STATE",
  Status: "STATUS",
  Size: "SIZE",
  Labels: "LABELS",
  Mounts: "MOUNTS",
  LocalVolumes: "LOCAL VOLUMES",
  Networks: "NETWORKS",
  Platform: "PLATFORM",
  Label: (name: unknown) => String(name),
}

export const verb: Verb = {
  usage: "[OPTIONS]",
  summary: "List containers",
  flags: [
    { name: "all", short: "a", kind: "bool", summary: "Show all containers (default shows just running)" },
    filterFlag(),
    templateFlag,
    {
      name: "last",
      short: "n",
      kind: "int",
      value: "int",
      default: "-1",
      summary: "Show n last created containers (includes all states)",
    },
    {
      name: "latest",
      short: "l",
      kind: "bool",
      summary: "Show the latest created container (includes all states)",
    },
    { name: "no-trunc", kind: "bool", summary: "Don't truncate output" },
    { name: "quiet", short: "q", kind: "bool", summary: "Only display container IDs" },
    { name: "size", short: "s", kind: "bool", summary: "Display total file sizes" },
  ],
  interspersed: true,
  least: 0,
  most: 0,
  async run(context, parsed) {
    const last = parsed.bool("latest") ? 1 : (parsed.int("last") ?? -1)
    const format = parsed.string("format")
    const size = parsed.bool("size") || /\.Size\b|json\s+\.\s*[|}]/.test(format ?? "")
    const query = {
      all: parsed.bool("all") || last > 0,
      limit: last > 0 ? last : undefined,
      size,
      filters: readFilters(parsed.list("filter")),
    }
    const found = await context.client.json<ListedContainer[]>("GET", "/containers/json", { query })
    const columns = [
      "ID",
      "Image",
      "Command",
      "RunningFor",
      "Status",
      "Ports",
      "Names",
      ...(parsed.bool("size") ? ["Size"] : []),
    ]
    printList(
      context,
      { columns, headings: containerHeadings, quiet: "ID" },
      found.map((container) => containerRow(container, parsed.bool("no-trunc"))),
      { format, quiet: parsed.bool("quiet") },
    )
    return 0
  },
}
