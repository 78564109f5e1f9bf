// A daemon starts: the networks are brought up, running containers are remembered, what nobody has is cleared away.
import { errorMessage } from "../base/errors.ts"
import { listLinks, readLinks } from "../kernel/netlink/netlink.ts"
import type { NetworkRecord } from "../state/state.ts"
import type { DefaultBridge } from "./bridge/default-bridge.ts"
import { guarded } from "./bridge/driver.ts"
import { bridgeOptions } from "./bridge/options.ts"
import { readLease } from "./containers/lease.ts"
import { announceNames } from "./containers/managed-texts.ts"
import { mendMembers } from "./containers/mend.ts"
import { placed, publicationsOf, publisherOf } from "./containers/publishing.ts"
import { type HostNetwork, readHostNetwork, usedBlocks } from "./host-network.ts"
import { overlap, parseCidr } from "./ipam/cidr.ts"
import { storeDefaults } from "./records.ts"
import { routeRequest } from "./request.ts"
import type { Room } from "./room.ts"
import { Segment } from "./segment.ts"

export interface KnownLease {
  readonly containerId: string
  readonly lease: string
  /** Host pid of its init: the way into its namespace, for what must be mended there. */
  readonly pid?: number
}

/** Somebody may have taken a network's subnet while no daemon ran. */
const warnOfRivals = (room: Room, record: NetworkRecord, host: HostNetwork): void => {
  const own = host.links.filter(({ name }) => name === bridgeOptions(record).bridgeName)
  const used = usedBlocks(host, new Set(own.map(({ index }) => index)))
  for (const { subnet } of record.subnets) {
    const rival = used.find(({ block }) => overlap(block, parseCidr(subnet)))
    if (rival)
      room.warn(
        `network ${record.name} has ${subnet}, and so has ${rival.by}: containers on it may not be reached; remove one of the two`,
      )
  }
}

/** Brings up every stored network that has a driver here. One that fails is told and left out. */
const raiseAll = async (room: Room, bridge: NetworkRecord, footing: DefaultBridge): Promise<void> => {
  const driver = room.drivers.get("bridge")
  if (driver)
    room.segments.set(bridge.id, new Segment(bridge, driver, footing, room.segmentTools, { isDefault: true }))
  const host = await readHostNetwork(room.kernel)
  for (const record of room.state.networks.list()) {
    const own = room.drivers.get(record.driver)
    if (record.id === bridge.id || !own) continue
    try {
      if (own.isGuarded) warnOfRivals(room, record, host)
      const up = await own.raise(record, host)
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
  const pids = leases.flatMap(({ containerId, pid }) =>
    pid === undefined ? [] : [[containerId, pid] as const],
  )
  await mendMembers(room, new Map(pids))
  await clearLinks(room, mark)
  await room.names?.open()
  for (const segment of room.segments.values()) segment.pool.schedule()
}
