// sloop system prune
import { confirmPrune, printReclaimed, prune, prunedLines, pruneFlags } from "../../prune.ts"
import type { Verb } from "../../verb.ts"

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
      ...(parsed.bool("volumes") ? ["all anonymous volumes not used by at least one container"] : []),
      images,
    ]
    const loss = `:\n${what.map((line) => `  - ${line}\n`).join("")}`
    if (!(await confirmPrune(context, parsed, loss))) return 0
    const answers = [
      await prune(context, parsed, "containers"),
      ...(parsed.bool("volumes") ? [await prune(context, parsed, "volumes")] : []),
      await prune(context, parsed, "images", { dangling: [parsed.bool("all") ? "false" : "true"] }),
    ]
    for (const line of answers.flatMap(prunedLines)) context.print(line)
    printReclaimed(
      context,
      answers.reduce((total, { SpaceReclaimed }) => total + SpaceReclaimed, 0),
    )
    return 0
  },
}
