// sloop network ls
import { filterFlag, readFilters } from "../../filters.ts"
import { labelColumns, printList, templateFlag } from "../../format/list.ts"
import { goTimeOf, shortId } from "../../format/units.ts"
import type { Verb } from "../../verb.ts"

interface Listed {
  Id: string
  Name: string
  Driver: string
  Scope: string
  Internal: boolean
  EnableIPv4?: boolean
  EnableIPv6: boolean
  Labels: Record<string, string> | null
  Created: string
}

const headings = {
  ID: "NETWORK ID",
  Name: "NAME",
  Driver: "DRIVER",
  Scope: "SCOPE",
  IPv4: "IPV4",
  IPv6: "IPV6",
  Internal: "INTERNAL",
  Labels: "LABELS",
  CreatedAt: "CREATED AT",
  Label: (name: unknown) => String(name),
}

export const verb: Verb = {
  usage: "[OPTIONS]",
  summary: "List networks",
  flags: [
    filterFlag('Provide filter values (e.g. "driver=bridge")'),
    templateFlag,
    { name: "no-trunc", kind: "bool", summary: "Do not truncate the output" },
    { name: "quiet", short: "q", kind: "bool", summary: "Only display network IDs" },
  ],
  interspersed: true,
  least: 0,
  most: 0,
  async run(context, parsed) {
    const networks = await context.client.json<Listed[]>("GET", "/networks", {
      query: { filters: readFilters(parsed.list("filter")) },
    })
    networks.sort((a, b) => (a.Name < b.Name ? -1 : 1))
    const rows = networks.map((network) => ({
      ID: parsed.bool("no-trunc") ? network.Id : shortId(network.Id),
      Name: network.Name,
      Driver: network.Driver,
      Scope: network.Scope,
      IPv4: String(network.EnableIPv4 ?? true),
      IPv6: String(network.EnableIPv6),
      Internal: String(network.Internal),
      ...labelColumns(network.Labels),
      CreatedAt: goTimeOf(network.Created),
    }))
    printList(context, { columns: ["ID", "Name", "Driver", "Scope"], headings, quiet: "ID" }, rows, {
      whole: parsed.bool("no-trunc"),
      format: parsed.string("format"),
      quiet: parsed.bool("quiet"),
    })
    return 0
  },
}
