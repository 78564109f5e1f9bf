// Network namespaces on a bridge: made in one request, held by the launcher, let go, and looked after when they end.
import { randomBytes } from "node:crypto"
import { existsSync } from "node:fs"
import { errorMessage } from "../base/errors.ts"
import type { Kernel } from "../kernel/kernel.ts"
import { deleteLink } from "../kernel/netlink/netlink.ts"
import type { Bridge } from "./bridge/bridge.ts"
import type { Addresses } from "./ipam/addresses.ts"
import type { Prepared } from "./pool.ts"
import { routeRequest } from "./request.ts"
import type { VethPlan } from "./veth.ts"
import { learnInsideIndex, macAddressOf, namespacePlan, USUAL_INDEX } from "./veth.ts"

/** Namespaces that containers have taken over are let go together, this many milliseconds later. */
const DROP_AFTER = 100
/** After this many milliseconds a container's veth has died with its namespace; if it has not, it is removed. */
const SWEEP_AFTER = 1500

export interface NamespacesOptions {
  readonly kernel: Kernel
  readonly bridge: Bridge
  readonly addresses: Addresses
  readonly hairpin: boolean
  readonly warn: (message: string) => void
  readonly insideIndex?: number
}

export class Namespaces {
  readonly #options: NamespacesOptions
  /** Links of containers that left, with the address that rests until they are gone. */
  readonly #departed = new Map<string, string>()
  #insideIndex: number
  #learnt = false
  #sweep: NodeJS.Timeout | undefined
  readonly #leaving: string[] = []
  #dropping: NodeJS.Timeout | undefined

  constructor(options: NamespacesOptions) {
    this.#options = options
    this.#insideIndex = options.insideIndex ?? USUAL_INDEX
  }

  /** Makes a namespace with an address of its own and eth0 on the bridge. Nothing is left of one that failed. */
  async make(macAddress?: string): Promise<Prepared> {
    const address = this.#options.addresses.take()
    try {
      return await this.#makeAt(address, macAddress)
    } catch (error) {
      this.#options.addresses.release(address)
      throw error
    }
  }

  async #makeAt(address: string, macAddress?: string): Promise<Prepared> {
    const plan = this.#plan(address, macAddress)
    try {
      await this.#options.kernel.perform(namespacePlan(plan))
      return plan
    } catch (error) {
      if (this.#learnt) throw error
      this.#learnt = true
      // The failed pair's name is taken until it has been torn down: draw others.
      const learnt = await learnInsideIndex(this.#options.kernel, this.#plan(address)).catch(() => undefined)
      if (learnt === undefined || learnt === this.#insideIndex) throw error
      this.#insideIndex = learnt
      return this.#makeAt(address, macAddress)
    }
  }

  #plan(address: string, macAddress?: string): VethPlan & Prepared {
    const { bridge, hairpin } = this.#options
    const serial = randomBytes(4).toString("hex")
    return {
      held: `${bridge.name}.${address}.${serial}`,
      link: `vethsl${serial}`,
      address,
      macAddress: macAddress?.toLowerCase() ?? macAddressOf(address),
      bridgeIndex: bridge.index,
      mtu: bridge.mtu,
      prefixLength: bridge.subnet.prefixLength,
      gateway: bridge.gateway,
      hairpin,
      insideIndex: this.#insideIndex,
    }
  }

  /** Names that the launcher holds for this bridge. */
  async held(): Promise<string[]> {
    const names = (await this.#options.kernel.perform([["netns-list"]])).get("name") ?? []
    return names.filter((name) => name.startsWith(`${this.#options.bridge.name}.`))
  }

  /** Lets namespaces go; each dies now, or with the last process in it. */
  async drop(names: readonly string[]): Promise<void> {
    if (names.length === 0) return
    await this.#options.kernel.perform([["netns-drop"], ...names.map((name) => ["name", name] as const)])
  }

  /** Lets a namespace go soon, in one request with others: a launch never waits for it. */
  dropSoon(name: string): void {
    this.#leaving.push(name)
    this.#dropping ??= setTimeout(() => {
      void this.#dropLeaving().catch((error: unknown) =>
        this.#options.warn(
          `could not let go of namespaces that containers took over: ${errorMessage(error)}`,
        ),
      )
    }, DROP_AFTER)
  }
  async #dropLeaving(): Promise<void> {
    clearTimeout(this.#dropping)
    this.#dropping = undefined
    await this.drop(this.#leaving.splice(0))
  }

  /**
   * Lets go of what an earlier daemon had prepared. It may have been given away, so that none is adopted; and as
   * dying namespaces still answer ARP for their addresses, new ones start beyond those.
   */
  async dropLeftovers(): Promise<void> {
    const names = await this.held()
    for (const name of names) {
      const address = name.slice(this.#options.bridge.name.length + 1, name.lastIndexOf("."))
      this.#options.addresses.skipPast(address)
    }
    await this.drop(names)
  }

  /** Lets namespaces go that nobody got. */
  async discard(entries: readonly Prepared[]): Promise<void> {
    for (const entry of entries) this.depart(entry.link, entry.address)
    await this.drop(entries.map((entry) => entry.held))
  }

  /** The address rests until its veth is gone: a dying namespace still answers for it. */
  depart(link: string, address: string): void {
    this.#departed.set(link, address)
    if (this.#sweep) return
    this.#sweep = setTimeout(() => {
      this.#sweep = undefined
      void this.#sweepDeparted().catch((error: unknown) =>
        this.#options.warn(`could not look after links of ended containers: ${errorMessage(error)}`),
      )
    }, SWEEP_AFTER)
    this.#sweep.unref()
  }

  /** Frees addresses whose veth has gone; one that others keep alive (network container:ID) is removed first. */
  async #sweepDeparted(): Promise<void> {
    const { kernel, addresses } = this.#options
    const departed = [...this.#departed]
    this.#departed.clear()
    for (const [link, address] of departed) {
      if (existsSync(`/sys/class/net/${link}`))
        await routeRequest(kernel, [deleteLink({ name: link })]).catch(() => undefined)
      addresses.release(address)
    }
  }

  /** Lets go of what is to go, and stops looking after departed links: the kernel removes them by itself. */
  async close(): Promise<void> {
    clearTimeout(this.#sweep)
    await this.#dropLeaving()
  }
}
