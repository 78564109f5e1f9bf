// An endpoint's interface inside its namespace: addresses, routes, and the names and numbers that go with them.
import { createHash } from "node:crypto"
import type { Operation } from "../../kernel/kernel.ts"
import type { Message } from "../../kernel/netlink/netlink.ts"
import {
  addAddress,
  addRoute,
  FAMILY_IPV4,
  FAMILY_IPV6,
  ipBytes,
  macText,
  replaceRoute,
  setUp,
  withoutIpv6,
} from "../../kernel/netlink/netlink.ts"
import type { GivenAddresses } from "../ipam/addressing.ts"

/** Docker's hardware address for an IPv4 address: 02:42 and the address; for IPv6 alone four bytes of a hash. */
export const macAddressOf = ({ ipv4, ipv6 }: GivenAddresses): string => {
  const four = ipv4
    ? ipBytes(ipv4.address)
    : createHash("sha256")
        .update(ipv6?.address ?? "")
        .digest()
        .subarray(0, 4)
  return macText(Uint8Array.of(0x02, 0x42, ...four))
}

export interface InterfacePlan {
  readonly name: string
  /** A wrong one makes the plan fail: another link cannot have the name. */
  readonly index: number
  readonly addresses: GivenAddresses
  readonly linkLocal: readonly string[]
}

/** A default route: of which family, through which link, by whom ("" = whoever is on the link). */
export interface WayOut {
  readonly family: 4 | 6
  readonly link: number
  readonly gateway: string
}

const prefixOfLinkLocal = (address: string): number => (address.includes(":") ? 64 : 16)

/** What gives a link its addresses and sets it up. Default routes come after: see {@link wayOutMessage}. */
export const interfaceMessages = ({ name, index, addresses, linkLocal }: InterfacePlan): Message[] => {
  const given = [addresses.ipv4, addresses.ipv6].flatMap((one) =>
    one ? [{ link: index, address: one.address, prefixLength: one.prefixLength }] : [],
  )
  const local = linkLocal.map((address) => ({
    link: index,
    address,
    prefixLength: prefixOfLinkLocal(address),
  }))
  return [
    // Naming it too makes the kernel refuse an index that is not this link's.
    ...(addresses.ipv6 ? [] : [withoutIpv6({ index, name })]),
    setUp(addresses.ipv6 ? { index, name } : { index }),
    ...[...given, ...local].map(addAddress),
  ]
}

/**
 * Switches of an interface, to be set before it is up: what others on the network advertise changes none of its routes,
 * unless it was asked for.
 */
export const sysctlOperations = (
  name: string,
  addresses: GivenAddresses,
  asked: ReadonlyMap<string, string>,
): Operation[] => {
  const all = new Map([
    ...(addresses.ipv6 ? [["net/ipv6/conf/IFNAME/accept_ra", "0"] as const] : []),
    ...asked,
  ])
  return [...all].map(([key, value]) => ["sysctl", key.replace("IFNAME", name), value])
}

const routeOf = ({ family, link, gateway }: WayOut): Parameters<typeof addRoute>[0] => ({
  prefixLength: 0,
  link,
  ...(gateway === "" ? { family: family === 4 ? FAMILY_IPV4 : FAMILY_IPV6 } : { gateway }),
})

/** Adds a default route where there is none. */
export const wayOutMessage = (way: WayOut): Message => addRoute(routeOf(way))
/** Puts a default route in place of the one there is. */
export const otherWayOutMessage = (way: WayOut): Message => replaceRoute(routeOf(way))
