// sloop container prune
import { confirm, filterPair, readFilters } from "../../each.ts"
import { humanSize } from "../../format/units.ts"
import type { Verb } from "../../verb.ts"

export const verb: Verb = {
  usage: "[OPTIONS]",
  summary: "Remove unused containers",
  flags: [
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
        "WARNING! This will remove all stopped containers.\nAre you sure you want to continue?",
        parsed.bool("force"),
      ))
    )
      return 0
    const filters = readFilters(parsed.list("filter"))
    const answer = await context.client.json<{ ContainersDeleted: string[] | null; SpaceReclaimed: number }>(
      "POST",
      "/containers/prune",
      { query: { filters } },
    )
    const removed = answer.ContainersDeleted ?? []
    if (removed.length > 0) {
      context.print("Deleted Containers:")
      for (const line of removed) context.print(line)
      context.print("")
    }
    context.print(`Total reclaimed space: ${humanSize(answer.SpaceReclaimed)}`)
    return 0
  },
}
