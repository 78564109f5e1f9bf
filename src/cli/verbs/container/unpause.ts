// sloop unpause
import { forEach } from "../../each.ts"
import type { Verb } from "../../verb.ts"

export const verb: Verb = {
  usage: "CONTAINER [CONTAINER...]",
  summary: "Unpause all processes within one or more containers",
  flags: [],
  interspersed: true,
  least: 1,
  most: Number.POSITIVE_INFINITY,
  run: (context, parsed) =>
    forEach(context, parsed.arguments, (name) =>
      context.client.call("POST", `/containers/${encodeURIComponent(name)}/unpause`),
    ),
}
