// sloop image diff
import type { Verb } from "../../verb.ts"

const letters = ["C", "A", "D"] as const

export const verb: Verb = {
  usage: "IMAGE OTHER_IMAGE",
  summary: "Inspect how the files of a second image differ from those of a first",
  flags: [],
  interspersed: true,
  least: 2,
  most: 2,
  async run(context, parsed) {
    const [from = "", to = ""] = parsed.arguments
    const path = `/images/${encodeURIComponent(from)}/changes`
    const changes = await context.client.json<{ Kind: 0 | 1 | 2; Path: string }[]>("GET", path, {
      query: { to },
    })
    for (const { Kind, Path } of changes) context.print(`${letters[Kind]} ${Path}`)
    return 0
  },
}
