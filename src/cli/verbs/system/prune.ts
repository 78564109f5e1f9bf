// sloop system prune
import { readFilters } from "../../filters.ts"
import type { Parsed } from "../../flags.ts"
import { confirmPrune, type Pruned, printLost, printReclaimed, prune, pruneFlags } from "../../prune.ts"
import type { Context, Verb } from "../../verb.ts"

export const verb: Verb = {
  usage: "[OPTIONS]",
  summary: "Remove unused data",
  flags: [
    { name: "all", short: "a", kind: "bool", summary: "Remove all unused images not just dangling ones" },
    ...pruneFlags,
    { name: "volumes", kind: "bool", summary: "Prune anonymous volumes" },
  ],
  interspersed: true,
  least: 0,
  most: 0,
  async run(context, parsed) {
    const images = parsed.bool("all")
      ? "all images without at least one container associated to them"
      : "all dangling images"
    const what = [
      "all stopped containers",
      "all networks not used by at least one container",
      ...(parsed.bool("volumes") ? ["all anonymous volumes not used by at least one container"] : []),
      images,
      parsed.bool("all") ? "all build cache" : "unused build cache",
    ]
    const loss = `:\n${what.map((line) => `  - ${line}\n`).join("")}`
    if (!(await confirmPrune(context, parsed, loss))) return 0
    let reclaimed = 0
    const report = (heading: string, pruned: Pruned) => {
      printLost(context, heading, pruned)
      reclaimed += pruned.SpaceReclaimed ?? 0
    }
    report("Deleted Containers:", await prune(context, parsed, "containers"))
    report("Deleted Networks:", await prune(context, parsed, "networks"))
    if (parsed.bool("volumes")) report("Deleted Volumes:", await prune(context, parsed, "volumes"))
    const dangling = [parsed.bool("all") ? "false" : "true"]
    report("Deleted Images:", await prune(context, parsed, "images", { dangling }))
    report("Deleted build cache objects:", await pruneCache(context, parsed))
    printReclaimed(context, reclaimed)
    return 0
  },
}

/** Labels mean nothing to the cache: with a filter of them nothing of it is removed. */
async function pruneCache(context: Context, parsed: Parsed): Promise<Pruned> {
  const { label, "label!": not, ...filters } = readFilters(parsed.list("filter")) ?? {}
  if (label ?? not) return {}
  return context.client.json<Pruned>("POST", "/build/prune", { query: { all: parsed.bool("all"), filters } })
}
