// sloop image prune
import { confirmPrune, printPruned, prune, pruneFlags } from "../../prune.ts"
import type { Verb } from "../../verb.ts"

export const verb: Verb = {
  usage: "[OPTIONS]",
  summary: "Remove unused images",
  flags: [
    { name: "all", short: "a", kind: "bool", summary: "Remove all unused images, not just the default ones" },
    ...pruneFlags,
  ],
  interspersed: true,
  least: 0,
  most: 0,
  async run(context, parsed) {
    if (!(await confirmPrune(context, parsed, " all dangling images."))) return 0
    printPruned(
      context,
      "Deleted Images:",
      await prune(context, parsed, "images", { dangling: [parsed.bool("all") ? "false" : "true"] }),
    )
    return 0
  },
}
