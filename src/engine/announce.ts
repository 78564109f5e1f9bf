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

type Joining = "connect" | "disconnect"

/** Tells of a network that the container joins or leaves. */
export const announceEndpoint = (
  context: Context,
  record: ContainerRecord,
  network: { readonly id: string; readonly name: string; readonly driver: string },
  action: Joining,
): void =>
  context.events.publish({
    type: "network",
    action,
    id: network.id,
    attributes: { container: record.id, name: network.name, type: network.driver },
  })

/** Tells of each network that the container joins or leaves. */
export const announceEndpoints = (context: Context, record: ContainerRecord, action: Joining): void => {
  for (const { network: id, networkName: name } of record.endpoints) {
    const driver = context.networks.find(id)?.driver ?? "bridge"
    announceEndpoint(context, record, { id, name, driver }, action)
  }
}
