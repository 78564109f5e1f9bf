// sloop rm
import { errorKind } from "../../../base/errors.ts"
import { forEach } from "../../each.ts"
import { told } from "../../told.ts"
import type { Verb } from "../../verb.ts"

export const verb: Verb = {
  usage: "[OPTIONS] CONTAINER [CONTAINER...]",
  summary: "Remove one or more containers",
  flags: [
    {
      name: "force",
      short: "f",
      kind: "bool",
      summary: "Force the removal of a running container (uses SIGKILL)",
    },
    {
      name: "volumes",
      short: "v",
      kind: "bool",
      summary: "Remove anonymous volumes associated with the container",
    },
    { name: "link", short: "l", kind: "bool", summary: "Remove the specified link" },
  ],
  interspersed: true,
  least: 1,
  most: Number.POSITIVE_INFINITY,
  run: (context, parsed) => {
    const query = { force: parsed.bool("force"), v: parsed.bool("volumes"), link: parsed.bool("link") }
    const act = async (name: string) => {
      try {
        await context.client.call("DELETE", `/containers/${encodeURIComponent(name)}`, { query })
      } catch (error) {
        if (!(query.force && errorKind(error) === "not-found")) throw error
        context.warn(told(error))
        return null
      }
    }
    return forEach(context, parsed.arguments, act, { together: true })
  },
}
