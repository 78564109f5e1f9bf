// sloop volume create
import { readPairs } from "../../container/values.ts"
import type { Verb } from "../../verb.ts"

export const verb: Verb = {
  usage: "[OPTIONS] [VOLUME]",
  summary: "Create a volume",
  flags: [
    {
      name: "driver",
      short: "d",
      kind: "string",
      value: "string",
      default: "local",
      summary: "Specify volume driver name",
    },
    { name: "label", kind: "list", value: "list", summary: "Set metadata for a volume" },
    { name: "name", kind: "string", value: "string", summary: "Specify volume name", hidden: true },
    { name: "opt", short: "o", kind: "list", value: "map", summary: "Set driver specific options" },
  ],
  interspersed: true,
  least: 0,
  most: 1,
  async run(context, parsed) {
    const body = {
      Name: parsed.arguments[0] ?? parsed.string("name"),
      Driver: parsed.string("driver"),
      DriverOpts: readPairs(parsed.list("opt")),
      Labels: readPairs(parsed.list("label")),
    }
    const { Name } = await context.client.json<{ Name: string }>("POST", "/volumes/create", { body })
    context.print(Name)
    return 0
  },
}
