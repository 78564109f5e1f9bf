// Networks of a container that runs: put on one more, taken off one, ports and name changed.
import { crashPoint } from "../../base/crash-point.ts"
import { errorMessage, failure } from "../../base/errors.ts"
import type { NetworkRequest, PublishedPort } from "../../state/state.ts"
import type { Publication } from "../firewall/guard.ts"
import type { Changed, JoinRequest, LivingContainer } from "../network.ts"
import { wantedPorts } from "../ports/host-ports.ts"
import type { Room } from "../room.ts"
import { defaultNetworkId, getNetwork, getSegment, segmentOf } from "../room.ts"
import { attachLinks, detachLink } from "./attach.ts"
import { endpointOf, namedWaysOut, newLink } from "./join.ts"
import type { Endpoint, Lease } from "./lease.ts"
import { givenAddresses, readLease, writeLease } from "./lease.ts"
import { announceNames, hasNames, managedTexts, namesOf, namingOf } from "./managed-texts.ts"
import type { Member } from "./members.ts"
import type { Published } from "./publishing.ts"
import { placed, publicationsOf, publish, publisherOf, unpublishSoon } from "./publishing.ts"
import { endpointWishes } from "./wishes.ts"

const memberOf = (room: Room, container: LivingContainer): Member => {
  const { lease: text, id, name } = container
  if (text === undefined)
    return {
      lease: { container: id, name, held: "", namesLed: false, endpoints: [], ports: [] },
      publications: [],
      launching: false,
    }
  const known = room.members.find(text)
  return known ?? { lease: readLease(text, defaultNetworkId(room)), publications: [], launching: false }
}

/** Puts the changed member in place of what it was; the caller stores the lease. */
const replace = (room: Room, container: LivingContainer, member: Member): string => {
  if (container.lease !== undefined) room.members.remove(container.lease)
  const text = writeLease(member.lease)
  room.members.put(text, member)
  return text
}

const changed = (room: Room, request: JoinRequest, lease: Lease, text: string): Changed => {
  const names = hasNames(room, lease.endpoints)
  announceNames(room, lease)
  return {
    endpoints: lease.endpoints.map(({ record }) => record),
    ports: lease.ports,
    ...managedTexts(room, request, lease.endpoints),
    ...(names && room.names ? { nameRelay: room.names.path } : {}),
    lease: text,
  }
}

/**
 * The published ports led to where they are reached after a change of networks. `give` publishes ports that had no way
 * in before. `led` resolves, and never rejects, when the same host ports lead elsewhere: wait for it where the old way in
 * ends. The kernel takes its time over the answer (it waits for RCU).
 */
const republish = async (
  room: Room,
  member: Member,
  endpoints: readonly Endpoint[],
  give: (placedEndpoints: ReturnType<typeof placed>) => Promise<Published>,
): Promise<Published & { readonly stale: readonly Publication[]; readonly led?: Promise<void> }> => {
  const before = publisherOf(placed(room, member.lease.endpoints))
  const now = placed(room, endpoints)
  const after = publisherOf(now)
  const { ports } = member.lease
  if (ports.length === 0) return { ...(await give(now)), stale: [] }
  if (!after) {
    room.ports.release(member.lease.container, ports)
    return { ports: [], publications: [], stale: member.publications }
  }
  const wanted = publicationsOf(ports, after, now)
  if (before?.endpoint === after.endpoint && JSON.stringify(wanted) === JSON.stringify(member.publications))
    return { ports, publications: member.publications, stale: [] }
  const led = room.guard
    .republish(member.publications, wanted)
    .catch((error: unknown) =>
      room.warn(`could not lead published ports of ${member.lease.name} elsewhere: ${errorMessage(error)}`),
    )
  return { ports, publications: wanted, stale: [], led }
}

const namespaceOf = (container: LivingContainer): string => `/proc/${container.pid}/ns/net`

/** See Networks.connect. */
export const connect = async (
  room: Room,
  container: LivingContainer,
  request: JoinRequest,
  asked: NetworkRequest,
): Promise<Changed> => {
  const segment = getSegment(room, asked.network)
  const member = memberOf(room, container)
  const { endpoints } = member.lease
  if (endpoints.some(({ record }) => record.network === segment.record.id))
    throw failure(
      "forbidden",
      `endpoint with name ${container.name.replace(/^\//, "")} already exists in network ${segment.record.name}`,
    )
  const wishes = endpointWishes(segment, asked)
  segment.joining++
  try {
    await segment.ensure(() => room.members.linksOn(segment.record.id))
    const taken = new Set(endpoints.map(({ record }) => record.interfaceName ?? "eth0"))
    const link = await newLink({ segment, asked, wishes }, taken)
    try {
      const named = { id: container.id, name: container.name, hostname: request.hostname }
      const endpoint = endpointOf({ segment, asked }, named, { ...link, interfaceName: link.name })
      const all = [...endpoints, endpoint]
      const leadsNames = !segment.isDefault && !member.lease.namesLed
      room.intents.begin({
        verb: "connect",
        container: container.id,
        pid: container.pid,
        endpoint: endpoint.record.endpointId,
        link: link.link,
        name: link.name,
      })
      crashPoint("connect:intended")
      await attachLinks(
        room.kernel,
        room.removals,
        namespaceOf(container),
        [link],
        namedWaysOut(placed(room, all)),
        leadsNames ? room.segmentTools.nameOperations(true) : [],
      )
      crashPoint("connect:linked")
      const give = (now: ReturnType<typeof placed>): Promise<Published> =>
        publish(room, container, wantedPorts(request.ports, request.exposedPorts, request.publishAll), now)
      const published = await republish(room, member, all, give).catch((error: unknown) => {
        room.removals.remove(link.link)
        throw error
      })
      crashPoint("connect:published")
      unpublishSoon(room, published.stale)
      const lease: Lease = {
        ...member.lease,
        name: container.name,
        namesLed: member.lease.namesLed || leadsNames,
        endpoints: all,
        ports: published.ports,
        naming: namingOf(room, request, all),
      }
      const text = replace(room, container, { lease, publications: published.publications, launching: false })
      room.intents.end(endpoint.record.endpointId)
      return changed(room, request, lease, text)
    } catch (error) {
      segment.depart(link.link, link.addresses)
      throw error
    }
  } finally {
    segment.joining--
  }
}

