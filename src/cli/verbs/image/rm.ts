// sloop rmi
import { errorKind } from "../../../base/errors.ts"
import { told } from "../../told.ts"
import type { Verb } from "../../verb.ts"

export const verb: Verb = {
  usage: "[OPTIONS] IMAGE [IMAGE...]",
  summary: "Remove one or more images",
  flags: [
    { name: "force", short: "f", kind: "bool", summary: "Force removal of the image" },
    { name: "no-prune", kind: "bool", summary: "Do not delete untagged parents" },
  ],
  interspersed: true,
  least: 1,
  most: Number.POSITIVE_INFINITY,
  async run(context, parsed) {
    const query = { force: parsed.bool("force"), noprune: parsed.bool("no-prune") }
    let code = 0
    for (const name of parsed.arguments) {
      try {
        const removed = await context.client.json<{ Untagged?: string; Deleted?: string }[]>(
          "DELETE",
          `/images/${name}`,
          { query },
        )
        for (const { Untagged, Deleted } of removed)
          context.print(Untagged ? `Untagged: ${Untagged}` : `Deleted: ${Deleted}`)
      } catch (error) {
        context.warn(told(error))
        if (!(query.force && errorKind(error) === "not-found")) code = 1
      }
    }
    return code
  },
}
