// A container that is about to start joins its networks: namespace, addresses, ports, files, names.
import { randomBytes } from "node:crypto"
import { errorMessage, failure } from "../../base/errors.ts"
import type { EndpointRecord, NetworkRequest } from "../../state/state.ts"
import type { GivenAddresses } from "../ipam/addressing.ts"
import type { Attachment, JoinRequest } from "../network.ts"
import type { Prepared } from "../pool/pool.ts"
import { wantedPorts } from "../ports/host-ports.ts"
import { findNetwork } from "../records.ts"
import type { Room } from "../room.ts"
import { getSegment } from "../room.ts"
import type { EndpointWishes, Segment } from "../segment.ts"
import { attachLinks, type NamedWayOut, type NewLink } from "./attach.ts"
import { waysOut } from "./gateway.ts"
import type { Endpoint, Lease } from "./lease.ts"
import { givenAddresses, writeLease } from "./lease.ts"
import { announceNames, hasNames, managedTexts, namesOf, namingOf } from "./managed-texts.ts"
import type { PlacedEndpoint } from "./publishing.ts"
import { candidates, placed, publish } from "./publishing.ts"
import { endpointSysctls, endpointWishes } from "./wishes.ts"

export interface WantedEndpoint {
  readonly segment: Segment
  readonly asked: NetworkRequest
  readonly wishes: EndpointWishes
}

const isMode = (room: Room, mode: string, reference: string): boolean => {
  const plain = (name: string): string => (name === "default" ? "bridge" : name)
  return findNetwork(room.state, plain(mode))?.id === findNetwork(room.state, plain(reference))?.id
}

/** The networks that a container starts on; the one that its mode names comes first. */
const wantedEndpoints = (room: Room, request: JoinRequest): WantedEndpoint[] => {
  const entries: NetworkRequest[] =
    request.networks.length > 0 ? [...request.networks] : [{ network: request.mode, aliases: [], links: [] }]
  const ordered = entries.toSorted(
    (one, other) =>
      Number(isMode(room, request.mode, other.network)) - Number(isMode(room, request.mode, one.network)) ||
      (one.network < other.network ? -1 : 1),
  )
  const wanted = ordered.map((asked, index) => {
    const segment = getSegment(room, asked.network)
    const macAddress = index === 0 ? request.macAddress : undefined
    return { segment, asked, wishes: endpointWishes(segment, asked, macAddress) }
  })
  const twice = wanted.find(({ segment }, index) =>
    wanted.slice(0, index).some((earlier) => earlier.segment === segment),
  )
  if (twice)
    throw failure(
      "forbidden",
      `endpoint with name ${request.containerName} already exists in network ${twice.segment.record.name}`,
    )
  return wanted
}

/** The record of an endpoint as it came to be. */
export const endpointOf = (
  { segment, asked }: Pick<WantedEndpoint, "segment" | "asked">,
  container: { readonly id: string; readonly name: string; readonly hostname?: string },
  made: {
    readonly link: string
    readonly interfaceName: string
    readonly macAddress: string
    readonly addresses: GivenAddresses
  },
): Endpoint => {
  const { ipv4, ipv6 } = made.addresses
  const { gateway4, gateway6 } = segment.gatewaysOf(made.addresses)
  const sysctls = endpointSysctls(asked)
  const record: EndpointRecord = {
    network: segment.record.id,
    networkName: segment.record.name,
    endpointId: randomBytes(32).toString("hex"),
    ...(ipv4 && { ipv4: ipv4.address, ipv4PrefixLength: ipv4.prefixLength }),
    ...(gateway4 && { gateway: gateway4 }),
    ...(ipv6 && { ipv6: ipv6.address, ipv6PrefixLength: ipv6.prefixLength }),
    ...(gateway6 && { gateway6 }),
    macAddress: made.macAddress,
    aliases: asked.aliases,
    ...(segment.isDefault ? {} : { dnsNames: namesOf(container, asked.aliases) }),
    interfaceName: made.interfaceName,
  }
  return {
    record,
    link: made.link,
    priority: asked.gatewayPriority ?? 0,
    ...(asked.linkLocal && asked.linkLocal.length > 0 ? { linkLocal: asked.linkLocal } : {}),
    ...(sysctls.size > 0 ? { sysctls: [...sysctls] } : {}),
    ...(asked.links.length > 0 ? { links: asked.links } : {}),
  }
}

/** Default routes as they should be among these endpoints. */
export const namedWaysOut = (endpoints: readonly PlacedEndpoint[]): NamedWayOut[] => {
  const { ipv4, ipv6 } = waysOut(candidates(endpoints))
  const way = (family: 4 | 6, one: PlacedEndpoint | undefined, gateway: string | undefined): NamedWayOut[] =>
    one && gateway !== undefined
      ? [{ family, name: one.endpoint.record.interfaceName ?? "eth0", gateway }]
      : []
  return [...way(4, ipv4, ipv4?.gateway4), ...way(6, ipv6, ipv6?.gateway6)]
}

/** The first name with a prefix that none of `taken` is. */
const freeInterfaceName = (prefix: string, taken: ReadonlySet<string>): string => {
  for (let number = 0; ; number++) if (!taken.has(`${prefix}${number}`)) return `${prefix}${number}`
}

