// The addresses of a whole network: one allocator for each of its subnets, tried in order.
import { failure } from "../../base/errors.ts"
import type { NetworkRecord } from "../../state/state.ts"
import { Addresses } from "./addresses.ts"
import type { Family } from "./cidr.ts"
import { familyOfAddress, holdsAddress, parseCidr, plainAddress } from "./cidr.ts"

/** What an endpoint gets of one family. */
export interface GivenAddress {
  readonly address: string
  readonly prefixLength: number
  /** Of its subnet; "" when the network has none. */
  readonly gateway: string
}
/** What an endpoint gets: of each family that the network has. */
export interface GivenAddresses {
  readonly ipv4?: GivenAddress
  readonly ipv6?: GivenAddress
}

export class Addressing {
  readonly #network: NetworkRecord
  readonly #subnets: readonly { readonly addresses: Addresses; readonly gateway: string }[]

  constructor(network: NetworkRecord) {
    this.#network = network
    this.#subnets = network.subnets.map(({ subnet, gateway, range, auxiliary }) => ({
      gateway,
      addresses: new Addresses(parseCidr(subnet), {
        ...(range === undefined ? {} : { range: parseCidr(range) }),
        reserved: [...(gateway === "" ? [] : [gateway]), ...Object.values(auxiliary ?? {})],
      }),
    }))
  }

  /** How many endpoints fit yet, as far as addresses go. */
  get free(): bigint {
    const of = (family: Family): bigint =>
      this.#subnets.reduce(
        (sum, { addresses }) => (addresses.subnet.family === family ? sum + addresses.free : sum),
        0n,
      )
    const counts = ([4, 6] as const).filter((family) => this.#has(family)).map(of)
    return counts.toSorted((one, other) => (one < other ? -1 : 1))[0] ?? 0n
  }

  #has(family: Family): boolean {
    return this.#subnets.some(({ addresses }) => addresses.subnet.family === family)
  }

  /** One address of each family that the network has; those asked for, or the next free ones. All or none. */
  take(asked: { readonly ipv4?: string; readonly ipv6?: string } = {}): GivenAddresses {
    const ipv4 = this.#has(4) ? this.#takeOf(4, asked.ipv4) : undefined
    try {
      const ipv6 = this.#has(6) ? this.#takeOf(6, asked.ipv6) : undefined
      return { ...(ipv4 && { ipv4 }), ...(ipv6 && { ipv6 }) }
    } catch (error) {
      if (ipv4) this.release({ ipv4 })
      throw error
    }
  }

  #takeOf(family: Family, asked: string | undefined): GivenAddress {
    for (const { addresses, gateway } of this.#subnets) {
      const { subnet } = addresses
      if (subnet.family !== family) continue
      if (asked !== undefined) {
        if (!holdsAddress(subnet, asked)) continue
        addresses.claim(asked)
        return { address: plainAddress(asked), prefixLength: subnet.prefixLength, gateway }
      }
      const address = addresses.take()
      if (address !== undefined) return { address, prefixLength: subnet.prefixLength, gateway }
    }
    const { name, id } = this.#network
    if (asked !== undefined)
      throw failure(
        "invalid",
        `invalid address ${asked}: It does not belong to any of this network's subnets`,
      )
    throw failure(
      "exhausted",
      `no available IPv${family} addresses on this network's address pools: ${name} (${id})`,
    )
  }

  /** Notes addresses as taken by an endpoint that lives already. Throws Failure when one cannot be. */
  restore(address: string): void {
    this.#of(address)?.claim(address)
  }
  /** Gives addresses back. */
  release(given: GivenAddresses): void {
    for (const one of [given.ipv4, given.ipv6]) if (one) this.#of(one.address)?.release(one.address)
  }
  /** Goes on beyond an address that somebody may still answer for. */
  skipPast(address: string): void {
    this.#of(address)?.skipPast(address)
  }

  #of(address: string): Addresses | undefined {
    if (familyOfAddress(address) === undefined) return undefined
    return this.#subnets.find(({ addresses }) => holdsAddress(addresses.subnet, address))?.addresses
  }
}
