// sloop image prune
import { confirm, filterPair, readFilters } from "../../each.ts"
import { humanSize } from "../../format/units.ts"
import type { Verb } from "../../verb.ts"

export const verb: Verb = {
  usage: "[OPTIONS]",
  summary: "Remove unused images",
  flags: [
    { name: "all", short: "a", kind: "bool", summary: "Remove all unused images, not just the default ones" },
    { name: "force", short: "f", kind: "bool", summary: "Do not prompt for confirmation" },
    {
      name: "filter",
      check: filterPair,
      kind: "list",
      value: "filter",
      summary: 'Provide filter values (e.g. "label=<key>=<value>")',
    },
  ],
  interspersed: true,
  least: 0,
  most: 0,
  async run(context, parsed) {
    if (
      !(await confirm(
        context,
        "WARNING! This will remove all dangling images.\nAre you sure you want to continue?",
        parsed.bool("force"),
      ))
    )
      return 0
    const filters = {
      ...readFilters(parsed.list("filter")),
      dangling: [parsed.bool("all") ? "false" : "true"],
    }
    const answer = await context.client.json<{
      ImagesDeleted: { Untagged?: string; Deleted?: string }[] | null
      SpaceReclaimed: number
    }>("POST", "/images/prune", { query: { filters } })
    const removed = answer.ImagesDeleted ?? []
    if (removed.length > 0) {
      context.print("Deleted Images:")
      for (const { Untagged, Deleted } of removed)
        context.print(Untagged ? `untagged: ${Untagged}` : `deleted: ${Deleted}`)
      context.print("")
    }
    context.print(`Total reclaimed space: ${humanSize(answer.SpaceReclaimed)}`)
    return 0
  },
}
