// sloop container inspect
import { formatFlag, printInspected } from "../../format/inspect.ts"
import type { Verb } from "../../verb.ts"

export const verb: Verb = {
  usage: "[OPTIONS] CONTAINER [CONTAINER...]",
  summary: "Display detailed information on one or more containers",
  flags: [formatFlag, { name: "size", short: "s", kind: "bool", summary: "Display total file sizes" }],
  interspersed: true,
  least: 1,
  most: Number.POSITIVE_INFINITY,
  run: (context, parsed) =>
    printInspected(context, parsed.arguments, parsed.string("format"), (name) =>
      context.client.json("GET", `/containers/${encodeURIComponent(name)}/json`, {
        query: { size: parsed.bool("size") },
      }),
    ),
}
