// Contract of a network driver: what a kind of network is made of on this host, and what puts a container on it.
import type { Message } from "../kernel/netlink/netlink.ts"
import type { NetworkRecord } from "../state/state.ts"
import type { HostNetwork } from "./host-network.ts"
import type { GivenAddress } from "./ipam/addressing.ts"
import type { NetworkCreate } from "./network.ts"

/** What endpoints of a network attach to on this host. */
export interface Footing {
  readonly name: string
  /** The link's index. */
  readonly index: number
  readonly mtu: number
}

/** An endpoint's link as a driver is to make it. */
export interface LinkRequest {
  /** The host's end, where there is one; nobody else has the name. */
  readonly hostName: string
  /** Its name in the container. */
  readonly name: string
  readonly macAddress: string
}

export interface Driver {
  /** As users name it: "bridge". */
  readonly name: string
  /** Whether a subnet without a gateway gets one: it is this host. */
  readonly isGateway: boolean
  /** Whether endpoints have an end on this host, named in their lease. */
  readonly hasHostEnd: boolean
  /** Whether endpoints have hardware addresses of their own. */
  readonly hasMacAddress: boolean
  /** Whether namespaces are prepared on its networks ahead. */
  readonly isPrepared: boolean
  /** Whether ports can be published through it, and whether its subnets are this host's own. */
  readonly isGuarded: boolean
  /** Throws Failure for what the driver does not do. `others` are the networks there are. */
  check(request: NetworkCreate, others: readonly NetworkRecord[]): void
  /**
   * Makes what is missing on this host, and mends what was changed. What it made is gone when it fails. `host` is what
   * this host has, if somebody has just looked.
   */
  raise(network: NetworkRecord, host?: HostNetwork): Promise<Footing>
  /** Whether what it made still works, as a look of a few microseconds tells; absent = only its link has to be there. */
  isSound?(network: NetworkRecord): boolean
  /** Takes it away: nothing new can use it when this resolves; what the kernel is slow at goes on behind. */
  lower(network: NetworkRecord): Promise<void>
  /** Gateway of a default route through it, "" for whoever is on the link; undefined = it is no way out. */
  wayOut(network: NetworkRecord, given: GivenAddress | undefined): string | undefined
  /** Messages for the host's namespace that make an endpoint's link, down, with its inner end in the inside namespace. */
  linkMessages(network: NetworkRecord, footing: Footing, link: LinkRequest): readonly Message[]
}
