// sloop volume prune
import { confirmPrune, printPruned, prune, pruneFlags } from "../../prune.ts"
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
    ...pruneFlags,
  ],
  interspersed: true,
  least: 0,
  most: 0,
  async run(context, parsed) {
    if (
      !(await confirmPrune(context, parsed, " anonymous local volumes not used by at least one container."))
    )
      return 0
    printPruned(
      context,
      "Deleted Volumes:",
      await prune(context, parsed, "volumes", parsed.bool("all") ? { all: ["true"] } : {}),
    )
    return 0
  },
}
