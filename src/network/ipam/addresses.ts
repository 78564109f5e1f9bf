// Which addresses of one subnet are taken: a bitmap, and a cursor that moves on so that an address rests before reuse.
import { failure } from "../../base/errors.ts"
import type { Subnet } from "./subnet.ts"
import { contains, ipv4Number, ipv4Text, subnetSize, subnetText } from "./subnet.ts"

/**
 * Hands out addresses of a subnet, never the network, broadcast or gateway address. The cursor matters: a namespace
 * that is just being torn down still answers ARP for its address for some 30 ms.
 */
export class Addresses {
  readonly #subnet: Subnet
  readonly #taken: Uint8Array
  #cursor = 1
  #free: number

  constructor(subnet: Subnet, gateway: string) {
    this.#subnet = subnet
    const size = subnetSize(subnet)
    this.#taken = new Uint8Array(Math.max(1, Math.ceil(size / 8)))
    this.#free = size
    this.#mark(0)
    this.#mark(size - 1)
    this.#mark(ipv4Number(gateway) - subnet.base)
  }

  #isTaken(offset: number): boolean {
    return ((this.#taken[offset >> 3] ?? 0xff) & (1 << (offset & 7))) !== 0
  }
  #mark(offset: number): void {
    if (this.#isTaken(offset)) return
    this.#taken[offset >> 3] = (this.#taken[offset >> 3] ?? 0) | (1 << (offset & 7))
    this.#free--
  }

  /** The next free address. Throws Failure "exhausted". */
  take(): string {
    const size = subnetSize(this.#subnet)
    if (this.#free <= 0)
      throw failure(
        "exhausted",
        `no available IPv4 addresses on this network's address pools: ${subnetText(this.#subnet)}`,
      )
    while (this.#isTaken(this.#cursor)) this.#cursor = (this.#cursor + 1) % size
    const offset = this.#cursor
    this.#mark(offset)
    this.#cursor = (offset + 1) % size
    return ipv4Text(this.#subnet.base + offset)
  }

  /** Takes a certain address. Throws Failure "conflict" when it is taken, "invalid" when it lies outside. */
  claim(address: string): void {
    const number = ipv4Number(address)
    if (!contains(this.#subnet, number))
      throw failure(
        "invalid",
        `address ${address} is not in the network's subnet ${subnetText(this.#subnet)}`,
      )
    if (this.#isTaken(number - this.#subnet.base)) throw failure("conflict", `Address already in use`)
    this.#mark(number - this.#subnet.base)
  }

  /** Gives an address back; giving back a free one changes nothing. */
  release(address: string): void {
    const offset = ipv4Number(address) - this.#subnet.base
    if (offset < 0 || !this.#isTaken(offset)) return
    this.#taken[offset >> 3] = (this.#taken[offset >> 3] ?? 0) & ~(1 << (offset & 7))
    this.#free++
  }

  /** Moves the cursor past an address that somebody may still answer for. */
  skipPast(address: string): void {
    const offset = ipv4Number(address) - this.#subnet.base + 1
    if (offset > this.#cursor && offset < subnetSize(this.#subnet)) this.#cursor = offset
  }
}
