// sloop builder history
import type { BuildHistoryView } from "../../../wire/wire.ts"
import { forEach } from "../../each.ts"
import { printList, type Row, templateFlag } from "../../format/list.ts"
import { ago, shortId } from "../../format/units.ts"
import type { Verb } from "../../verb.ts"

const headings = {
  ID: "BUILD ID",
  Name: "NAME",
  Status: "STATUS",
  CreatedAt: "CREATED AT",
  Duration: "DURATION",
  Steps: "STEPS",
  Cached: "CACHED",
  Image: "IMAGE",
  Error: "ERROR",
}

function row(record: BuildHistoryView, whole: boolean): Row {
  const started = Date.parse(record.Started)
  const ended = record.Completed === undefined ? undefined : Date.parse(record.Completed)
  const file = record.Dockerfile === "" || record.Dockerfile === "Dockerfile" ? "" : ` (${record.Dockerfile})`
  return {
    ID: whole ? record.Id : record.Id.slice(0, 12),
    Name: `${record.Context}${file}${record.Target === "" ? "" : ` ${record.Target}`}`,
    Status: ended === undefined ? "Running" : record.Error === "" ? "Completed" : "Error",
    CreatedAt: ago(started / 1000),
    Duration: `${(((ended ?? Date.now()) - started) / 1000).toFixed(1)}s`,
    Steps: String(record.Steps),
    Cached: String(record.CachedSteps),
    Image: record.ImageId === "" ? "" : shortId(record.ImageId),
    Error: record.Error,
  }
}

export const verb: Verb = {
  usage: "[OPTIONS] [ls | rm BUILD...]",
  summary: "List builds that ran or run, or forget some",
  flags: [
    templateFlag,
    { name: "builder", kind: "string", summary: "Ignored: there is one builder", hidden: true },
    { name: "all", kind: "bool", summary: "With rm: forget all builds that have ended" },
    { name: "no-trunc", kind: "bool", summary: "Do not truncate output" },
    { name: "quiet", short: "q", kind: "bool", summary: "Only display ids" },
  ],
  interspersed: true,
  least: 0,
  most: Number.POSITIVE_INFINITY,
  async run(context, parsed) {
    const records = await context.client.json<BuildHistoryView[]>("GET", "/builds")
    const [action = "ls", ...given] = parsed.arguments
    if (action === "rm") {
      const ended = records.filter(({ Completed }) => Completed !== undefined).map(({ Id }) => Id)
      const wanted = parsed.bool("all") ? ended : given
      return forEach(context, wanted, async (name) => {
        const id = records.find(({ Id }) => Id.startsWith(name))?.Id ?? name
        await context.client.call("DELETE", `/builds/${encodeURIComponent(id)}`)
        return name
      })
    }
    printList(
      context,
      {
        columns: ["ID", "Name", "Status", "CreatedAt", "Duration", "Steps", "Cached", "Image"],
        headings,
        quiet: "ID",
      },
      records
        .toSorted((a, b) => Date.parse(b.Started) - Date.parse(a.Started))
        .map((record) => row(record, parsed.bool("no-trunc"))),
      { format: parsed.string("format"), quiet: parsed.bool("quiet"), whole: parsed.bool("no-trunc") },
    )
    return 0
  },
}
