// sloop search

import { registryHeaders } from "../../credentials.ts"
import { filterFlag, readFilters } from "../../filters.ts"
import { printList, templateFlag } from "../../format/list.ts"
import { ellipsis } from "../../format/units.ts"
import type { Verb } from "../../verb.ts"

interface Found {
  name: string
  description: string
  star_count: number
  is_official: boolean
}

const headings = {
  Name: "NAME",
  Description: "DESCRIPTION",
  StarCount: "STARS",
  IsOfficial: "OFFICIAL",
  IsAutomated: "AUTOMATED",
}

export const verb: Verb = {
  usage: "[OPTIONS] TERM",
  summary: "Search a registry for images",
  flags: [
    filterFlag("Filter output based on conditions provided"),
    templateFlag,
    { name: "limit", kind: "int", value: "int", summary: "Max number of search results" },
    { name: "no-trunc", kind: "bool", summary: "Don't truncate output" },
  ],
  interspersed: true,
  least: 1,
  most: 1,
  async run(context, parsed) {
    const [term = ""] = parsed.arguments
    const found = await context.client.json<Found[]>("GET", "/images/search", {
      query: { term, limit: parsed.int("limit"), filters: readFilters(parsed.list("filter")) },
      headers: await registryHeaders(context.env, term).catch(() => ({})),
    })
    const whole = parsed.bool("no-trunc")
    const rows = found.map((entry) => {
      const description = entry.description.replace(/\s+/g, " ")
      return {
        Name: entry.name,
        Description: whole ? description : ellipsis(description, 45),
        StarCount: String(entry.star_count),
        IsOfficial: entry.is_official ? "[OK]" : "",
        IsAutomated: "",
      }
    })
    const columns = ["Name", "Description", "StarCount", "IsOfficial"]
    printList(context, { columns, headings }, rows, {
      whole: parsed.bool("no-trunc"),
      format: parsed.string("format"),
      quiet: false,
    })
    return 0
  },
}
