// sloop rename
import { told } from "../../told.ts"
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
    try {
      const path = `/containers/${encodeURIComponent(container)}/rename`
      await context.client.call("POST", path, { query: { name } })
      return 0
    } catch (error) {
      context.warn(`${told(error)}\nError: failed to rename container named ${container}`)
      return 1
    }
  },
}
