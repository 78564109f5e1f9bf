// Published ports of a container: host ports allocated, and led by the firewall to the endpoint that is its way out.
import { errorKind, errorMessage, failure } from "../../base/errors.ts"
import type { PortRequest, PublishedPort } from "../../state/state.ts"
import { bridgeOptions } from "../bridge/options.ts"
import type { Publication } from "../firewall/guard.ts"
import { mergePublications } from "../firewall/publications.ts"
import type { Room } from "../room.ts"
import { segmentOf } from "../room.ts"
import type { Segment } from "../segment.ts"
import { type Candidate, inGatewayOrder } from "./gateway.ts"
import { type Endpoint, givenAddresses } from "./lease.ts"

/** An endpoint on a network that is up. */
export interface PlacedEndpoint {
  readonly endpoint: Endpoint
  readonly segment: Segment
}

export const placed = (room: Room, endpoints: readonly Endpoint[]): PlacedEndpoint[] =>
  endpoints.flatMap((endpoint) => {
    const segment = segmentOf(room, endpoint)
    return segment ? [{ endpoint, segment }] : []
  })

/** Endpoints as their order for the way out needs them. */
export const candidates = (endpoints: readonly PlacedEndpoint[]): (PlacedEndpoint & Candidate)[] =>
  endpoints.map(({ endpoint, segment }) => ({
    endpoint,
    segment,
    network: segment.record,
    ...segment.gatewaysOf(givenAddresses(endpoint)),
  }))

/** The endpoint by which published ports are reached; undefined when none of its networks is reached from outside. */
export const publisherOf = (endpoints: readonly PlacedEndpoint[]): PlacedEndpoint | undefined =>
  inGatewayOrder(candidates(endpoints)).find(
    ({ segment }) => segment.driver.isGuarded && !segment.record.internal,
  )

const isIpv6 = (address: string): boolean => address.includes(":")

/** How the firewall is to lead host ports to an endpoint. */
export const publicationsOf = (
  ports: readonly PublishedPort[],
  through: PlacedEndpoint | undefined,
  all: readonly PlacedEndpoint[],
): Publication[] => {
  if (!through) return []
  const subnetsBeside = (ipv6: boolean): string[] =>
    all
      .filter(({ segment }) => segment !== through.segment)
      .flatMap(({ segment }) => segment.record.subnets.map(({ subnet }) => subnet))
      .filter((subnet) => isIpv6(subnet) === ipv6)
  const each = ports.flatMap((port): Publication[] => {
    const ipv6 = isIpv6(port.hostAddress)
    const { record } = through.endpoint
    const address = ipv6 ? record.ipv6 : record.ipv4
    if (address === undefined) return []
    const otherSubnets = subnetsBeside(ipv6)
    return [
      {
        protocol: port.protocol,
        hostAddress: port.hostAddress,
        hostPort: port.hostPort,
        address,
        port: port.containerPort,
        ...(otherSubnets.length > 0 ? { otherSubnets } : {}),
      },
    ]
  })
  return mergePublications(each)
}

/**
 * Requests with the network's own host address, or else the engine's, where they name none. 0.0.0.0 of a network means no
 * certain one, as Docker has it.
 */
const bound = (
  room: Room,
  wanted: readonly PortRequest[],
  { segment }: PlacedEndpoint,
): readonly PortRequest[] => {
  const { hostBinding } = bridgeOptions(segment.record)
  const hostAddress = hostBinding === "" || hostBinding === "0.0.0.0" ? room.publishDefault : hostBinding
  return wanted.map((port) => (port.hostAddress === "" ? { ...port, hostAddress } : port))
}

export interface Published {
  readonly ports: readonly PublishedPort[]
  readonly publications: readonly Publication[]
}

/** Gives a container host ports and publishes them; all or none. */
export const publish = async (
  room: Room,
  container: { readonly id: string; readonly name: string },
  wanted: readonly PortRequest[],
  endpoints: readonly PlacedEndpoint[],
): Promise<Published> => {
  const through = publisherOf(endpoints)
  if (wanted.length === 0 || !through) return { ports: [], publications: [] }
  let ports: readonly PublishedPort[] = []
  try {
    const { ipv4, ipv6 } = through.endpoint.record
    ports = await room.ports.allocateWhenFree(container.id, bound(room, wanted, through), {
      families: [...(ipv4 ? [4 as const] : []), ...(ipv6 ? [6 as const] : [])],
      nameOf: (id) => room.state.containers.find(id)?.name,
    })
    const publications = publicationsOf(ports, through, endpoints)
    await room.guard.publish(publications)
    return { ports, publications }
  } catch (error) {
    room.ports.release(container.id, ports)
    throw failure(
      errorKind(error),
      `driver failed programming external connectivity on endpoint ${container.name.replace(/^\//, "")} (${through.endpoint.record.endpointId}): ${errorMessage(error)}`,
      { cause: error },
    )
  }
}

/**
 * Takes publications back behind the caller's back: the kernel has done so long before it answers (it waits for RCU).
 */
export const unpublishSoon = (room: Room, publications: readonly Publication[]): void => {
  if (publications.length === 0) return
  void room.guard
    .unpublish(publications)
    .catch((error: unknown) => room.warn(`could not take back published ports: ${errorMessage(error)}`))
}
