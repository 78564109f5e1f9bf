// Network namespaces with their first interface on a network: made in one request, all or nothing, held by the launcher.
import { randomBytes } from "node:crypto"
import { setTimeout as sleep } from "node:timers/promises"
import { failure } from "../../base/errors.ts"
import type { Kernel, Operation, Plan } from "../../kernel/kernel.ts"
import { getLink, netlinkOperation, readLinks } from "../../kernel/netlink/netlink.ts"
import { interfaceMessages, type WayOut, wayOutMessage } from "../containers/interface.ts"
import type { GivenAddresses } from "../ipam/addressing.ts"
import { collect, isRefusal } from "../request.ts"
import type { Prepared } from "./pool.ts"

/** Index that the first link gets in a fresh namespace, after lo, unless the kernel puts fallback tunnel devices there first. */
const USUAL_INDEX = 2

/** How often a taken hardware address is tried again, and after how many milliseconds. */
const TRIES = 30
const TRY_AGAIN_AFTER = 20

/** What a namespace is to have. */
export interface NamespaceRequest {
  readonly held: string
  readonly link: string
  readonly interfaceName: string
  readonly macAddress: string
  readonly addresses: GivenAddresses
  readonly linkLocal: readonly string[]
  /** Gateways of the default routes; "" = whoever is on the link; absent = no route. */
  readonly gateway4?: string
  readonly gateway6?: string
  /** Makes the link: see Driver.linkMessages. */
  readonly linkOperation: (hostName: string) => Operation
  /** Switches, set before the interface is up. */
  readonly sysctls: readonly Operation[]
  /** What else is to be done in it. */
  readonly operations: readonly Operation[]
}

/** Draws the part of names that nobody else has. */
export const newSerial = (): string => randomBytes(4).toString("hex")
export const hostEnd = (serial: string): string => `vethsl${serial}`

const waysOutThrough = (
  link: number,
  { gateway4, gateway6 }: { readonly gateway4?: string; readonly gateway6?: string },
): WayOut[] => [
  ...(gateway4 === undefined ? [] : [{ family: 4 as const, link, gateway: gateway4 }]),
  ...(gateway6 === undefined ? [] : [{ family: 6 as const, link, gateway: gateway6 }]),
]

export class Namespaces {
  readonly #kernel: Kernel
  #insideIndex: number
  #learnt = false

  constructor(kernel: Kernel, insideIndex = USUAL_INDEX) {
    this.#kernel = kernel
    this.#insideIndex = insideIndex
  }

  #plan(request: NamespaceRequest): Plan {
    const index = this.#insideIndex
    const { interfaceName: name, addresses, linkLocal } = request
    return [
      ["netns-create"],
      ["name", request.held],
      request.linkOperation(request.link),
      ...request.sysctls,
      netlinkOperation("inside", "route", [
        ...interfaceMessages({ name, index, addresses, linkLocal }),
        ...waysOutThrough(index, request).map(wayOutMessage),
      ]),
      ...request.operations,
    ]
  }

  /** A hardware address is taken until the namespace that had it is wholly gone: some 30 ms after its last process. */
  async #perform(plan: Plan): Promise<void> {
    for (let tries = 1; ; tries++)
      try {
        await this.#kernel.perform(plan)
        return
      } catch (error) {
        if (tries === TRIES || !isRefusal(error, "EADDRINUSE")) throw error
        await sleep(TRY_AGAIN_AFTER)
      }
  }

  /** Makes a namespace. Nothing is left of one that failed. */
  async make(request: NamespaceRequest): Promise<Prepared> {
    try {
      await this.#perform(this.#plan(request))
      const { held, link, interfaceName, addresses, macAddress } = request
      return { held, link, interfaceName, interfaceIndex: this.#insideIndex, addresses, macAddress }
    } catch (error) {
      if (this.#learnt) throw error
      this.#learnt = true
      const learnt = await this.#learnIndex(request).catch(() => undefined)
      if (learnt === undefined || learnt === this.#insideIndex) throw error
      this.#insideIndex = learnt
      // The failed pair's name is taken until it has been torn down: draw another.
      return this.make({ ...request, link: request.link === "" ? "" : hostEnd(newSerial()) })
    }
  }

  /** Asks the kernel which index the first link gets, by making a namespace and letting it go. */
  async #learnIndex({ held, link, interfaceName, linkOperation }: NamespaceRequest): Promise<number> {
    const trial = `${held}.trial`
    const hostName = link === "" ? "" : hostEnd(newSerial())
    await this.#kernel.perform([["netns-create"], ["name", trial], linkOperation(hostName)])
    try {
      const replies = await collect(this.#kernel, [
        ["netlink"],
        ["namespace", `held:${trial}`],
        netlinkOperation("inside", "route", [getLink({ name: interfaceName })]),
      ])
      const [found] = readLinks(replies)
      if (!found)
        throw failure(
          "internal",
          `a fresh network namespace has no ${interfaceName}; the kernel may lack veth`,
        )
      return found.index
    } finally {
      await this.#kernel.perform([["netns-drop"], ["name", trial]])
    }
  }
}
