// sloop container prune
import { confirmPrune, printPruned, prune, pruneFlags } from "../../prune.ts"
import type { Verb } from "../../verb.ts"

export const verb: Verb = {
  usage: "[OPTIONS]",
  summary: "Remove unused containers",
  flags: pruneFlags,
  interspersed: true,
  least: 0,
  most: 0,
  async run(context, parsed) {
    if (!(await confirmPrune(context, parsed, " all stopped containers."))) return 0
    printPruned(context, "Deleted Containers:", await prune(context, parsed, "containers"))
    return 0
  },
}
