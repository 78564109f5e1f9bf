// sloop volume ls
import { filterFlag, readFilters } from "../../filters.ts"
import { labelColumns, printList, templateFlag } from "../../format/list.ts"
import type { Verb } from "../../verb.ts"

interface Listed {
  Name: string
  Driver: string
  Scope: string
  Mountpoint: string
  Labels: Record<string, string> | null
}

const headings = {
  Name: "VOLUME NAME",
  Driver: "DRIVER",
  Scope: "SCOPE",
  Mountpoint: "MOUNTPOINT",
  Labels: "LABELS",
  Size: "SIZE",
  Links: "LINKS",
  Availability: "AVAILABILITY",
  Group: "GROUP",
  Status: "STATUS",
  Label: (name: unknown) => String(name),
}

// Known of cluster volumes or of `system df -v` only.
const absent = { Size: "N/A", Links: "N/A", Availability: "N/A", Group: "N/A", Status: "N/A" }

export const verb: Verb = {
  usage: "[OPTIONS]",
  summary: "List volumes",
  flags: [
    filterFlag('Provide filter values (e.g. "dangling=true")'),
    templateFlag,
    { name: "quiet", short: "q", kind: "bool", summary: "Only display volume names" },
  ],
  interspersed: true,
  least: 0,
  most: 0,
  async run(context, parsed) {
    const { Volumes } = await context.client.json<{ Volumes: Listed[] | null }>("GET", "/volumes", {
      query: { filters: readFilters(parsed.list("filter")) },
    })
    const rows = (Volumes ?? []).map((volume) => ({
      ...absent,
      Name: volume.Name,
      Driver: volume.Driver,
      Scope: volume.Scope,
      Mountpoint: volume.Mountpoint,
      ...labelColumns(volume.Labels),
    }))
    printList(context, { columns: ["Driver", "Name"], headings, quiet: "Name" }, rows, {
      format: parsed.string("format"),
      quiet: parsed.bool("quiet"),
    })
    return 0
  },
}