/** See Networks.disconnect. */
export const disconnect = async (
  room: Room,
  container: LivingContainer,
  request: JoinRequest,
  reference: string,
): Promise<Changed> => {
  const network = getNetwork(room, reference)
  const member = memberOf(room, container)
  const leaving = member.lease.endpoints.find(({ record }) => record.network === network.id)
  if (!leaving)
    throw failure("conflict", `container ${container.id} is not connected to network ${network.name}`)
  const rest = member.lease.endpoints.filter((endpoint) => endpoint !== leaving)
  const none = async (): Promise<Published> => ({ ports: [], publications: [] })
  const published = await republish(room, member, rest, none)
  const { endpointId, interfaceName = "eth0" } = leaving.record
  const named = { container: container.id, pid: container.pid, endpoint: endpointId }
  room.intents.begin({ verb: "disconnect", ...named, link: leaving.link, name: interfaceName })
  crashPoint("disconnect:published")
  await detachLink(
    room.kernel,
    room.removals,
    namespaceOf(container),
    { link: leaving.link, name: interfaceName },
    namedWaysOut(placed(room, rest)),
    room.warn,
  )
  await published.led
  crashPoint("disconnect:unlinked")
  segmentOf(room, leaving)?.depart(leaving.link, givenAddresses(leaving))
  room.names?.remove(container.id, network.id)
  unpublishSoon(room, published.stale)
  room.intents.end(endpointId)
  const lease: Lease = { ...member.lease, endpoints: rest, ports: published.ports }
  const text = replace(room, container, { lease, publications: published.publications, launching: false })
  return changed(room, request, lease, text)
}

const isPort = (one: PublishedPort, other: PublishedPort): boolean =>
  one.protocol === other.protocol &&
  one.containerPort === other.containerPort &&
  one.hostAddress === other.hostAddress &&
  one.hostPort === other.hostPort

/** See Networks.changePorts. */
export const changePorts = async (
  room: Room,
  container: LivingContainer,
  request: JoinRequest,
  change: { readonly add: JoinRequest["ports"]; readonly remove: readonly PublishedPort[] },
): Promise<Changed> => {
  const member = memberOf(room, container)
  const { lease, publications } = member
  const now = placed(room, lease.endpoints)
  if (change.add.length > 0 && !publisherOf(now))
    throw failure(
      "conflict",
      `container ${container.name.replace(/^\//, "")} is on no network that is reached from outside: connect it to one first`,
    )
  const added = await publish(room, container, change.add, now)
  const isRemoved = (port: { protocol: string; hostAddress: string; hostPort: number }): boolean =>
    change.remove.some(
      (one) =>
        one.protocol === port.protocol &&
        one.hostAddress === port.hostAddress &&
        one.hostPort === port.hostPort,
    )
  const removed = lease.ports.filter((port) => change.remove.some((one) => isPort(one, port)))
  room.ports.release(lease.container, removed)
  unpublishSoon(room, publications.filter(isRemoved))
  const next: Lease = {
    ...lease,
    ports: [...lease.ports.filter((port) => !removed.includes(port)), ...added.ports],
  }
  const kept = publications.filter((publication) => !isRemoved(publication))
  const text = replace(room, container, {
    lease: next,
    publications: [...kept, ...added.publications],
    launching: member.launching,
  })
  return changed(room, request, next, text)
}

/** See Networks.rename. */
export const rename = async (room: Room, text: string, name: string): Promise<Changed> => {
  const member = room.members.find(text)
  if (!member) throw failure("not-found", "a container's network lease is not known")
  const { lease } = member
  const old = lease.name.replace(/^\//, "")
  const renamed = lease.endpoints.map((endpoint) => {
    const { dnsNames, aliases } = endpoint.record
    if (dnsNames === undefined) return endpoint
    const others = dnsNames.filter((one) => one !== old && !aliases.includes(one))
    const names = namesOf({ id: lease.container, name }, aliases)
    return { ...endpoint, record: { ...endpoint.record, dnsNames: [...new Set([...names, ...others])] } }
  })
  const next: Lease = { ...lease, name, endpoints: renamed }
  room.members.remove(text)
  const nextText = writeLease(next)
  room.members.put(nextText, { ...member, lease: next })
  announceNames(room, next)
  return {
    endpoints: renamed.map(({ record }) => record),
    ports: next.ports,
    lease: nextText,
    ...(hasNames(room, renamed) && room.names ? { nameRelay: room.names.path } : {}),
  }
}
