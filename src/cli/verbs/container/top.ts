// sloop top: the processes of one container, or without a name a live view of all.
import { ApiFailure } from "../../../client/client.ts"
import { liveLines, type Moment, paintFor } from "../../container/live.ts"
import type { Parsed } from "../../flags.ts"
import { alignTabs } from "../../format/list.ts"
import { localParts } from "../../format/units.ts"
import type { Context, Verb } from "../../verb.ts"
import type { ListedContainer } from "./ls.ts"
import { type Reading, readingRow } from "./stats.ts"

interface Listed {
  readonly Titles: string[]
  readonly Processes: string[][] | null
}

const path = (container: string) => `/containers/${encodeURIComponent(container)}`

/** A container may end, or be removed, while we look: then it is shown without what was asked. */
const orGone = <T>(asked: Promise<T>): Promise<T | undefined> =>
  asked.catch((error: unknown) => {
    if (error instanceof ApiFailure) return undefined
    throw error
  })

async function look({ client }: Context, { Id, Names, State, Status }: ListedContainer): Promise<Moment> {
  const base = { name: Names[0]?.replace(/^\//, "") ?? Id.slice(0, 12), state: State, status: Status }
  if (State !== "running" && State !== "paused") return base
  const [reading, listed] = await Promise.all([
    orGone(client.json<Reading>("GET", `${path(Id)}/stats`, { query: { stream: false } })),
    orGone(
      client.json<Listed>("GET", `${path(Id)}/top`, { query: { ps_args: "-o pid,user,stat,time,args" } }),
    ),
  ])
  const row = reading ? readingRow("", reading, false) : undefined
  return {
    ...base,
    ...(row
      ? { use: { cpu: String(row.CPUPerc), memory: String(row.MemUsage), pids: String(row.PIDs) } }
      : {}),
    ...(listed ? { processes: { titles: listed.Titles, rows: listed.Processes ?? [] } } : {}),
  }
}

async function watch(context: Context, parsed: Parsed): Promise<number> {
  const { out, client } = context
  const paint = paintFor(out.isTTY, context.env)
  const once = parsed.bool("no-stream")
  for (;;) {
    const query = { all: parsed.bool("all") }
    const found = await client.json<ListedContainer[]>("GET", "/containers/json", { query })
    // A measurement takes a second by itself; with nothing to measure we wait as long.
    const [moments] = await Promise.all([
      Promise.all(found.map((container) => look(context, container))),
      once ? undefined : new Promise((resolve) => setTimeout(resolve, 1000)),
    ])
    const lines = liveLines(moments, {
      rows: once ? 0 : out.rows,
      columns: out.columns,
      each: parsed.int("processes") ?? 5,
      clock: localParts(new Date()).time,
      paint,
    })
    if (!once && out.isTTY) out.write("\u001b[H\u001b[J")
    await out.write(`${lines.join("\n")}\n`)
    if (once) return 0
  }
}

export const verb: Verb = {
  usage: "[CONTAINER [ps OPTIONS]]",
  summary: "Display the running processes of a container, or a live view of all containers",
  flags: [
    { name: "all", short: "a", kind: "bool", summary: "Live view: also containers that do not run" },
    { name: "no-stream", kind: "bool", summary: "Live view: show one moment and end" },
    {
      name: "processes",
      short: "n",
      kind: "int",
      value: "int",
      default: "5",
      summary: "Live view: number of processes to show of each container",
    },
  ],
  interspersed: false,
  least: 0,
  most: Number.POSITIVE_INFINITY,
  async run(context, parsed) {
    const [container, ...psArguments] = parsed.arguments
    if (container === undefined) return watch(context, parsed)
    const query = { ps_args: psArguments.length > 0 ? psArguments.join(" ") : undefined }
    const { Titles, Processes } = await context.client.json<Listed>("GET", `${path(container)}/top`, {
      query,
    })
    for (const line of alignTabs(
      [Titles, ...(Processes ?? [])].map((row) => row.join("\t")),
      20,
    ))
      context.print(line)
    return 0
  },
}
