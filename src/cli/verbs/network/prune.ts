// sloop network prune
import { confirmPrune, printLost, prune, pruneFlags } from "../../prune.ts"
import type { Verb } from "../../verb.ts"

export const verb: Verb = {
  usage: "[OPTIONS]",
  summary: "Remove all unused networks",
  flags: pruneFlags.map((flag) =>
    flag.name === "filter" ? { ...flag, summary: 'Provide filter values (e.g. "until=<timestamp>")' } : flag,
  ),
  interspersed: true,
  least: 0,
  most: 0,
  async run(context, parsed) {
    if (!(await confirmPrune(context, parsed, " all custom networks not used by at least one container.")))
      return 0
    printLost(context, "Deleted Networks:", await prune(context, parsed, "networks"))
    return 0
  },
}
