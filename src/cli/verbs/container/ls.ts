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

const byPort = (one: Port, other: Port): number => {
  const [a, b] = [one.IP ?? "", other.IP ?? ""]
  if (one.PrivatePort !== other.PrivatePort) return one.PrivatePort - other.PrivatePort
  if (a !== b) return a < b ? -1 : 1
  const host = (one.PublicPort ?? 0) - (other.PublicPort ?? 0)
  return host !== 0 ? host : one.Type < other.Type ? -1 : 1
}

/**
 * "0.0.0.0:8080->80/tcp, 443/tcp", as docker prints it: ports published under their own number, or not at all, become
 * ranges of each address and protocol, in the order in which these end; the others follow one by one.
 */
function showPorts(ports: readonly Port[]): string {
  if (ports.length === 0) return ""
  const done: string[] = []
  const mapped: string[] = []
  const open = new Map<string, { readonly sample: Port; readonly first: number; last: number }>()
  const close = ({ sample, first, last }: { sample: Port; first: number; last: number }): string => {
    const span = first === last ? `${first}` : `${first}-${last}`
    return sample.IP ? `${address(sample)}:${span}->${span}/${sample.Type}` : `${span}/${sample.Type}`
  }
  for (const port of [...ports].sort(byPort)) {
    const { PrivatePort: inside, Type } = port
    if (port.IP && port.PublicPort !== inside) {
      mapped.push(`${address(port)}:${port.PublicPort ?? 0}->${inside}/${Type}`)
      continue
    }
    const key = `${port.IP ?? ""}/${Type}`
    const group = open.get(key)
    if (group !== undefined && inside === group.last + 1) {
      group.last = inside
      continue
    }
    if (group !== undefined) done.push(close(group))
    open.set(key, { sample: port, first: inside, last: inside })
  }
  return [...done, ...[...open.values()].map(close), ...mapped].join(", ")
}

/** The columns that docker's table shows are plain values, for getters are slow to read; the others are seldom shown. */
export function containerRow(container: ListedContainer, noTrunc: boolean): Row {
  return {
    ID: noTrunc ? container.Id : shortId(container.Id),
    Names: container.Names.map((name) => (name.startsWith("/") ? name.slice(1) : name)).join(","),
    Image: !noTrunc && container.Image.startsWith("sha256:") ? shortId(container.Image) : container.Image,
    Command: JSON.stringify(noTrunc ? container.Command : ellipsis(container.Command, 20)),
    // Names of time zones are slow to find: only where they are shown.
    get CreatedAt() {
      return goTime(container.Created)
    },
    RunningFor: ago(container.Created),
    Ports: showPorts(container.Ports),
    State: container.State,
    Status: container.Status,
    get Size() {
      const { SizeRw, SizeRootFs } = container
      const virtual = SizeRootFs ? ` (virtual ${humanSize(SizeRootFs, 3)})` : ""
      return `${humanSize(SizeRw ?? 0, 3)}${virtual}`
    },
    Platform: null,
    get Labels() {
      return labelColumns(container.Labels).Labels
    },
    Label: (name: unknown) => container.Labels?.[String(name)] ?? "",
    get Mounts() {
      const mounts = container.Mounts.map(({ Name, Source }) => Name ?? Source)
      return mounts.map((name) => (noTrunc ? name : ellipsis(name, 15))).join(",")
    },
    get LocalVolumes() {
      return String(container.Mounts.filter(({ Name }) => Name).length)
    },
    get Networks() {
      return Object.keys(container.NetworkSettings?.Networks ?? {}).join(",")
    },
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
      { format, quiet: parsed.bool("quiet"), whole: parsed.bool("no-trunc") },
    )
    return 0
  },
}
