// What a container knows of its networks and they of it: the managed files' texts, and the names it is found by.
import type { NamedEndpoint } from "../dns/names.ts"
import { hostsText } from "../files/hosts.ts"
import { type NameServerConf, nameServerConf } from "../files/name-server-conf.ts"
import { type ResolverSettings, resolvConfText } from "../files/resolv-conf.ts"
import type { JoinRequest } from "../network.ts"
import type { Room } from "../room.ts"
import type { Endpoint, Lease, Naming } from "./lease.ts"
import { placed } from "./publishing.ts"

/** Whether names are served to a container: it is on a network where containers find each other. */
export const hasNames = (room: Room, endpoints: readonly Endpoint[]): boolean =>
  room.names !== undefined && placed(room, endpoints).some(({ segment }) => !segment.isDefault)

/** What "host-gateway" stands for, by family. */
const hostGateways = (room: Room): { hostGateway: string; hostGateway6?: string } => {
  const bridge = [...room.segments.values()].find(({ isDefault }) => isDefault)?.record.subnets ?? []
  const gateways =
    room.hostGateways.length > 0 ? room.hostGateways : bridge.flatMap(({ gateway }) => gateway ?? [])
  const [hostGateway = "", hostGateway6] = gateways
  return { hostGateway, ...(hostGateway6 === undefined ? {} : { hostGateway6 }) }
}

/** Texts of /etc/hosts and /etc/resolv.conf. Throws Failure "invalid" for what the request has wrong. */
export const managedTexts = (
  room: Room,
  request: JoinRequest,
  endpoints: readonly Endpoint[],
): { hosts: string; resolvConf: string } => ({
  hosts: hostsText({
    hostname: request.hostname,
    domainname: request.domainname,
    addresses: endpoints.flatMap(({ record }) =>
      [record.ipv4, record.ipv6].filter((one) => one !== undefined),
    ),
    extraHosts: request.extraHosts,
    ...hostGateways(room),
    links: request.links,
  }),
  resolvConf: hasNames(room, endpoints)
    ? confOf(room, request, endpoints).text
    : resolvConfText(room.resolver(), asked(request)),
})

const asked = (request: JoinRequest): ResolverSettings => ({
  servers: request.dns,
  search: request.dnsSearch,
  options: request.dnsOptions,
})

const confOf = (room: Room, request: JoinRequest, endpoints: readonly Endpoint[]): NameServerConf =>
  nameServerConf(
    room.resolver(),
    asked(request),
    endpoints.some(({ record }) => record.ipv6 !== undefined),
  )

/** What the name server is to know of a container besides its endpoints. Throws as managedTexts does. */
export const namingOf = (room: Room, request: JoinRequest, endpoints: readonly Endpoint[]): Naming => ({
  upstream: confOf(room, request, endpoints).upstream,
  exposed: request.exposedPorts,
})

/** Every name by which others on a user-defined network find a container, in Docker's order. */
export const namesOf = (
  container: { readonly id: string; readonly name: string; readonly hostname?: string },
  aliases: readonly string[],
): string[] => {
  const { id, name, hostname } = container
  const names = [name.replace(/^\//, ""), ...aliases, id.slice(0, 12), ...(hostname ? [hostname] : [])]
  return [...new Set(names.filter((one) => one !== ""))]
}

/** Tells the name server where a container is found, whom it may call what, and where its other questions go. */
export const announceNames = (room: Room, lease: Lease): void => {
  if (!room.names) return
  const ports = portsOf(lease.naming?.exposed ?? [])
  for (const { endpoint, segment } of placed(room, lease.endpoints)) {
    if (segment.isDefault) continue
    const { record, links } = endpoint
    room.names.put({
      containerId: lease.container,
      networkId: record.network,
      networkName: segment.record.name,
      internal: segment.record.internal,
      names: record.dnsNames ?? [],
      ports,
      ...(record.ipv4 === undefined ? {} : { ipv4: record.ipv4 }),
      ...(record.ipv6 === undefined ? {} : { ipv6: record.ipv6 }),
      ...(links === undefined ? {} : { links: links.map(linkOf) }),
    })
  }
  if (lease.naming) room.names.setUpstream(lease.container, lease.naming.upstream)
}

const linkOf = (text: string): { name: string; alias: string } => {
  const [name = "", alias = name] = text.replace(/^\//, "").split(":")
  return { name, alias }
}

const portsOf = (exposed: readonly string[]): NonNullable<NamedEndpoint["ports"]> =>
  exposed.flatMap((text) => {
    const [port, protocol = "tcp"] = text.split("/")
    return protocol === "tcp" || protocol === "udp" || protocol === "sctp"
      ? [{ port: Number(port), protocol }]
      : []
  })
