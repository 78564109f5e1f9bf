// sloop image inspect
import { formatFlag, printInspected } from "../../format/inspect.ts"
import type { Verb } from "../../verb.ts"

export const verb: Verb = {
  usage: "[OPTIONS] IMAGE [IMAGE...]",
  summary: "Display detailed information on one or more images",
  flags: [formatFlag],
  interspersed: true,
  least: 1,
  most: Number.POSITIVE_INFINITY,
  run: (context, parsed) =>
    printInspected(context, parsed.arguments, parsed.string("format"), (name) =>
      context.client.json("GET", `/images/${name}/json`),
    ),
}
