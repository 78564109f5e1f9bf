// A network that is up: its footing on this host, its addresses, and the namespaces prepared on it.
import { existsSync, readFileSync } from "node:fs"
import { errorKind, errorMessage } from "../base/errors.ts"
import type { Kernel, Operation } from "../kernel/kernel.ts"
import { netlinkOperation, setMaster } from "../kernel/netlink/netlink.ts"
import type { NetworkRecord } from "../state/state.ts"
import { interfacePrefix } from "./bridge/options.ts"
import { macAddressOf, sysctlOperations } from "./containers/interface.ts"
import type { Driver, Footing } from "./driver.ts"
import type { GivenAddresses } from "./ipam/addressing.ts"
import { Addressing } from "./ipam/addressing.ts"
import type { Departed, Departures } from "./pool/departures.ts"
import type { HeldNamespaces } from "./pool/held.ts"
import type { Namespaces } from "./pool/namespaces.ts"
import { hostEnd, newSerial } from "./pool/namespaces.ts"
import type { Prepared } from "./pool/pool.ts"
import { Pool } from "./pool/pool.ts"
import { routeRequest } from "./request.ts"

/** What all segments of an engine share. */
export interface SegmentTools {
  readonly kernel: Kernel
  readonly held: HeldNamespaces
  readonly departures: Departures
  readonly namespaces: Namespaces
  /** Operations that every namespace of a user-defined network needs, once; `fresh`: it has never had them. */
  readonly nameOperations: (fresh: boolean) => readonly Operation[]
  /** Most namespaces kept ready on one network. */
  readonly poolSize: number
  /** Whether the engine's pools together may hold one more. */
  readonly hasRoom: () => boolean
  readonly warn: (message: string) => void
}

/** What one endpoint was asked to have; what is absent is chosen. */
export interface EndpointWishes {
  readonly ipv4?: string
  readonly ipv6?: string
  readonly linkLocal: readonly string[]
  readonly macAddress?: string
  readonly interfaceName?: string
  /** Switches of its interface, IFNAME standing for its name: "net/ipv4/conf/IFNAME/log_martians" to a value. */
  readonly sysctls: ReadonlyMap<string, string>
}

/** Networks with fewer addresses than this many for each prepared namespace keep none ready. */
const ADDRESSES_PER_PREPARED = 16n

const indexOf = (name: string): number | undefined => {
  try {
    return Number(readFileSync(`/sys/class/net/${name}/ifindex`, "latin1"))
  } catch {
    return undefined
  }
}

const masterOf = (link: string): number | undefined => {
  try {
    return Number(readFileSync(`/sys/class/net/${link}/master/ifindex`, "latin1"))
  } catch {
    return undefined
  }
}

export class Segment {
  readonly driver: Driver
  readonly pool: Pool
  readonly addressing: Addressing
  readonly isDefault: boolean
  readonly #tools: SegmentTools
  #record: NetworkRecord
  #footing: Footing
  #repair: Promise<void> | undefined
  /** What somebody changed on it cannot be put right: it is not looked at any more. */
  #isLeftAlone = false
  /** Containers that are being put on it: it must not be removed meanwhile. */
  joining = 0

  constructor(
    record: NetworkRecord,
    driver: Driver,
    footing: Footing,
    tools: SegmentTools,
    options: { readonly isDefault: boolean },
  ) {
    this.#record = record
    this.#footing = footing
    this.#tools = tools
    this.driver = driver
    this.isDefault = options.isDefault
    this.addressing = new Addressing(record)
    const fitting = this.addressing.free / ADDRESSES_PER_PREPARED
    const most = driver.isPrepared ? tools.poolSize : 0
    const largest = fitting < BigInt(most) ? Number(fitting) : most
    this.pool = new Pool({
      create: () => this.make({ linkLocal: [], sysctls: new Map() }),
      drop: (entries) => this.discard(entries),
      failed: (error) =>
        tools.warn(`could not prepare a network namespace on ${record.name} ahead: ${errorMessage(error)}`),
      largest,
      smallest: Math.min(2, largest),
      eager: options.isDefault,
      hasRoom: tools.hasRoom,
    })
  }

