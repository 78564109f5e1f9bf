// sloop rename
import type { Verb } from "../../verb.ts"

export const verb: Verb = {
  usage: "CONTAINER NEW_NAME",
  summary: "Rename a container",
  flags: [],
  interspersed: true,
  least: 2,
  most: 2,
  async run(context, parsed) {
    const [container = "", name] = parsed.arguments
    await context.client.call("POST", `/containers/${encodeURIComponent(container)}/rename`, {
      query: { name },
    })
    return 0
  },
}
