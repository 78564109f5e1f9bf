// sloop builder du
import type { BuildCacheView } from "../../../wire/wire.ts"
import { cacheListing, cacheRow } from "../../build/cache-list.ts"
import { filterFlag, readFilters } from "../../filters.ts"
import { printList, templateFlag } from "../../format/list.ts"
import { humanSize } from "../../format/units.ts"
import type { Context, Verb } from "../../verb.ts"

const { short: _short, ...filter } = filterFlag('Provide filter values (e.g. "type=exec.cachemount")')

export const verb: Verb = {
  usage: "[OPTIONS]",
  summary: "Show what the build cache holds",
  flags: [
    filter,
    templateFlag,
    { name: "builder", kind: "string", summary: "Ignored: there is one builder", hidden: true },
    { name: "no-trunc", kind: "bool", summary: "Do not truncate output" },
    { name: "verbose", kind: "bool", summary: "Provide a more verbose output" },
  ],
  interspersed: true,
  least: 0,
  most: 0,
  async run(context, parsed) {
    const found = await context.client.json<{ BuildCache: BuildCacheView[] | null }>("GET", "/system/df", {
      query: { type: "build-cache" },
    })
    const wanted = readFilters(parsed.list("filter")) ?? {}
    const cache = (found.BuildCache ?? [])
      .filter((view) => Object.entries(wanted).every(([name, values]) => matches(view, name, values)))
      .sort((a, b) => b.Size - a.Size)
    if (parsed.bool("verbose")) for (const view of cache) printWhole(context, view)
    else
      printList(
        context,
        { ...cacheListing, columns: ["ID", "CacheType", "Size", "LastUsedSince", "Shared", "Description"] },
        cache.map((view) => cacheRow(view, parsed.bool("no-trunc"))),
        { format: parsed.string("format"), whole: parsed.bool("no-trunc") },
      )
    if (parsed.given("format")) return 0
    const sum = (views: readonly BuildCacheView[]) => views.reduce((total, { Size }) => total + Size, 0)
    context.print(`Shared:\t\t${humanSize(sum(cache.filter(({ Shared }) => Shared)), 3)}`)
    context.print(
      `Reclaimable:\t${humanSize(sum(cache.filter(({ InUse, Shared }) => !InUse && !Shared)), 3)}`,
    )
    context.print(`Total:\t\t${humanSize(sum(cache), 3)}`)
    return 0
  },
}

function matches(view: BuildCacheView, name: string, values: readonly string[]): boolean {
  const truth = values.some((value) => value === "" || value === "true" || value === "1")
  switch (name) {
    case "id":
      return values.some((value) => view.ID.startsWith(value))
    case "type":
      return values.includes(view.Type)
    case "description":
      return values.some((value) => view.Description.includes(value.replace(/^~/, "")))
    case "inuse":
      return view.InUse === truth
    case "shared":
      return view.Shared === truth
    case "private":
      return view.Shared !== truth
    default:
      return true
  }
}

function printWhole(context: Context, view: BuildCacheView): void {
  const lines: readonly (readonly [string, string])[] = [
    ["ID", view.ID],
    ...(view.Parents ?? []).map((parent) => ["Parent", parent] as const),
    ["Created at", view.CreatedAt],
    ["Mutable", String(view.Type === "exec.cachemount")],
    ["Reclaimable", String(!view.InUse)],
    ["Shared", String(view.Shared)],
    ["Size", humanSize(view.Size, 3)],
    ["Description", view.Description],
    ["Usage count", String(view.UsageCount)],
    ...(view.LastUsedAt === null ? [] : [["Last used", view.LastUsedAt] as const]),
    ["Type", view.Type],
  ]
  context.print(`${lines.map(([name, value]) => `${`${name}:`.padEnd(15)}${value}`).join("\n")}\n`)
}
