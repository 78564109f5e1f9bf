// sloop top
import { alignTabs } from "../../format/list.ts"
import type { Verb } from "../../verb.ts"

export const verb: Verb = {
  usage: "CONTAINER [ps OPTIONS]",
  summary: "Display the running processes of a container",
  flags: [],
  interspersed: false,
  least: 1,
  most: Number.POSITIVE_INFINITY,
  async run(context, parsed) {
    const [container = "", ...psArguments] = parsed.arguments
    const query = { ps_args: psArguments.length > 0 ? psArguments.join(" ") : undefined }
    const { Titles, Processes } = await context.client.json<{
      Titles: string[]
      Processes: string[][] | null
    }>("GET", `/containers/${encodeURIComponent(container)}/top`, { query })
    for (const line of alignTabs(
      [Titles, ...(Processes ?? [])].map((row) => row.join("\t")),
      20,
    ))
      context.print(line)
    return 0
  },
}
