// sloop wait
import { forEach } from "../../each.ts"
import type { Verb } from "../../verb.ts"

export const verb: Verb = {
  usage: "CONTAINER [CONTAINER...]",
  summary: "Block until one or more containers stop, then print their exit codes",
  flags: [],
  interspersed: true,
  least: 1,
  most: Number.POSITIVE_INFINITY,
  run: (context, parsed) => {
    return forEach(context, parsed.arguments, async (name) => {
      const { StatusCode } = await context.client.json<{ StatusCode: number }>(
        "POST",
        `/containers/${encodeURIComponent(name)}/wait`,
      )
      return String(StatusCode)
    })
  },
}
