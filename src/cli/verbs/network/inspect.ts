// sloop network inspect
import { formatFlag, printInspected } from "../../format/inspect.ts"
import type { Verb } from "../../verb.ts"

export const verb: Verb = {
  usage: "[OPTIONS] NETWORK [NETWORK...]",
  summary: "Display detailed information on one or more networks",
  flags: [
    formatFlag,
    { name: "verbose", short: "v", kind: "bool", summary: "Verbose output for diagnostics" },
  ],
  interspersed: true,
  least: 1,
  most: Number.POSITIVE_INFINITY,
  run: (context, parsed) =>
    printInspected(context, parsed.arguments, parsed.string("format"), (name) =>
      context.client.json("GET", `/networks/${encodeURIComponent(name)}`),
    ),
}
