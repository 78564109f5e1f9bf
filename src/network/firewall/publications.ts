// A container's published ports as the firewall takes them: ports that follow each other are one publication.
import type { PublishedPort } from "../../state/state.ts"
import { familyOfAddress } from "../ipam/cidr.ts"
import type { Publication } from "./guard.ts"

/** The container's addresses on the network that its ports are published through. */
export interface PublicationTarget {
  readonly ipv4?: string
  readonly ipv6?: string
  /** CIDRs of the other networks that it is on. */
  readonly otherSubnets?: readonly string[]
}

const follows = (before: Publication, port: PublishedPort, address: string): boolean =>
  before.protocol === port.protocol &&
  before.hostAddress === port.hostAddress &&
  before.address === address &&
  before.hostPort + (before.count ?? 1) === port.hostPort &&
  before.port + (before.count ?? 1) === port.containerPort

const familyOfHost = (hostAddress: string): 4 | 6 =>
  hostAddress === "" ? 4 : (familyOfAddress(hostAddress) ?? 4)

/**
 * How the firewall publishes a container's ports. Ports on addresses of a family that the container does not have are left
 * out: there is nothing to translate them to.
 */
export const publicationsFor = (
  target: PublicationTarget,
  ports: readonly PublishedPort[],
): Publication[] => {
  const publications: Publication[] = []
  const sorted = ports.toSorted(
    (one, other) =>
      one.protocol.localeCompare(other.protocol) ||
      one.hostAddress.localeCompare(other.hostAddress) ||
      one.hostPort - other.hostPort,
  )
  for (const port of sorted) {
    const family = familyOfHost(port.hostAddress)
    const address = family === 4 ? target.ipv4 : target.ipv6
    if (address === undefined) continue
    const before = publications.at(-1)
    if (before && follows(before, port, address)) {
      publications[publications.length - 1] = { ...before, count: (before.count ?? 1) + 1 }
      continue
    }
    const others = target.otherSubnets?.filter((subnet) => subnet.includes(":") === (family === 6)) ?? []
    publications.push({
      protocol: port.protocol,
      hostAddress: port.hostAddress || "0.0.0.0",
      hostPort: port.hostPort,
      address,
      port: port.containerPort,
      ...(others.length === 0 ? {} : { otherSubnets: others }),
    })
  }
  return publications
}
