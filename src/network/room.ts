// What the parts of the network room share: options, the networks that are up, who is on them, and what they use.
import { failure } from "../base/errors.ts"
import type { Kernel } from "../kernel/kernel.ts"
import type { NetworkRecord, State } from "../state/state.ts"
import type { Intents } from "./containers/intents.ts"
import type { Members } from "./containers/members.ts"
import type { NameServer } from "./dns/name-server.ts"
import type { Driver } from "./driver.ts"
import type { ResolverSettings } from "./files/resolv-conf.ts"
import type { Guard } from "./firewall/guard.ts"
import type { AddressPool } from "./ipam/address-pools.ts"
import type { Departures } from "./pool/departures.ts"
import type { HeldNamespaces } from "./pool/held.ts"
import type { HostPorts } from "./ports/host-ports.ts"
import { findNetwork } from "./records.ts"
import type { Removals } from "./removals.ts"
import type { Segment, SegmentTools } from "./segment.ts"

export interface Room {
  readonly kernel: Kernel
  readonly state: State
  readonly drivers: ReadonlyMap<string, Driver>
  readonly guard: Guard
  readonly ports: HostPorts
  readonly members: Members
  /** Networks that are up, by id. */
  readonly segments: Map<string, Segment>
  readonly segmentTools: SegmentTools
  readonly held: HeldNamespaces
  readonly departures: Departures
  readonly removals: Removals
  readonly intents: Intents
  /** Absent when the engine was given no place for its socket: no names are served then. */
  readonly names?: NameServer
  /** The host's own resolver settings. */
  readonly resolver: () => ResolverSettings
  /** Host address of ports that are published without one; "" = every address. */
  readonly publishDefault: string
  /** Where subnets come from that nobody asked for. */
  readonly pools: readonly AddressPool[]
  /** What "host-gateway" means; empty = the default bridge's own addresses. */
  readonly hostGateways: readonly string[]
  readonly warn: (message: string) => void
}

/** Throws Failure "not-found". */
export const getNetwork = (room: Room, reference: string): NetworkRecord => {
  const found = findNetwork(room.state, reference)
  if (!found) throw failure("not-found", `network ${reference} not found`)
  return found
}

/** The network as it is up. Throws Failure "not-found", "unavailable" while the room is not open. */
export const getSegment = (room: Room, reference: string): Segment => {
  const { id, name, driver } = getNetwork(room, reference === "default" ? "bridge" : reference)
  const segment = room.segments.get(id)
  if (segment) return segment
  if (!room.drivers.has(driver))
    throw failure("invalid", `network ${name} has driver ${driver}, by which no container is put on it here`)
  throw failure(
    "unavailable",
    `network ${name} is not set up: see the daemon's log, then start the daemon again`,
  )
}

/** Id of the default bridge network. */
export const defaultNetworkId = (room: Room): string => getNetwork(room, "bridge").id

/** The segment that an endpoint is on, undefined once its network is gone. */
export const segmentOf = (
  room: Room,
  endpoint: { readonly record: { readonly network: string } },
): Segment | undefined => room.segments.get(endpoint.record.network)
