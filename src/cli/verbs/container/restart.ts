// sloop restart
import { errorKind } from "../../../base/errors.ts"
import { forEach } from "../../each.ts"
import type { Verb } from "../../verb.ts"

export const verb: Verb = {
  usage: "[OPTIONS] CONTAINER [CONTAINER...]",
  summary: "Restart one or more containers",
  flags: [
    {
      name: "signal",
      short: "s",
      kind: "string",
      value: "string",
      summary: "Signal to send to the container",
    },
    {
      name: "timeout",
      short: "t",
      kind: "int",
      value: "int",
      summary: "Seconds to wait before killing the container",
    },
    {
      name: "time",
      kind: "int",
      value: "int",
      summary: "Seconds to wait before killing the container",
      hidden: true,
    },
  ],
  interspersed: true,
  least: 1,
  most: Number.POSITIVE_INFINITY,
  run: (context, parsed) => {
    const query = { signal: parsed.string("signal"), t: parsed.int("timeout") ?? parsed.int("time") }
    const act = async (name: string) => {
      try {
        await context.client.call("POST", `/containers/${encodeURIComponent(name)}/restart`, { query })
      } catch (error) {
        if (errorKind(error) !== "not-modified") throw error
      }
    }
    return forEach(context, parsed.arguments, act, { together: true })
  },
}
