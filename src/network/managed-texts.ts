// What a container knows of its networks and they of it: the managed files' texts, and the names it is found by.
import { NAME_SERVER_ADDRESS } from "./dns/redirect.ts"
import { hostsText } from "./files/hosts.ts"
import { resolvConfText } from "./files/resolv-conf.ts"
import type { Endpoint, Lease } from "./lease.ts"
import type { JoinRequest } from "./network.ts"
import { placed } from "./publishing.ts"
import type { Room } from "./room.ts"

/** Whether names are served to a container: it is on a network where containers find each other. */
export const hasNames = (room: Room, endpoints: readonly Endpoint[]): boolean =>
  room.names !== undefined && placed(room, endpoints).some(({ segment }) => !segment.isDefault)

const hostGateway = (room: Room): string =>
  [...room.segments.values()].find(({ isDefault }) => isDefault)?.record.subnets[0]?.gateway ?? ""

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
    hostGateway: hostGateway(room),
    links: request.links,
  }),
  resolvConf: resolvConfText(room.resolver(), {
    servers: hasNames(room, endpoints) ? [NAME_SERVER_ADDRESS] : request.dns,
    search: request.dnsSearch,
    options: request.dnsOptions,
  }),
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

/** Tells the name server where a container is found. */
export const announceNames = (room: Room, lease: Lease): void => {
  if (!room.names) return
  for (const { endpoint, segment } of placed(room, lease.endpoints)) {
    if (segment.isDefault) continue
    const { record } = endpoint
    room.names.put({
      containerId: lease.container,
      networkId: record.network,
      networkName: segment.record.name,
      internal: segment.record.internal,
      names: record.dnsNames ?? [],
      ...(record.ipv4 === undefined ? {} : { ipv4: record.ipv4 }),
      ...(record.ipv6 === undefined ? {} : { ipv6: record.ipv6 }),
    })
  }
}

/** Tells the name server where a container's other questions go. */
export const announceUpstream = (room: Room, request: JoinRequest): void => {
  const options = [...request.dnsOptions, ...room.resolver().options]
  room.names?.setUpstream(request.containerId, {
    servers: request.dns,
    ndotsSet: options.some((option) => option.startsWith("ndots:")),
  })
}
