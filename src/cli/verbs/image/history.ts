// sloop history
import { printList, templateFlag } from "../../format/list.ts"
import { ago, ellipsis, humanSize, shortId } from "../../format/units.ts"
import type { Verb } from "../../verb.ts"

interface Layer {
  Id: string
  Created: number
  CreatedBy: string
  Size: number
  Comment: string
}

const headings = {
  ID: "IMAGE",
  CreatedSince: "CREATED",
  CreatedAt: "CREATED AT",
  CreatedBy: "CREATED BY",
  Size: "SIZE",
  Comment: "COMMENT",
}

export const verb: Verb = {
  usage: "[OPTIONS] IMAGE",
  summary: "Show the history of an image",
  flags: [
    templateFlag,
    {
      name: "human",
      short: "H",
      kind: "bool",
      default: true,
      summary: "Print sizes and dates in human readable format",
    },
    { name: "no-trunc", kind: "bool", summary: "Don't truncate output" },
    { name: "quiet", short: "q", kind: "bool", summary: "Only show image IDs" },
  ],
  interspersed: true,
  least: 1,
  most: 1,
  async run(context, parsed) {
    const [human, noTrunc] = [parsed.bool("human"), parsed.bool("no-trunc")]
    const layers = await context.client.json<Layer[]>("GET", `/images/${parsed.arguments[0]}/history`)
    const rows = layers.map((layer) => {
      const at = new Date(layer.Created * 1000).toISOString().replace(".000Z", "Z")
      const by = layer.CreatedBy.replaceAll("\t", " ")
      return {
        ID: noTrunc ? layer.Id : shortId(layer.Id),
        CreatedSince: human ? ago(layer.Created) : at,
        CreatedAt: at,
        CreatedBy: noTrunc ? by : ellipsis(by, 45),
        Size: human ? humanSize(layer.Size, 3) : String(layer.Size),
        Comment: layer.Comment,
      }
    })
    printList(
      context,
      {
        columns: ["ID", human ? "CreatedSince" : "CreatedAt", "CreatedBy", "Size", "Comment"],
        headings,
        quiet: "ID",
      },
      rows,
      { whole: parsed.bool("no-trunc"), format: parsed.string("format"), quiet: parsed.bool("quiet") },
    )
    return 0
  },
}
