// sloop network rm
import { ApiFailure } from "../../../client/client.ts"
import { forEach } from "../../each.ts"
import type { Verb } from "../../verb.ts"

export const verb: Verb = {
  usage: "NETWORK [NETWORK...]",
  summary: "Remove one or more networks",
  flags: [{ name: "force", short: "f", kind: "bool", summary: "Do not error if the network does not exist" }],
  interspersed: true,
  least: 1,
  most: Number.POSITIVE_INFINITY,
  async run(context, parsed) {
    const code = await forEach(context, parsed.arguments, async (name) => {
      try {
        await context.client.call("DELETE", `/networks/${encodeURIComponent(name)}`)
        return name
      } catch (error) {
        if (parsed.bool("force") && error instanceof ApiFailure && error.status === 404) return null
        throw error
      }
    })
    // As docker's client ends.
    if (code !== 0) context.warn(`exit status ${code}`)
    return code
  },
}
