// sloop context ls
import { configDirectoryOf } from "../../contexts/choose.ts"
import { listContexts } from "../../contexts/store.ts"
import { printList, templateFlag } from "../../format/list.ts"
import { ellipsis } from "../../format/units.ts"
import type { Verb } from "../../verb.ts"

const headings = {
  Name: "NAME",
  Description: "DESCRIPTION",
  DockerEndpoint: "DOCKER ENDPOINT",
  Current: "CURRENT",
  Error: "ERROR",
}

export const verb: Verb = {
  usage: "[OPTIONS]",
  summary: "List contexts",
  flags: [templateFlag, { name: "quiet", short: "q", kind: "bool", summary: "Only show context names" }],
  interspersed: true,
  least: 0,
  most: 0,
  async run(context, parsed) {
    const own = context.contextName === "default" ? context.client.host : context.ownHost
    const format = parsed.string("format")
    const table = !format || format === "table"
    const rows = [
      {
        Name: "default",
        Description: "Current DOCKER_HOST based configuration",
        DockerEndpoint: own,
        Error: "",
      },
      ...listContexts(configDirectoryOf(context.env)).map(({ Name, Metadata, Endpoints }) => ({
        Name,
        Description: Metadata.Description ?? "",
        DockerEndpoint: Endpoints.docker?.Host ?? "",
        Error: "",
      })),
    ].sort((a, b) => (a.Name < b.Name ? -1 : 1))
    printList(
      context,
      { columns: ["Name", "Description", "DockerEndpoint", "Error"], headings, quiet: "Name" },
      rows.map((row) => {
        const Current = row.Name === context.contextName
        return table && !parsed.bool("quiet")
          ? {
              ...row,
              Current,
              Name: Current ? `${row.Name} *` : row.Name,
              Description: ellipsis(row.Description, 60),
            }
          : { ...row, Current }
      }),
      { ...(format ? { format } : {}), quiet: parsed.bool("quiet") },
    )
    return 0
  },
}
