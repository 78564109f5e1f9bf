// Contract. What the room tells its firewall: networks and published ports, and what the firewall does with them.

/**
 * How a network is reached through one of its subnets, as Docker's gateway_mode options name it: "nat" by published ports
 * only; "nat-unprotected" at every port too, by whoever has a route; "routed" by its container's own address at
 * published ports, nothing is translated; "isolated" not at all.
 */
export type GatewayMode = "nat" | "nat-unprotected" | "routed" | "isolated"

/** One subnet of a network, of either address family. */
export interface GuardedSubnet {
  /** CIDR. */
  readonly subnet: string
  readonly mode: GatewayMode
  /** Whether containers go out with this host's address; heeded in the two "nat" modes only. */
  readonly masquerade: boolean
  /** Address that they go out with instead of the one that the kernel would choose (host_ipv4, host_ipv6). */
  readonly sourceAddress?: string
}

/** A bridge network. */
export interface GuardedNetwork {
  /** Name of the bridge's interface: what the network is known by here. */
  readonly bridge: string
  readonly subnets: readonly GuardedSubnet[]
  /** Nothing passes between its containers and anything beyond the bridge; its published ports reach nobody. */
  readonly internal: boolean
  /**
   * Whether its containers reach each other. Frames that a bridge forwards never meet this table unless br_netfilter
   * shows them to it: their ports must be isolated at the bridge too (IFLA_BRPORT_ISOLATED).
   */
  readonly icc: boolean
  /** Interfaces of this host from which all containers are reached by their own addresses (trusted_host_interfaces). */
  readonly trusted: readonly string[]
}

/**
 * Published ports: `count` (1 when absent) host ports that follow each other go to as many that follow `port`. Both
 * addresses are of one family; "0.0.0.0" and "::" are every address of this host. In a routed subnet the host's address
 * and ports mean nothing.
 */
export interface Publication {
  readonly protocol: "tcp" | "udp" | "sctp"
  readonly hostAddress: string
  readonly hostPort: number
  readonly address: string
  readonly port: number
  readonly count?: number
  /**
   * CIDRs of further networks that the container is on, of the same family: it would answer their containers directly, so
   * that these get their answers through this host.
   */
  readonly otherSubnets?: readonly string[]
}

/**
 * Whether rules that keep others from this host's own ports keep them from published ports too ("honest"), or published
 * ports are open whatever the host's rules for itself say ("docker").
 */
export type FirewallMode = "honest" | "docker"

export interface FirewallOptions {
  /** "honest" when absent. */
  readonly mode?: FirewallMode
  /** What a person should know: told when it becomes true, once. */
  readonly warn?: (message: string) => void
}

/** The engine's table in the kernel and its desired state, which is remembered: the table can be put back at any time. */
export interface Guard {
  /**
   * Puts the whole table in place, atomically: packets in between see the old or the new one. Without arguments it is
   * the state that was told before.
   */
  rebuild(networks?: readonly GuardedNetwork[], publications?: readonly Publication[]): Promise<void>
  /** Guards one more network (or the same bridge anew), by elements. To be awaited before the bridge carries packets. */
  addNetwork(network: GuardedNetwork): Promise<void>
  /** Forgets a bridge. To be called once the bridge is gone. One that is unknown is no failure. */
  removeNetwork(bridge: string): Promise<void>
  /** Publishes ports in one request; all or none. A table that somebody removed is put back first. */
  publish(publications: readonly Publication[]): Promise<void>
  /** Takes back what publish() was given (the same objects). What the kernel has lost already is no failure. */
  unpublish(publications: readonly Publication[]): Promise<void>
  /** Publishes `after` in place of `before`, at once: packets in between go to the old or to the new one. */
  republish(before: readonly Publication[], after: readonly Publication[]): Promise<void>
  /** What other tables do that ours cannot undo, in sentences for a person. */
  warnings(): Promise<string[]>
  /** Begins to notice what others do to tables: ours is put back, theirs heeded. Returns once nothing can be missed. */
  watch(): Promise<void>
  /** Ends watching. The table stays. */
  close(): Promise<void>
  /** Ends watching and removes the table. */
  remove(): Promise<void>
  /** Resolves when everything asked for so far has been done. */
  settled(): Promise<void>
}
