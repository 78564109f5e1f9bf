// A daemon starts: the networks are brought up, running containers are remembered, what nobody has is cleared away.
import { errorMessage } from "../base/errors.ts"
import { deleteLink, listLinks, netlinkOperation, readLinks } from "../kernel/netlink/netlink.ts"
import type { NetworkRecord } from "../state/state.ts"
import type { DefaultBridge } from "./bridge/default-bridge.ts"
import { guarded } from "./bridge/driver.ts"
import type { Intent } from "./intents.ts"
import { readLease } from "./lease.ts"
import { announceNames } from "./managed-texts.ts"
import { placed, publicationsOf, publisherOf } from "./publishing.ts"
import { storeDefaults } from "./records.ts"
import { collect, routeRequest } from "./request.ts"
import type { Room } from "./room.ts"
import { Segment } from "./segment.ts"

export interface KnownLease {
  readonly containerId: string
  readonly lease: string
}

/** Brings up every stored network that has a driver here. One that fails is told and left out. */
const raiseAll = async (room: Room, bridge: NetworkRecord, footing: DefaultBridge): Promise<void> => {
  const driver = room.drivers.get("bridge")
  if (driver)
    room.segments.set(bridge.id, new Segment(bridge, driver, footing, room.segmentTools, { isDefault: true }))
  for (const record of room.state.networks.list()) {
    const own = room.drivers.get(record.driver)
    if (record.id === bridge.id || !own) continue
    try {
      const up = await own.raise(record)
      room.segments.set(record.id, new Segment(record, own, up, room.segmentTools, { isDefault: false }))
    } catch (error) {
      room.warn(`network ${record.name} could not be set up: ${errorMessage(error)}`)
    }
  }
}

const restore = (room: Room, bridge: string, text: string): void => {
  const lease = readLease(text, bridge)
  const endpoints = placed(room, lease.endpoints)
  for (const { endpoint, segment } of endpoints)
    for (const address of [endpoint.record.ipv4, endpoint.record.ipv6]) {
      if (address === undefined) continue
      try {
        segment.addressing.restore(address)
      } catch (error) {
        room.warn(`container ${lease.container} keeps address ${address}: ${errorMessage(error)}`)
      }
      segment.addressing.skipPast(address)
    }
  room.ports.restore(lease.container, lease.ports)
  const publications = publicationsOf(lease.ports, publisherOf(endpoints), endpoints)
  room.members.put(text, { lease, publications, launching: false })
  announceNames(room, lease)
}

/** A link that a killed daemon was putting into a container's namespace, and whose lease does not know of it. */
const undoIntent = async (room: Room, intent: Intent): Promise<void> => {
  const stands = room.members
    .list()
    .some(({ lease }) => lease.endpoints.some(({ record }) => record.endpointId === intent.endpoint))
  if (!stands && intent.link !== "") room.removals.remove(intent.link)
  const lives = room.members.list().some(({ lease }) => lease.container === intent.container)
  if (!stands && lives && intent.link === "")
    await collect(room.kernel, [
      ["netlink"],
      ["namespace", `/proc/${intent.pid}/ns/net`],
      netlinkOperation("inside", "route", [deleteLink({ name: intent.name })]),
    ]).catch(() => undefined)
  room.intents.forget(intent.endpoint)
}

/** Links of this host that nobody has: of networks that are gone, and ends of containers' that are. */
const clearLinks = async (room: Room, mark: string): Promise<void> => {
  const links = readLinks(await routeRequest(room.kernel, [listLinks()]))
  const known = new Set(room.state.networks.list().map(({ id }) => `${mark}${id}`))
  for (const { name, alias } of links)
    if (alias.startsWith(mark) && alias.length > mark.length && !known.has(alias)) room.removals.remove(name)
  const bridges = new Set([...room.segments.values()].map(({ footing }) => footing.index))
  const used = new Set(room.members.list().flatMap(({ lease }) => lease.endpoints.map(({ link }) => link)))
  for (const { name, master } of links)
    if (bridges.has(master) && name.startsWith("vethsl") && !used.has(name)) room.removals.remove(name)
  const present = new Set(links.map(({ name }) => name))
  for (const { lease } of room.members.list())
    for (const { link, record } of lease.endpoints)
      if (link !== "" && !present.has(link))
        room.warn(
          `container ${lease.name || lease.container} has lost its interface on network ${record.networkName}: disconnect and connect it to get another`,
        )
}

/** Endpoints whose bridge was made anew are put on it. */
const repairMasters = async (room: Room): Promise<void> => {
  for (const segment of room.segments.values()) await segment.adopt(room.members.linksOn(segment.record.id))
}

/** See Networks.open: what follows once the default bridge is there. */
export const openRoom = async (
  room: Room,
  mark: string,
  bridge: DefaultBridge,
  leases: readonly KnownLease[],
): Promise<void> => {
  const record = storeDefaults(room.state, bridge)
  await raiseAll(room, record, bridge)
  for (const { lease } of leases) restore(room, record.id, lease)
  await room.guard.rebuild(
    [...room.segments.values()].flatMap(({ driver, record: one }) =>
      driver.isGuarded ? [guarded(one)] : [],
    ),
    room.members.list().flatMap(({ publications }) => publications),
  )
  await repairMasters(room)
  // What an earlier daemon had prepared may have been given away, so that none is adopted; and as dying namespaces
  // still answer ARP for their addresses, new ones start beyond those.
  const left = await room.held.list()
  for (const name of left)
    for (const { addressing } of room.segments.values()) addressing.skipPast(room.held.addressIn(name))
  await room.held.drop(left)
  for (const intent of room.intents.list()) await undoIntent(room, intent)
  await clearLinks(room, mark)
  await room.names?.open()
  for (const segment of room.segments.values()) segment.pool.schedule()
}
