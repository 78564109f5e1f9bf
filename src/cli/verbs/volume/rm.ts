// sloop volume rm
import { forEach } from "../../each.ts"
import type { Verb } from "../../verb.ts"

export const verb: Verb = {
  usage: "[OPTIONS] VOLUME [VOLUME...]",
  summary: "Remove one or more volumes",
  flags: [{ name: "force", short: "f", kind: "bool", summary: "Force the removal of one or more volumes" }],
  interspersed: true,
  least: 1,
  most: Number.POSITIVE_INFINITY,
  run: (context, parsed) => {
    const query = { force: parsed.bool("force") }
    return forEach(context, parsed.arguments, (name) =>
      context.client.call("DELETE", `/volumes/${encodeURIComponent(name)}`, { query }),
    )
  },
}
