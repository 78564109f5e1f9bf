// sloop diff
import type { Verb } from "../../verb.ts"

const letters = ["C", "A", "D"] as const

export const verb: Verb = {
  usage: "CONTAINER",
  summary: "Inspect changes to files or directories on a container's filesystem",
  flags: [],
  interspersed: true,
  least: 1,
  most: 1,
  async run(context, parsed) {
    const path = `/containers/${encodeURIComponent(parsed.arguments[0] ?? "")}/changes`
    const changes = await context.client.json<{ Kind: 0 | 1 | 2; Path: string }[] | null>("GET", path)
    for (const { Kind, Path } of changes ?? []) context.print(`${letters[Kind]} ${Path}`)
    return 0
  },
}
