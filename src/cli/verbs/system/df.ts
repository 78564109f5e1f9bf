// sloop system df
import type { BuildCacheView } from "../../../wire/wire.ts"
import { cacheListing, cacheRow } from "../../build/cache-list.ts"
import { type Listing, printList, type Row, templateFlag } from "../../format/list.ts"
import { humanSize } from "../../format/units.ts"
import type { Context, Verb } from "../../verb.ts"
import { containerHeadings, containerRow, type ListedContainer } from "../container/ls.ts"
import { imageHeadings, imageRows, type ListedImage } from "../image/ls.ts"

interface Usage {
  LayersSize: number
  Images: ListedImage[] | null
  Containers: ListedContainer[] | null
  Volumes: { Name: string; UsageData?: { Size: number; RefCount: number } }[] | null
  BuildCache: BuildCacheView[] | null
  /** Ours alone: all that lies below the data root. */
  DataRoot?: { Path: string; Total: number; Things: { Name: string; Bytes: number }[] }
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

const sections = (usage: Usage): readonly { title: string; listing: Listing; rows: Row[] }[] => [
  {
    title: "Images space usage:",
    listing: {
      columns: ["Repository", "Tag", "ID", "CreatedSince", "Size", "SharedSize", "UniqueSize", "Containers"],
      headings: imageHeadings,
    },
    rows: (usage.Images ?? []).flatMap((image) => imageRows(image, false, false).slice(0, 1)),
  },
  {
    title: "Containers space usage:",
    listing: {
      columns: ["ID", "Image", "Command", "LocalVolumes", "Size", "RunningFor", "Status", "Names"],
      headings: containerHeadings,
    },
    rows: (usage.Containers ?? []).map((container) => ({
      ...containerRow(container, false),
      Size: humanSize(container.SizeRw ?? 0, 3),
    })),
  },
  {
    title: "Local Volumes space usage:",
    listing: {
      columns: ["Name", "Links", "Size"],
      headings: { Name: "VOLUME NAME", Links: "LINKS", Size: "SIZE" },
    },
    rows: (usage.Volumes ?? []).map(({ Name, UsageData }) => ({
      Name,
      Links: String(UsageData?.RefCount ?? 0),
      Size: UsageData && UsageData.Size >= 0 ? humanSize(UsageData.Size) : "N/A",
    })),
  },
]

function printVerbose(context: Context, usage: Usage): void {
  for (const { title, listing, rows: found } of sections(usage)) {
    context.print(`${title}\n`)
    printList(context, listing, found)
    context.print("")
  }
  context.print(`Build cache usage: ${humanSize(sum((usage.BuildCache ?? []).map(({ Size }) => Size)))}\n`)
  printList(
    context,
    cacheListing,
    (usage.BuildCache ?? []).map((view) => cacheRow(view, false)),
  )
}

/** Every byte below the data root by what it belongs to. */
function printDataRoot(context: Context, usage: Usage): void {
  if (usage.DataRoot === undefined) return
  const { Path, Total, Things } = usage.DataRoot
  context.print(`
Data root usage: ${humanSize(Total)} in ${Path}
`)
  const listing = {
    columns: ["Name", "Size", "Bytes"],
    headings: { Name: "NAME", Size: "SIZE", Bytes: "BYTES" },
  }
  printList(
    context,
    listing,
    Things.map(({ Name, Bytes }) => ({ Name, Size: humanSize(Bytes), Bytes: String(Bytes) })),
  )
}

export const verb: Verb = {
  usage: "[OPTIONS]",
  summary: "Show disk usage",
  flags: [
    templateFlag,
    { name: "data-root", kind: "bool", summary: "Show what every byte below the data root belongs to" },
    { name: "verbose", short: "v", kind: "bool", summary: "Show detailed information on space usage" },
  ],
  interspersed: true,
  least: 0,
  most: 0,
  async run(context, parsed) {
    const usage = await context.client.json<Usage>("GET", "/system/df")
    if (parsed.bool("data-root")) printDataRoot(context, usage)
    else if (parsed.bool("verbose")) printVerbose(context, usage)
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
