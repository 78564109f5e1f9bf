// sloop port add, sloop port remove: the published ports of a container, changed while it runs.
import { type Bindings, printBindings } from "../../container/bindings.ts"
import { readPublished } from "../../container/ports.ts"
import type { Context, Verb } from "../../verb.ts"

async function change(context: Context, container: string, ports: object): Promise<number> {
  const { PublishedPorts } = await context.client.json<{ PublishedPorts: Bindings }>(
    "POST",
    `/containers/${encodeURIComponent(container)}/update`,
    { body: { PublishedPorts: ports } },
  )
  printBindings(context, PublishedPorts)
  return 0
}

const base = { flags: [], interspersed: true, least: 2, most: Number.POSITIVE_INFINITY } as const

export const add: Verb = {
  ...base,
  usage: "CONTAINER [IP:][HOST_PORT:]PRIVATE_PORT[/PROTO]...",
  summary: "Publish further ports of a container, at once when it runs",
  run(context, parsed) {
    const [container = "", ...specs] = parsed.arguments
    return change(context, container, { Add: readPublished(specs).bindings })
  },
}

export const remove: Verb = {
  ...base,
  usage: "CONTAINER [[IP:]HOST_PORT:]PRIVATE_PORT[/PROTO]...",
  summary: "Take back published ports: of a private port alone, every one",
  run(context, parsed) {
    const [container = "", ...specs] = parsed.arguments
    return change(context, container, { Remove: readPublished(specs).bindings })
  },
}
