// IPv4 subnets as numbers: parsing, overlap, and Docker's default pools in their order.
import { isIPv4 } from "node:net"
import { failure } from "../../base/errors.ts"

export interface Subnet {
  /** First address as a number. */
  readonly base: number
  readonly prefixLength: number
}

/** Dotted IPv4 address to an unsigned number. Throws Failure "invalid". */
export const ipv4Number = (address: string): number => {
  if (!isIPv4(address)) throw failure("invalid", `invalid IPv4 address: ${JSON.stringify(address)}`)
  return address.split(".").reduce((number, part) => number * 256 + Number(part), 0)
}
export const ipv4Text = (number: number): string =>
  `${number >>> 24}.${(number >>> 16) & 255}.${(number >>> 8) & 255}.${number & 255}`

/** "172.17.0.0/16" to a subnet; host bits are dropped. Throws Failure "invalid". */
export const parseSubnet = (text: string): Subnet => {
  const [address = "", prefix = ""] = text.split("/")
  const prefixLength = Number(prefix)
  if (!/^\d{1,2}$/.test(prefix) || prefixLength > 32 || !isIPv4(address))
    throw failure("invalid", `invalid CIDR address: ${text}`)
  return { base: (ipv4Number(address) & mask(prefixLength)) >>> 0, prefixLength }
}
export const subnetText = (subnet: Subnet): string => `${ipv4Text(subnet.base)}/${subnet.prefixLength}`

const mask = (prefixLength: number): number => (prefixLength === 0 ? 0 : (-1 << (32 - prefixLength)) >>> 0)
/** Number of addresses, network and broadcast address included. */
export const subnetSize = (subnet: Subnet): number => 2 ** (32 - subnet.prefixLength)
export const contains = (subnet: Subnet, address: number): boolean =>
  address >= subnet.base && address < subnet.base + subnetSize(subnet)
export const overlaps = (one: Subnet, other: Subnet): boolean =>
  contains(one, other.base) || contains(other, one.base)

/** Docker's: 172.17.0.0/16 to 172.31.0.0/16, then 192.168.0.0/16 in steps of /20. */
export const defaultPools: readonly Subnet[] = [
  ...Array.from({ length: 15 }, (_, index) => ({
    base: ipv4Number(`172.${17 + index}.0.0`),
    prefixLength: 16,
  })),
  ...Array.from({ length: 16 }, (_, index) => ({
    base: ipv4Number(`192.168.${index * 16}.0`),
    prefixLength: 20,
  })),
]

/** The first pool that touches nothing of what is used already. Throws Failure "exhausted". */
export const chooseSubnet = (pools: readonly Subnet[], used: readonly Subnet[]): Subnet => {
  const free = pools.find((pool) => !used.some((other) => overlaps(pool, other)))
  if (!free)
    throw failure(
      "exhausted",
      "could not find an available, non-overlapping IPv4 address pool among the defaults to assign to the network",
    )
  return free
}
