// What networks and published ports are in the table: elements of its sets, counted, as several may need the same one.
import { failure } from "../../base/errors.ts"
import type { Element } from "../../kernel/netlink/netlink.ts"
import { ipBytes } from "../../kernel/netlink/netlink.ts"
import type { Cidr } from "../ipam/cidr.ts"
import { addressNumber, addressText, familyOfAddress, holdsAddress, parseCidr, sizeOf } from "../ipam/cidr.ts"
import type { GuardedNetwork, GuardedSubnet, Publication } from "./guard.ts"
import type { Version } from "./matches.ts"
import { interfaceName, PROTOCOLS } from "./matches.ts"

export type ElementsBySet = ReadonlyMap<string, readonly Element[]>
/** An element and the set that it is in. */
export interface Placed {
  readonly set: string
  readonly element: Element
}

const portBytes = (port: number): Uint8Array => Uint8Array.of(port >> 8, port & 0xff)
const firstOf = (block: Cidr): Buffer => ipBytes(addressText(block.family, block.base))
const lastOf = (block: Cidr): Buffer => ipBytes(addressText(block.family, block.base + sizeOf(block) - 1n))
const blockElement = (block: Cidr, value?: string): Element => ({
  key: [firstOf(block)],
  last: [lastOf(block)],
  ...(value === undefined ? {} : { value: [ipBytes(value)] }),
})
const pairElement = (one: Cidr, other: Cidr): Element => ({
  key: [firstOf(one), firstOf(other)],
  last: [lastOf(one), lastOf(other)],
})

const subnetElements = (subnet: GuardedSubnet): Placed[] => {
  const block = parseCidr(subnet.subnet)
  const version = block.family
  const placed: Placed[] = [{ set: `hairpin${version}`, element: pairElement(block, block) }]
  switch (subnet.mode) {
    case "nat-unprotected":
      placed.push({ set: `open${version}`, element: blockElement(block) })
      break
    case "routed":
      placed.push({ set: `routed${version}`, element: blockElement(block) })
      break
    case "nat":
    case "isolated":
      break
  }
  const translates = subnet.mode === "nat" || subnet.mode === "nat-unprotected"
  if (translates && subnet.masquerade)
    placed.push(
      subnet.sourceAddress
        ? { set: `sources${version}`, element: blockElement(block, subnet.sourceAddress) }
        : { set: `masqueraded${version}`, element: blockElement(block) },
    )
  return placed
}

/** Where a network is in the table. Throws Failure "invalid" for a subnet that is none. */
export const networkElements = (network: GuardedNetwork): Placed[] => {
  const bridge = interfaceName(network.bridge)
  const at = (set: string, element: Element): Placed => ({ set, element })
  const placed = [
    at("bridges", { key: [bridge] }),
    at("toward", {
      key: [bridge],
      value: { kind: "goto", chain: network.internal ? "to_internal" : "to_containers" },
    }),
  ]
  if (network.icc) placed.push(at("together", { key: [bridge, bridge] }))
  if (network.internal) placed.push(at("from", { key: [bridge], value: { kind: "drop" } }))
  else {
    for (const trusted of network.trusted)
      placed.push(at("together", { key: [interfaceName(trusted), bridge] }))
    placed.push(...network.subnets.flatMap(subnetElements))
  }
  return placed
}

const isEvery = (address: string): boolean => address === "0.0.0.0" || address === "::"
const EVERY = {
  4: ["0.0.0.0", "255.255.255.255"],
  6: ["::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"],
} as const

const translations = (publication: Publication, version: Version, count: number): Placed[] => {
  const { protocol, hostAddress, hostPort, address, port } = publication
  const number = Uint8Array.of(PROTOCOLS[protocol])
  const every = isEvery(hostAddress)
  const target = ipBytes(address)
  if (count > 1 && hostPort === port) {
    const [first, last] = every ? EVERY[version] : [hostAddress, hostAddress]
    const element = {
      key: [ipBytes(first), number, portBytes(hostPort)],
      last: [ipBytes(last), number, portBytes(hostPort + count - 1)],
      value: [target],
    }
    return [{ set: `ranges${version}`, element }]
  }
  const host = every ? [] : [ipBytes(hostAddress)]
  return Array.from({ length: count }, (_, index) => ({
    set: `${every ? "everywhere" : "published"}${version}`,
    element: {
      key: [...host, number, portBytes(hostPort + index)],
      value: [target, portBytes(port + index)],
    },
  }))
}

