// sloop kill
import { forEach } from "../../each.ts"
import type { Verb } from "../../verb.ts"

export const verb: Verb = {
  usage: "[OPTIONS] CONTAINER [CONTAINER...]",
  summary: "Kill one or more running containers",
  flags: [
    {
      name: "signal",
      short: "s",
      kind: "string",
      value: "string",
      summary: "Signal to send to the container",
    },
  ],
  interspersed: true,
  least: 1,
  most: Number.POSITIVE_INFINITY,
  run: (context, parsed) => {
    const query = { signal: parsed.string("signal") }
    return forEach(context, parsed.arguments, (name) =>
      context.client.call("POST", `/containers/${encodeURIComponent(name)}/kill`, { query }),
    )
  },
}
