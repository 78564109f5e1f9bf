// sloop system df
import { printList, type Row } from "../../format/list.ts"
import { humanSize } from "../../format/units.ts"
import type { Verb } from "../../verb.ts"

interface Usage {
  LayersSize: number
  Images: { Id: string; Size: number; SharedSize: number; Containers: number }[] | null
  Containers: { State: string; SizeRw?: number }[] | null
  Volumes: { UsageData?: { Size: number; RefCount: number } }[] | null
  BuildCache: { Size: number; InUse: boolean; Shared: boolean }[] | null
}

const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0)

function row(Type: string, total: number, active: number, size: number, reclaimable: number): Row {
  const share = size > 0 ? ` (${Math.floor((reclaimable / size) * 100)}%)` : ""
  return {
    Type,
    TotalCount: String(total),
    Active: String(active),
    Size: humanSize(size),
    Reclaimable: `${humanSize(reclaimable)}${share}`,
  }
}

function rows({ LayersSize, Images, Containers, Volumes, BuildCache }: Usage): Row[] {
  const images = Images ?? []
  const used = images.filter(({ Containers: users }) => users > 0)
  const keptByUse = sum(used.map(({ Size, SharedSize }) => Size - Math.max(0, SharedSize)))
  const containers = Containers ?? []
  const live = containers.filter(({ State }) => ["running", "paused", "restarting"].includes(State))
  const volumes = (Volumes ?? []).map(({ UsageData }) => UsageData ?? { Size: 0, RefCount: 0 })
  const idle = volumes.filter(({ RefCount }) => RefCount === 0)
  const cache = BuildCache ?? []
  const writable = (list: typeof containers) => sum(list.map(({ SizeRw }) => SizeRw ?? 0))
  return [
    row("Images", images.length, used.length, LayersSize, Math.max(0, LayersSize - keptByUse)),
    row(
      "Containers",
      containers.length,
      live.length,
      writable(containers),
      writable(containers) - writable(live),
    ),
    row(
      "Local Volumes",
      volumes.length,
      volumes.length - idle.length,
      sum(volumes.map(({ Size }) => Math.max(0, Size))),
      sum(idle.map(({ Size }) => Math.max(0, Size))),
    ),
    row(
      "Build Cache",
      cache.length,
      cache.filter(({ InUse }) => InUse).length,
      sum(cache.map(({ Size }) => Size)),
      sum(cache.filter(({ InUse, Shared }) => !InUse && !Shared).map(({ Size }) => Size)),
    ),
  ]
}

const headings = {
  Type: "TYPE",
  TotalCount: "TOTAL",
  Active: "ACTIVE",
  Size: "SIZE",
  Reclaimable: "RECLAIMABLE",
}

export const verb: Verb = {
  usage: "[OPTIONS]",
  summary: "Show disk usage",
  flags: [
    { name: "format", kind: "string", value: "string", summary: "Format output using a custom template" },
    { name: "verbose", short: "v", kind: "bool", summary: "Show everything that is counted, as JSON" },
  ],
  interspersed: true,
  least: 0,
  most: 0,
  async run(context, parsed) {
    const usage = await context.client.json<Usage>("GET", "/system/df")
    if (parsed.bool("verbose")) context.print(JSON.stringify(usage, null, 2))
    else
      printList(
        context,
        { columns: ["Type", "TotalCount", "Active", "Size", "Reclaimable"], headings },
        rows(usage),
        { format: parsed.string("format") },
      )
    return 0
  },
}