/**
 * Where a publication is in the table, given the networks that are guarded. Throws Failure "invalid" for addresses that are
 * none or not of one family, and for ports beyond 65535.
 */
export const publicationElements = (
  publication: Publication,
  networks: Iterable<GuardedNetwork>,
): Placed[] => {
  const { protocol, hostAddress, hostPort, address, port, count = 1, otherSubnets = [] } = publication
  const version = familyOfAddress(address)
  if (version === undefined || (hostAddress !== "" && familyOfAddress(hostAddress) !== version))
    throw failure("invalid", `port ${hostPort} of ${hostAddress} cannot be published for ${address}`)
  if (port + count > 65536 || hostPort + count > 65536)
    throw failure("invalid", `there are no ${count} ports from ${Math.max(port, hostPort)} on`)
  const target = ipBytes(address)
  const home = homeOf(address, networks)
  if (home?.internal) return []
  const hairpins = otherSubnets.map((other) => ({
    set: `hairpin${version}`,
    element: pairElement(parseCidr(other), {
      family: version,
      base: addressNumber(address),
      prefixLength: version === 4 ? 32 : 128,
    }),
  }))
  if (home?.mode !== "routed") return [...translations(publication, version, count), ...hairpins]
  const number = Uint8Array.of(PROTOCOLS[protocol])
  return [
    {
      set: `reachable${version}`,
      element: {
        key: [target, number, portBytes(port)],
        last: [target, number, portBytes(port + count - 1)],
      },
    },
  ]
}

const homeOf = (
  address: string,
  networks: Iterable<GuardedNetwork>,
): { readonly mode: GuardedSubnet["mode"]; readonly internal: boolean } | undefined => {
  for (const { subnets, internal } of networks)
    for (const { subnet, mode } of subnets)
      if (holdsAddress(parseCidr(subnet), address)) return { mode, internal }
  return undefined
}

const keyText = ({ key, last }: Element): string => Buffer.concat([...key, ...(last ?? [])]).toString("hex")

/** All elements that the table should have, with how many need each. */
export class CountedElements {
  readonly #sets = new Map<string, Map<string, { readonly element: Element; count: number }>>()

  /** Counts elements in; gives those that are new. */
  add(list: readonly Placed[]): Map<string, Element[]> {
    const fresh = new Map<string, Element[]>()
    for (const { set, element } of list) {
      const known = this.#sets.get(set) ?? new Map()
      this.#sets.set(set, known)
      const key = keyText(element)
      const entry = known.get(key)
      if (entry) entry.count++
      else {
        known.set(key, { element, count: 1 })
        push(fresh, set, element)
      }
    }
    return fresh
  }

  /** Counts elements out; gives those that nobody needs any more. */
  subtract(list: readonly Placed[]): Map<string, Element[]> {
    const gone = new Map<string, Element[]>()
    for (const { set, element } of list) {
      const key = keyText(element)
      const entry = this.#sets.get(set)?.get(key)
      if (!entry || --entry.count > 0) continue
      this.#sets.get(set)?.delete(key)
      push(gone, set, entry.element)
    }
    return gone
  }

  all(): Map<string, Element[]> {
    return new Map(
      [...this.#sets]
        .filter(([, entries]) => entries.size > 0)
        .map(([set, entries]) => [set, [...entries.values()].map(({ element }) => element)]),
    )
  }
}

const push = (map: Map<string, Element[]>, set: string, element: Element): void => {
  const list = map.get(set)
  if (list) list.push(element)
  else map.set(set, [element])
}
