// Which addresses of one subnet are taken, and a cursor that moves on so that an address rests before reuse.
import { failure } from "../../base/errors.ts"
import type { Cidr } from "./cidr.ts"
import { addressNumber, addressText, cidrText, holds, holdsAddress, sizeOf } from "./cidr.ts"

/**
 * Hands out addresses of a subnet, or of a range of it; never the network and broadcast address, nor reserved ones. The
 * cursor matters: a namespace that is just being torn down still answers ARP for its address for some 30 ms.
 */
export class Addresses {
  readonly subnet: Cidr
  readonly #range: Cidr
  readonly #taken = new Set<bigint>()
  /** How many of the range may be handed out in all, and how many are taken. */
  readonly #capacity: bigint
  #used = 0n
  #cursor: bigint

  constructor(subnet: Cidr, options: { readonly range?: Cidr; readonly reserved?: readonly string[] } = {}) {
    this.subnet = subnet
    this.#range = options.range ?? subnet
    this.#capacity = sizeOf(this.#range)
    this.#cursor = this.#range.base
    const size = sizeOf(subnet)
    if (size > 2n) {
      this.#mark(subnet.base)
      if (subnet.family === 4) this.#mark(subnet.base + size - 1n)
    }
    for (const address of options.reserved ?? [])
      if (holdsAddress(subnet, address)) this.#mark(addressNumber(address))
  }

  /** How many addresses may be handed out yet. */
  get free(): bigint {
    return this.#capacity - this.#used
  }

  #mark(number: bigint): void {
    if (this.#taken.has(number)) return
    this.#taken.add(number)
    if (holds(this.#range, this.subnet.family, number)) this.#used++
  }

  /** The next free address; undefined when there is none. */
  take(): string | undefined {
    if (this.free <= 0n) return undefined
    const end = this.#range.base + sizeOf(this.#range)
    let number = this.#cursor
    while (this.#taken.has(number)) number = number + 1n === end ? this.#range.base : number + 1n
    this.#mark(number)
    this.#cursor = number + 1n === end ? this.#range.base : number + 1n
    return addressText(this.subnet.family, number)
  }

  /** Takes a certain address. Throws Failure "forbidden" when it is taken, "invalid" when it lies outside. */
  claim(address: string): void {
    if (!holdsAddress(this.subnet, address))
      throw failure("invalid", `address ${address} is not in the network's subnet ${cidrText(this.subnet)}`)
    const number = addressNumber(address)
    if (this.#taken.has(number)) throw failure("forbidden", "Address already in use")
    this.#mark(number)
  }

  /** Gives an address back; giving back a free one changes nothing. */
  release(address: string): void {
    if (!holdsAddress(this.subnet, address)) return
    const number = addressNumber(address)
    if (this.#taken.delete(number) && holds(this.#range, this.subnet.family, number)) this.#used--
  }

  /** Moves the cursor past an address that somebody may still answer for. */
  skipPast(address: string): void {
    if (!holdsAddress(this.#range, address)) return
    const next = addressNumber(address) + 1n
    if (next > this.#cursor && holds(this.#range, this.subnet.family, next)) this.#cursor = next
  }
}