  get record(): NetworkRecord {
    return this.#record
  }
  get footing(): Footing {
    return this.#footing
  }
  get interfacePrefix(): string {
    return interfacePrefix(this.#record.options)
  }

  /** Gateways of default routes through it; absent = none. */
  gatewaysOf(addresses: GivenAddresses): { gateway4?: string; gateway6?: string } {
    const gateway4 = this.driver.wayOut(this.#record, addresses.ipv4)
    const gateway6 = this.driver.wayOut(this.#record, addresses.ipv6)
    return {
      ...(gateway4 === undefined ? {} : { gateway4 }),
      ...(gateway6 === undefined ? {} : { gateway6 }),
    }
  }

  /** The operation that makes an endpoint's link. */
  linkOperation(hostName: string, name: string, macAddress: string): Operation {
    return netlinkOperation(
      "host",
      "route",
      this.driver.linkMessages(this.#record, this.#footing, { hostName, name, macAddress }),
    )
  }

  /** "" where the driver gives none. */
  macAddressFor(wishes: EndpointWishes, addresses: GivenAddresses): string {
    if (!this.driver.hasMacAddress) return ""
    return wishes.macAddress?.toLowerCase() ?? macAddressOf(addresses)
  }

  newHostEnd(): string {
    return this.driver.hasHostEnd ? hostEnd(newSerial()) : ""
  }

  /** A prepared namespace with its first interface on this network, if one is there that fits. */
  takeReady(wishes: EndpointWishes): Prepared | undefined {
    const isPlain =
      wishes.macAddress === undefined &&
      wishes.interfaceName === undefined &&
      wishes.linkLocal.length === 0 &&
      wishes.sysctls.size === 0
    const fits = ({ addresses }: Prepared): boolean =>
      (wishes.ipv4 === undefined || addresses.ipv4?.address === wishes.ipv4) &&
      (wishes.ipv6 === undefined || addresses.ipv6?.address === wishes.ipv6)
    return isPlain ? this.pool.take(fits) : undefined
  }

  /**
   * Addresses for an endpoint. What has the ones asked for without needing them gives them up: a prepared namespace, or a
   * container that has gone. What rests is given early when there is nothing else.
   */
  async takeAddresses(wishes: EndpointWishes): Promise<GivenAddresses> {
    const { ipv4, ipv6 } = wishes
    const asked = { ...(ipv4 === undefined ? {} : { ipv4 }), ...(ipv6 === undefined ? {} : { ipv6 }) }
    const has = ({ addresses }: { readonly addresses: GivenAddresses }): boolean =>
      (ipv4 !== undefined && addresses.ipv4?.address === ipv4) ||
      (ipv6 !== undefined && addresses.ipv6?.address === ipv6)
    const isOurs = ({ network }: Departed): boolean => network === this.#record.id
    if (ipv4 !== undefined || ipv6 !== undefined) {
      const holder = this.pool.take(has)
      if (holder) await this.#giveUp(holder)
      await this.#tools.departures.hurry((departed) => isOurs(departed) && has(departed))
    }
    try {
      return this.addressing.take(asked)
    } catch (error) {
      if (errorKind(error) !== "exhausted") throw error
      if ((await this.#tools.departures.hurry(isOurs)) === 0) throw error
      return this.addressing.take(asked)
    }
  }

  /** Its link is removed before its address is given to another, for which nobody else may answer. */
  async #giveUp(entry: Prepared): Promise<void> {
    await this.#tools.departures.removeNow(entry.link)
    await this.#tools.held.drop([entry.held])
    this.addressing.release(entry.addresses)
  }

  /** Makes a namespace with an address of its own. Nothing is left of one that failed. */
  async make(wishes: EndpointWishes): Promise<Prepared> {
    const addresses = await this.takeAddresses(wishes)
    try {
      const link = this.newHostEnd()
      const interfaceName = wishes.interfaceName ?? `${this.interfacePrefix}0`
      const macAddress = this.macAddressFor(wishes, addresses)
      const address = addresses.ipv4?.address ?? addresses.ipv6?.address ?? ""
      return await this.#tools.namespaces.make({
        held: this.#tools.held.nameFor(address, newSerial()),
        link,
        interfaceName,
        macAddress,
        addresses,
        linkLocal: wishes.linkLocal,
        ...this.gatewaysOf(addresses),
        linkOperation: (hostName) => this.linkOperation(hostName, interfaceName, macAddress),
        sysctls: sysctlOperations(interfaceName, addresses, wishes.sysctls),
        operations: this.isDefault ? [] : this.#tools.nameOperations(true),
      })
    } catch (error) {
      this.addressing.release(addresses)
      throw error
    }
  }

  /** Gives an endpoint's addresses back once its link is gone. */
  depart(link: string, addresses: GivenAddresses): void {
    const release = (): void => this.addressing.release(addresses)
    this.#tools.departures.add({ link, network: this.#record.id, addresses, release })
  }

  /** Lets namespaces go that nobody got. */
  async discard(entries: readonly Prepared[]): Promise<void> {
    for (const entry of entries) this.depart(entry.link, entry.addresses)
    await this.#tools.held.drop(entries.map((entry) => entry.held))
  }

  /** Makes sure that what it stands on still works; `links` are ends of its endpoints, to be put on a new bridge. */
  async ensure(links: () => readonly string[]): Promise<void> {
    const isThere = indexOf(this.#footing.name) === this.#footing.index
    if (isThere && (this.#isLeftAlone || this.#isSound())) return
    this.#repair ??= (isThere ? this.#mend() : this.#remake(links())).finally(() => {
      this.#repair = undefined
    })
    await this.#repair
  }

  #isSound(): boolean {
    return this.driver.isSound?.(this.#record) ?? true
  }

  async #mend(): Promise<void> {
    const { warn } = this.#tools
    const { name } = this.#footing
    warn(`network ${this.#record.name}: ${name} was changed by somebody and is put right`)
    this.#footing = await this.driver.raise(this.#record)
    this.#isLeftAlone = !this.#isSound()
    if (this.#isLeftAlone)
      warn(`network ${this.#record.name}: ${name} is down or has lost a route, and is left as it is`)
  }

  async #remake(links: readonly string[]): Promise<void> {
    const { warn } = this.#tools
    warn(`network ${this.#record.name}: ${this.#footing.name} was removed by somebody and is made again`)
    this.#isLeftAlone = false
    this.#footing = await this.driver.raise(this.#record)
    void this.discard(this.pool.empty()).catch((error: unknown) =>
      warn(`could not let go of namespaces prepared on ${this.#record.name}: ${errorMessage(error)}`),
    )
    await this.adopt(links)
  }

  /** Puts ends of endpoints on the bridge where they are not. */
  async adopt(links: readonly string[]): Promise<void> {
    const { kernel, warn } = this.#tools
    if (!this.driver.hasHostEnd) return
    const { index, name } = this.#footing
    const strayed = links.filter((link) => existsSync(`/sys/class/net/${link}`) && masterOf(link) !== index)
    for (const link of strayed)
      await routeRequest(kernel, [setMaster({ name: link }, index)]).catch((error: unknown) =>
        warn(`container's interface ${link} could not be put on ${name}: ${errorMessage(error)}`),
      )
  }

  async close(): Promise<void> {
    await this.pool.close()
  }
}
