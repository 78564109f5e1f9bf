// What this host has of links, addresses and routes, and which blocks of addresses are in use by them.
import type { Kernel } from "../kernel/kernel.ts"
import type { Link, LinkAddress, Message, Route } from "../kernel/netlink/netlink.ts"
import {
  FAMILY_IPV4,
  FAMILY_IPV6,
  listAddresses,
  listLinks,
  listRoutes,
  readAddresses,
  readLinks,
  readRoutes,
} from "../kernel/netlink/netlink.ts"
import { familyOfAddress, parseCidr } from "./ipam/cidr.ts"
import type { TakenBlock } from "./ipam/request.ts"
import { routeRequest } from "./request.ts"

export interface HostNetwork {
  readonly links: readonly Link[]
  readonly addresses: readonly LinkAddress[]
  readonly routes: readonly Route[]
}

const DEFAULT_MTU = 1500

/** Links, addresses and routes of the host, in one request. */
export const readHostNetwork = async (kernel: Kernel): Promise<HostNetwork> => {
  const lists: Message[] = [
    listLinks(),
    ...[FAMILY_IPV4, FAMILY_IPV6].flatMap((family) => [listAddresses(family), listRoutes(family)]),
  ]
  const replies = await routeRequest(kernel, lists)
  return { links: readLinks(replies), addresses: readAddresses(replies), routes: readRoutes(replies) }
}

const linkLocal = /^(fe[89ab]|ff)/i
const isOfNote = (address: string, prefixLength: number): boolean =>
  prefixLength > 0 && !linkLocal.test(address)

/**
 * What the host uses besides the links `own`. Default routes cover everything and count for nothing; `avoid` are
 * addresses that must stay reachable (resolvers).
 */
export const usedBlocks = (
  host: HostNetwork,
  own: ReadonlySet<number>,
  avoid: readonly string[] = [],
): TakenBlock[] => {
  const nameOf = (index: number): string =>
    host.links.find((link) => link.index === index)?.name ?? `link ${index}`
  return [
    ...host.addresses
      .filter(({ link, address, prefixLength }) => !own.has(link) && isOfNote(address, prefixLength))
      .map(({ link, address, prefixLength }) => ({
        block: parseCidr(`${address}/${prefixLength}`),
        by: `this host's interface ${nameOf(link)}`,
      })),
    ...host.routes.flatMap(({ link, destination, prefixLength }) =>
      own.has(link) || destination === undefined || !isOfNote(destination, prefixLength)
        ? []
        : [
            {
              block: parseCidr(`${destination}/${prefixLength}`),
              by: `a route of this host through ${nameOf(link)}`,
            },
          ],
    ),
    ...avoid.flatMap((address) => {
      const family = familyOfAddress(address)
      const length = family === 4 ? 32 : 128
      return family === undefined
        ? []
        : [{ block: parseCidr(`${address}/${length}`), by: `this host's name server ${address}` }]
    }),
  ]
}

/** Never more than what the way out carries: smaller packets beat fragments and lost "too big" messages. */
export const wayOutMtu = (host: HostNetwork): number => {
  const out = host.routes.find((route) => route.prefixLength === 0)
  const link = host.links.find((candidate) => candidate.index === out?.link)
  return link && link.mtu >= 576 ? Math.min(DEFAULT_MTU, link.mtu) : DEFAULT_MTU
}
