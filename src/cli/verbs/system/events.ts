// sloop events

import { readLines } from "../../../client/client.ts"
import { readFilters } from "../../each.ts"
import { compileTemplate } from "../../template/template.ts"
import type { Verb } from "../../verb.ts"
import { readTime } from "../container/logs.ts"

interface Told {
  Type: string
  Action: string
  Actor: { ID: string; Attributes: Record<string, string> }
  time: number
  timeNano: number
}

function line({ Type, Action, Actor, timeNano, time }: Told): string {
  const at = new Date(time * 1000).toISOString().slice(0, 19)
  const fraction = String(Math.round(timeNano % 1e9)).padStart(9, "0")
  const attributes = Object.entries(Actor.Attributes ?? {}).sort(([a], [b]) => (a < b ? -1 : 1))
  const shown =
    attributes.length > 0 ? ` (${attributes.map(([key, value]) => `${key}=${value}`).join(", ")})` : ""
  return `${at}.${fraction}Z ${Type} ${Action} ${Actor.ID}${shown}`
}

export const verb: Verb = {
  usage: "[OPTIONS]",
  summary: "Get real time events from the server",
  flags: [
    {
      name: "filter",
      short: "f",
      kind: "list",
      value: "filter",
      summary: "Filter output based on conditions provided",
    },
    { name: "format", kind: "string", value: "string", summary: "Format output using a custom template" },
    { name: "since", kind: "string", value: "string", summary: "Show all events created since timestamp" },
    { name: "until", kind: "string", value: "string", summary: "Stream events until this timestamp" },
  ],
  interspersed: true,
  least: 0,
  most: 0,
  async run(context, parsed) {
    const query = {
      since: readTime(parsed.string("since")),
      until: readTime(parsed.string("until")),
      filters: readFilters(parsed.list("filter")),
    }
    const format = parsed.string("format")
    const render =
      format === undefined ? undefined : format === "json" ? JSON.stringify : compileTemplate(format)
    const { body } = await context.client.send("GET", "/events", { query })
    for await (const event of readLines<Told>(body)) context.print(render ? render(event) : line(event))
    return 0
  },
}
