// sloop events

import { readRawLines } from "../../../client/client.ts"
import { filterFlag, readFilters } from "../../filters.ts"
import { templateFlag } from "../../format/list.ts"
import { localParts } from "../../format/units.ts"
import { compileTemplate } from "../../template/template.ts"
import type { Verb } from "../../verb.ts"
import { readTime } from "../container/logs.ts"

interface Told {
  Type: string
  Action: string
  Actor: { ID: string; Attributes: Record<string, string> }
  time: number
}

/** `nanoseconds` come from the text: as a number they would lose their last digits. */
function line({ Type, Action, Actor, time }: Told, nanoseconds: string): string {
  const { day, time: clock, offset } = localParts(new Date(time * 1000))
  const zone = offset === "+0000" ? "Z" : `${offset.slice(0, 3)}:${offset.slice(3)}`
  const attributes = Object.entries(Actor.Attributes ?? {}).sort(([a], [b]) => (a < b ? -1 : 1))
  const shown =
    attributes.length > 0 ? ` (${attributes.map(([key, value]) => `${key}=${value}`).join(", ")})` : ""
  return `${day}T${clock}.${nanoseconds.slice(-9).padStart(9, "0")}${zone} ${Type} ${Action} ${Actor.ID}${shown}`
}

/** As Go's encoder gives it: attributes in order, every digit of the time. */
function ordered(event: Told, nanoseconds: string): string {
  const attributes = Object.entries(event.Actor.Attributes ?? {}).sort(([a], [b]) => (a < b ? -1 : 1))
  const shown = { ...event, Actor: { ...event.Actor, Attributes: Object.fromEntries(attributes) } }
  return JSON.stringify(shown).replace(/"timeNano":[^,}]*/, `"timeNano":${nanoseconds}`)
}

export const verb: Verb = {
  usage: "[OPTIONS]",
  summary: "Get real time events from the server",
  flags: [
    filterFlag(),
    templateFlag,
    { name: "since", kind: "string", value: "string", summary: "Show all events created since timestamp" },
    { name: "until", kind: "string", value: "string", summary: "Stream events until this timestamp" },
  ],
  interspersed: true,
  least: 0,
  most: 0,
  async run(context, parsed) {
    const query = {
      since: readTime("since", parsed.string("since")),
      until: readTime("until", parsed.string("until")),
      filters: readFilters(parsed.list("filter")),
    }
    const format = parsed.string("format")
    const render = format === undefined || format === "json" ? undefined : compileTemplate(format)
    const { body } = await context.client.send("GET", "/events", { query })
    for await (const text of readRawLines(body)) {
      const event = JSON.parse(text) as Told
      const nanoseconds = /"timeNano":(\d+)/.exec(text)?.[1] ?? "0"
      context.print(
        format === "json" ? ordered(event, nanoseconds) : render ? render(event) : line(event, nanoseconds),
      )
    }
    return 0
  },
}
