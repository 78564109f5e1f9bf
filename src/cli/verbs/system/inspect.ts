// sloop inspect: whatever has that name, containers first.
import { errorKind, failure } from "../../../base/errors.ts"
import { formatFlag, printInspected } from "../../format/inspect.ts"
import type { Verb } from "../../verb.ts"

const places: Readonly<Record<string, (name: string) => string>> = {
  container: (name) => `/containers/${encodeURIComponent(name)}/json`,
  image: (name) => `/images/${name}/json`,
  network: (name) => `/networks/${encodeURIComponent(name)}`,
  volume: (name) => `/volumes/${encodeURIComponent(name)}`,
}

export const verb: Verb = {
  usage: "[OPTIONS] NAME|ID [NAME|ID...]",
  summary: "Return low-level information on objects",
  flags: [
    formatFlag,
    { name: "size", short: "s", kind: "bool", summary: "Display total file sizes if the type is container" },
    { name: "type", kind: "string", value: "string", summary: "Only inspect objects of the given type" },
  ],
  interspersed: true,
  least: 1,
  most: Number.POSITIVE_INFINITY,
  run(context, parsed) {
    const type = parsed.string("type")
    if (type !== undefined && !Object.hasOwn(places, type))
      throw failure(
        "invalid",
        `unknown type: "${type}": must be one of ${Object.keys(places)
          .map((name) => `"${name}"`)
          .join(", ")}`,
      )
    const chosen = Object.entries(places).filter(([name]) => type === undefined || type === name)
    return printInspected(context, parsed.arguments, parsed.string("format"), async (name) => {
      let last: unknown
      for (const [noun, path] of chosen) {
        try {
          return await context.client.json(
            "GET",
            path(name),
            noun === "container" ? { query: { size: parsed.bool("size") } } : {},
          )
        } catch (error) {
          if (errorKind(error) !== "not-found") throw error
          last = error
        }
      }
      if (last && type !== undefined) throw last
      throw failure("not-found", `Error: No such object: ${name}`)
    })
  },
}
