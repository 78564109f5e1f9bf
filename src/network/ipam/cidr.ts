// Blocks of IPv4 and IPv6 addresses as numbers: parsing, containment, overlap.
import { isIPv4, isIPv6 } from "node:net"
import { failure } from "../../base/errors.ts"
import { ipBytes, ipText } from "../../kernel/netlink/netlink.ts"

export type Family = 4 | 6

export interface Cidr {
  readonly family: Family
  /** First address as a number. */
  readonly base: bigint
  readonly prefixLength: number
}

const bitsOf = (family: Family): number => (family === 4 ? 32 : 128)
/** 4 or 6; undefined for what is no address. */
export const familyOfAddress = (address: string): Family | undefined =>
  isIPv4(address) ? 4 : isIPv6(address) && !address.includes("%") ? 6 : undefined

/** Address to a number. Throws Failure "invalid". */
export const addressNumber = (address: string): bigint => BigInt(`0x${ipBytes(address).toString("hex")}`)
export const addressText = (family: Family, number: bigint): string =>
  ipText(Buffer.from(number.toString(16).padStart(family === 4 ? 8 : 32, "0"), "hex"))

/** An address in its usual form ("FD00::0:1" is "fd00::1"). Throws Failure "invalid". */
export const plainAddress = (address: string): string => ipText(ipBytes(address))

/** Number of addresses. */
export const sizeOf = (block: Cidr): bigint => 1n << BigInt(bitsOf(block.family) - block.prefixLength)

/** The block of `prefixLength` that an address lies in. */
export const blockAround = (family: Family, number: bigint, prefixLength: number): Cidr => {
  const host = BigInt(bitsOf(family) - prefixLength)
  return { family, base: (number >> host) << host, prefixLength }
}

/** "172.17.0.0/16" or "fd00::/64" to a block; host bits are dropped. Throws Failure "invalid". */
export const parseCidr = (text: string): Cidr => {
  const slash = text.lastIndexOf("/")
  const address = text.slice(0, slash)
  const prefix = text.slice(slash + 1)
  const family = familyOfAddress(address)
  if (slash < 0 || family === undefined || !/^\d{1,3}$/.test(prefix) || Number(prefix) > bitsOf(family))
    throw failure("invalid", `invalid CIDR address: ${text}`)
  return blockAround(family, addressNumber(address), Number(prefix))
}
export const cidrText = (block: Cidr): string =>
  `${addressText(block.family, block.base)}/${block.prefixLength}`

export const holds = (block: Cidr, family: Family, number: bigint): boolean =>
  family === block.family && number >= block.base && number < block.base + sizeOf(block)
export const holdsAddress = (block: Cidr, address: string): boolean => {
  const family = familyOfAddress(address)
  return family === block.family && holds(block, family, addressNumber(address))
}
export const overlap = (one: Cidr, other: Cidr): boolean =>
  holds(one, other.family, other.base) || holds(other, one.family, one.base)
