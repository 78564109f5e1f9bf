// Contract. Networks and how a container joins them. The namespace is prepared first and the launch plan carries its name.
import type { LinkCounters } from "../kernel/netlink/netlink.ts"
import type {
  EndpointRecord,
  NetworkRecord,
  NetworkRequest,
  PortRequest,
  PublishedPort,
} from "../state/state.ts"

export { localHosts } from "./files/hosts.ts"
export { bridgeNameOf, type NetworksOptions, openNetworks } from "./networks.ts"

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
  /** Text of the three managed files; undefined = leave what the image has (host mode: the host's own). */
  readonly hosts?: string
  readonly resolvConf?: string
  /** Opaque; stored by the engine and given back to leave() and rejoin(). */
  readonly lease: string
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
  readonly links: readonly { readonly name: string; readonly alias: string; readonly ipv4: string }[]
}

export interface Networks {
  /** Makes bridge and tables if they are missing, learns what is used already, starts the pool. */
  open(leases: readonly { containerId: string; lease: string }[]): Promise<void>
  /** Prepares namespace, address, ports. Failure leaves nothing behind. Port conflicts: "Bind for 0.0.0.0:80 failed: port is already allocated". */
  join(request: JoinRequest): Promise<Attachment>
  /** Called when the launch has taken the namespace (the pool may refill). */
  joined(lease: string): void
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
