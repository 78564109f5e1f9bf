// GET /events: what happened and what happens, one JSON object a line.
import type { Engine } from "../../engine/engine.ts"
import type { EngineEvent } from "../../events/events.ts"
import type { Call } from "../call.ts"
import { type Filters, labelsMatch } from "../query.ts"
import type { Route } from "../route.ts"
import { eventLine } from "../translate/things.ts"

const EVENT_FILTERS: ReadonlySet<string> = new Set([
  "config",
  "container",
  "daemon",
  "event",
  "image",
  "label",
  "network",
  "node",
  "plugin",
  "scope",
  "secret",
  "service",
  "type",
  "volume",
])
/** A client that does not read this many bytes of events is cut off, so that memory stays bounded. */
const MAX_UNREAD = 4 * 1024 * 1024

export function eventRoutes({ events }: Pick<Engine, "events">): Route[] {
  function stream(call: Call): void {
    const filters = call.query.filters(EVENT_FILTERS)
    const since = call.query.time("since")
    const until = call.query.time("until")
    const output = call.stream({ "Content-Type": "application/json" })
    const send = (event: EngineEvent) => {
      if (!matches(event, filters)) return
      output.write(eventLine(event))
      if (output.writableLength > MAX_UNREAD) output.destroy()
    }
    const unsubscribe = events.subscribe(send)
    if (since !== undefined || until !== undefined) {
      for (const event of events.recent()) {
        if (
          (since === undefined || event.timeNano >= since) &&
          (until === undefined || event.timeNano <= until)
        ) {
          send(event)
        }
      }
    }
    const remaining = until === undefined ? undefined : Number(until / 1_000_000n) - Date.now()
    const timer = remaining === undefined ? undefined : endAfter(Math.max(0, remaining), () => output.end())
    output.once("close", () => {
      unsubscribe()
      timer?.cancel()
    })
  }
  return [{ method: "GET", path: "/events", summary: "Follow what happens", support: "yes", run: stream }]
}

/** setTimeout holds at most 2^31 milliseconds: longer waits are made of several. */
function endAfter(milliseconds: number, end: () => void): { cancel(): void } {
  const longest = 2 ** 31 - 1
  let timer: NodeJS.Timeout
  const wait = (left: number) => {
    timer = setTimeout(() => (left > longest ? wait(left - longest) : end()), Math.min(left, longest))
  }
  wait(milliseconds)
  return { cancel: () => clearTimeout(timer) }
}

/** Whether an event passes Docker's filters. */
export function matches(event: EngineEvent, filters: Filters): boolean {
  if (filters.size === 0) return true
  const { attributes } = event
  const names = (type: string, also: readonly (string | undefined)[]) => {
    const wanted = filters.get(type)
    if (wanted === undefined) return true
    const own = event.type === type ? [event.id, attributes.name, ...also] : also
    return wanted.some((value) =>
      own.some(
        (name) => name !== undefined && (name === value || (name === event.id && name.startsWith(value))),
      ),
    )
  }
  const actions = filters.get("event")
  if (actions?.every((action) => event.action !== action && !event.action.startsWith(`${action}:`))) {
    return false
  }
  const types = filters.get("type")
  if (types !== undefined && !types.includes(event.type)) return false
  const scopes = filters.get("scope")
  if (scopes !== undefined && !scopes.includes("local")) return false
  if (!labelsMatch(attributes, filters.get("label"))) return false
  if (filters.has("container") && event.type !== "container") {
    if (!names("container", [attributes.container])) return false
  } else if (!names("container", [])) return false
  if (!names("image", [attributes.image, withoutTag(attributes.image), withoutTag(attributes.name)]))
    return false
  return names("volume", []) && names("network", []) && names("daemon", [])
}

function withoutTag(reference: string | undefined): string | undefined {
  if (reference === undefined) return undefined
  const colon = reference.lastIndexOf(":")
  return colon > reference.lastIndexOf("/") ? reference.slice(0, colon) : reference
}
