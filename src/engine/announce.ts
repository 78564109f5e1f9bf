// What the engine tells of a container: the shapes of its events.
import type { ContainerRecord } from "../state/state.ts"
import type { Context } from "./context.ts"

type More = Readonly<Record<string, string>>

const tell = (context: Context, id: string, action: string, attributes: More): void =>
  context.events.publish({ type: "container", action, id, attributes })

/** What Docker's container events carry: labels, image, name, and what the action adds. */
export const announce = (context: Context, record: ContainerRecord, action: string, more: More = {}): void =>
  tell(context, record.id, action, {
    ...record.config.labels,
    image: record.config.image,
    name: record.name,
    ...more,
  })

/** The same without labels, as Docker tells of terminal sizes and of files. */
export const announceBriefly = (
  context: Context,
  record: ContainerRecord,
  action: string,
  more: More = {},
): void => tell(context, record.id, action, { image: record.config.image, name: record.name, ...more })

/** Tells of each network that the container joins or leaves. */
export function announceEndpoints(
  context: Context,
  record: ContainerRecord,
  action: "connect" | "disconnect",
): void {
  for (const { network, networkName } of record.endpoints)
    context.events.publish({
      type: "network",
      action,
      id: network,
      attributes: { container: record.id, name: networkName, type: "bridge" },
    })
}
