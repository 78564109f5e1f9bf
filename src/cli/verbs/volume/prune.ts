// sloop volume prune
import { confirm, filterPair, readFilters } from "../../each.ts"
import { humanSize } from "../../format/units.ts"
import type { Verb } from "../../verb.ts"

export const verb: Verb = {
  usage: "[OPTIONS]",
  summary: "Remove unused volumes",
  flags: [
    {
      name: "all",
      short: "a",
      kind: "bool",
      summary: "Remove all unused volumes, not just the default ones",
    },
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
        "WARNING! This will remove anonymous local volumes not used by at least one container.\nAre you sure you want to continue?",
        parsed.bool("force"),
      ))
    )
      return 0
    const filters = {
      ...readFilters(parsed.list("filter")),
      ...(parsed.bool("all") ? { all: ["true"] } : {}),
    }
    const answer = await context.client.json<{ VolumesDeleted: string[] | null; SpaceReclaimed: number }>(
      "POST",
      "/volumes/prune",
      { query: { filters } },
    )
    const removed = answer.VolumesDeleted ?? []
    if (removed.length > 0) {
      context.print("Deleted Volumes:")
      for (const line of removed) context.print(line)
      context.print("")
    }
    context.print(`Total reclaimed space: ${humanSize(answer.SpaceReclaimed)}`)
    return 0
  },
}
