// Contract. Networks and how a container joins them. The namespace is prepared first and the launch plan carries its name.

import type { LinkCounters } from "../kernel/netlink/netlink.ts"
import type {
  EndpointRecord,
  NetworkRecord,
  NetworkRequest,
  PortRequest,
  PublishedPort,
} from "../state/state.ts"
import type { LinkedContainer } from "./files/hosts.ts"
import type { KnownLease } from "./open.ts"

export { updatedHosts } from "./files/hosts.ts"
export { updatedResolvConf } from "./files/name-server-conf.ts"
export { plainTexts } from "./files/plain-texts.ts"
export { holdsAddress, parseCidr } from "./ipam/cidr.ts"
export { openNetworks } from "./networks.ts"
export type { KnownLease } from "./open.ts"
export { bridgeNameOf, type NetworksOptions } from "./options.ts"
export type { LinkedContainer }

/** What went over one endpoint, from the container's point of view; `name` is its interface there. */
export interface EndpointCounters extends LinkCounters {
  readonly name: string
}

/** What a container gets from the network room when it starts. */
export interface Attachment {
  /** For the plan's `namespace network …` operation: "new", "held:NAME", "host" (do not name it) or a path. */
  readonly namespace: string
  readonly endpoints: readonly EndpointRecord[]
  readonly ports: readonly PublishedPort[]
  /** Reserved by the monitor through `reserve-port` operations. */
  readonly reservations: readonly { protocol: string; address: string; port: number }[]
  /**
   * Path of the socket to which the container's monitor relays names asked at 127.0.0.11 (launch operation and monitor
   * request `name-relay`); absent on the default bridge alone.
   */
  readonly nameRelay?: string
  /** Text of the three managed files; undefined = leave what the image has (host mode: the host's own). */
  readonly hosts?: string
  readonly resolvConf?: string
  /** Opaque; stored by the engine and given back to leave() and rejoin(). */
  readonly lease: string
  /**
   * Looks whether the network's bridge still works, and repairs it. To be called while the launch is under way and awaited
   * before the start counts; absent when it was looked at already.
   */
  readonly ensure?: () => Promise<void>
}

export interface JoinRequest {
  readonly containerId: string
  readonly containerName: string
  readonly hostname: string
  readonly domainname: string
  /** "none" | "host" | "container:PID-PATH" is never seen here: the engine handles container:ID itself. "default"/"bridge" or a network name. */
  readonly mode: string
  readonly networks: readonly NetworkRequest[]
  readonly ports: readonly PortRequest[]
  readonly exposedPorts: readonly string[]
  readonly publishAll: boolean
  readonly macAddress?: string
  readonly extraHosts: readonly string[]
  readonly dns: readonly string[]
  readonly dnsSearch: readonly string[]
  readonly dnsOptions: readonly string[]
  readonly links: readonly LinkedContainer[]
}

/** A network as asked for. */
export interface NetworkCreate {
  readonly name: string
  /** "bridge", "macvlan", "ipvlan", "host", "null"; "" = bridge. */
  readonly driver: string
  readonly internal: boolean
  readonly attachable: boolean
  readonly ipv4: boolean
  readonly ipv6: boolean
  readonly options: Readonly<Record<string, string>>
  readonly labels: Readonly<Record<string, string>>
  readonly ipam: {
    readonly driver: string
    readonly options?: Readonly<Record<string, string>>
    /** Subnets asked for; what is missing in one is chosen. */
    readonly pools: readonly {
      readonly subnet?: string
      readonly range?: string
      readonly gateway?: string
      readonly auxiliary?: Readonly<Record<string, string>>
    }[]
  }
}

/** A container that runs already, as connect() and disconnect() need it. */
export interface LivingContainer {
  readonly id: string
  readonly name: string
  /** Host pid of its init: the way into its network namespace. */
  readonly pid: number
  /** As join() or the last connect() gave it; undefined when it was started on no network (mode "none"). */
  readonly lease?: string
}

/** What changed for a living container: to be stored, and written into its managed files where the user has not. */
export type Changed = Pick<Attachment, "endpoints" | "ports" | "hosts" | "resolvConf" | "lease" | "nameRelay">

export interface Networks {
  /**
   * Makes a network: record, and for a bridge its link and rules. Conflict: "network with name x already exists";
   * a subnet that overlaps another's is refused with the reason. A warning is a sentence for the client, or "".
   */
  create(request: NetworkCreate): Promise<{ network: NetworkRecord; warning: string }>
  /** Removes one that no container is on. Forbidden: 'error while removing network: network x has active endpoints (name:"c" id:"…")'. */
  remove(reference: string): Promise<NetworkRecord>
  /** Puts a running container on one more network, or on its first. Failure changes nothing. */
  connect(container: LivingContainer, request: JoinRequest, network: NetworkRequest): Promise<Changed>
  /** Takes a running container off a network; what it published there is published through another, or taken back. */
  disconnect(container: LivingContainer, request: JoinRequest, reference: string): Promise<Changed>
  /** Publishes further ports of a running container, or takes some back; all or none. */
  changePorts(
    container: LivingContainer,
    request: JoinRequest,
    change: { readonly add: readonly PortRequest[]; readonly remove: readonly PublishedPort[] },
  ): Promise<Changed>
  /** Container names changed: what others resolve from now on. */
  rename(lease: string, name: string): Promise<Changed>
  /** Makes bridge and tables if they are missing, learns what is used already, starts the pool. */
  open(leases: readonly KnownLease[]): Promise<void>
  /** Prepares namespace, address, ports. Failure leaves nothing behind. Port conflicts: "Bind for 0.0.0.0:80 failed: port is already allocated". */
  join(request: JoinRequest): Promise<Attachment>
  /** Called when the launch has taken the namespace (the pool may refill). */
  joined(lease: string): void
  /** Its processes have ended: it keeps nobody from removing its networks any more. leave() follows, in its own time. */
  ended(lease: string): void
  /** Removes ports and address; the namespace dies with its last process. Idempotent; must not make the caller wait for the kernel's teardown. */
  leave(lease: string): Promise<void>
  get(reference: string): NetworkRecord
  find(reference: string): NetworkRecord | undefined
  list(): NetworkRecord[]
  /** Interface counters of a lease's endpoints on the host side, mirrored to the container's view. */
  statistics(lease: string): Promise<readonly EndpointCounters[]>
  /** Lets the pool go and, with `remove`, bridge and tables too. */
  close(options: { remove: boolean }): Promise<void>
}