/** Addresses and names for one more link. What it took must be released by the caller when it comes to nothing. */
export const newLink = async (
  { segment, wishes }: WantedEndpoint,
  taken: ReadonlySet<string>,
): Promise<NewLink> => {
  const name = wishes.interfaceName ?? freeInterfaceName(segment.interfacePrefix, taken)
  if (taken.has(name)) throw failure("conflict", `interface name ${name} is used twice`)
  const addresses = await segment.takeAddresses(wishes)
  return {
    segment,
    link: segment.newHostEnd(),
    name,
    macAddress: segment.macAddressFor(wishes, addresses),
    addresses,
    linkLocal: wishes.linkLocal,
    sysctls: wishes.sysctls,
  }
}

/** Puts a namespace that is held on the further networks. */
const attachFurther = async (
  room: Room,
  prepared: Prepared,
  first: PlacedEndpoint,
  rest: readonly WantedEndpoint[],
  container: { readonly id: string; readonly name: string; readonly hostname: string },
): Promise<Endpoint[]> => {
  const names = new Set([prepared.interfaceName])
  const links: NewLink[] = []
  try {
    for (const wanted of rest) {
      const link = await newLink(wanted, names)
      names.add(link.name)
      links.push(link)
    }
    const endpoints = links.flatMap((link, index) => {
      const wanted = rest[index]
      return wanted
        ? [
            {
              endpoint: endpointOf(wanted, container, { ...link, interfaceName: link.name }),
              segment: link.segment,
            },
          ]
        : []
    })
    const needsNames = first.segment.isDefault && endpoints.some(({ segment }) => !segment.isDefault)
    await attachLinks(
      room.kernel,
      room.removals,
      `held:${prepared.held}`,
      links,
      namedWaysOut([first, ...endpoints]),
      needsNames ? room.segmentTools.nameOperations(true) : [],
    )
    return endpoints.map(({ endpoint }) => endpoint)
  } catch (error) {
    for (const { segment, link, addresses } of links) segment.depart(link, addresses)
    throw error
  }
}

const makeAttachment = async (
  room: Room,
  request: JoinRequest,
  wanted: readonly WantedEndpoint[],
  prepared: Prepared,
): Promise<Attachment> => {
  const container = { id: request.containerId, name: request.containerName, hostname: request.hostname }
  const [main, ...rest] = wanted
  if (!main) throw failure("internal", `container ${request.containerName} was to join no network`)
  const first: PlacedEndpoint = { endpoint: endpointOf(main, container, prepared), segment: main.segment }
  const further = rest.length > 0 ? await attachFurther(room, prepared, first, rest, container) : []
  const endpoints = [first.endpoint, ...further]
  try {
    const texts = managedTexts(room, request, endpoints)
    const ports = wantedPorts(request.ports, request.exposedPorts, request.publishAll)
    const published = await publish(room, container, ports, placed(room, endpoints))
    const lease: Lease = {
      container: request.containerId,
      name: request.containerName,
      held: prepared.held,
      namesLed: endpoints.some(({ record }) => record.dnsNames !== undefined),
      endpoints,
      ports: published.ports,
      naming: namingOf(room, request, endpoints),
    }
    const text = writeLease(lease)
    room.members.put(text, { lease, publications: published.publications, launching: true })
    for (const segment of room.segments.values()) segment.pool.begin(text)
    const names = hasNames(room, endpoints)
    if (names) announceNames(room, lease)
    return {
      namespace: `held:${prepared.held}`,
      endpoints: endpoints.map(({ record }) => record),
      ports: lease.ports,
      reservations: lease.ports.map((port) => ({
        protocol: port.protocol,
        address: port.hostAddress,
        port: port.hostPort,
      })),
      ...(names && room.names ? { nameRelay: room.names.path } : {}),
      ...texts,
      lease: text,
    }
  } catch (error) {
    for (const endpoint of further)
      room.segments.get(endpoint.record.network)?.depart(endpoint.link, givenAddresses(endpoint))
    throw error
  }
}

/** See Networks.join. */
export const join = async (room: Room, request: JoinRequest): Promise<Attachment> => {
  const wanted = wantedEndpoints(room, request)
  const [main, ...rest] = wanted
  if (!main) throw failure("internal", `container ${request.containerName} was to join no network`)
  const ensure = async (): Promise<void> => {
    for (const { segment } of wanted) await segment.ensure(() => room.members.linksOn(segment.record.id))
  }
  for (const { segment } of wanted) segment.joining++
  try {
    const isAlone = rest.length === 0
    if (!isAlone) await ensure()
    const ready = main.segment.takeReady(main.wishes)
    // With a namespace at hand, a bridge that somebody broke can be mended beneath it, later.
    const later = isAlone && ready !== undefined
    if (isAlone && !later) await ensure()
    const prepared = ready ?? (await main.segment.make(main.wishes))
    try {
      const attachment = await makeAttachment(room, request, wanted, prepared)
      return later ? { ...attachment, ensure } : attachment
    } catch (error) {
      void main.segment
        .discard([prepared])
        .catch((cause: unknown) =>
          room.warn(`could not drop namespace ${prepared.held}: ${errorMessage(cause)}`),
        )
      throw error
    }
  } finally {
    for (const { segment } of wanted) segment.joining--
  }
}
