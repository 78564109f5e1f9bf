// Contract. Who is called what on which network: the registry that the name server answers from.

/** A container's place on one user-defined network, as others there find it. */
export interface NamedEndpoint {
  readonly containerId: string
  readonly networkId: string
  readonly networkName: string
  /** The network has no way out: a container that is on such networks only gets nothing from outside. */
  readonly internal: boolean
  /** What it answers to, without dots at the end, any case: container name first (PTR tells that one), aliases, short id, hostname. */
  readonly names: readonly string[]
  readonly ipv4?: string
  readonly ipv6?: string
  /** What SRV tells (`_80._tcp.web`): ports that it exposes. */
  readonly ports?: readonly { readonly port: number; readonly protocol: "tcp" | "udp" | "sctp" }[]
  /** Legacy links: `alias` means `name` on this network, for this container alone. */
  readonly links?: readonly { readonly alias: string; readonly name: string }[]
}

/** One network that a container is on, with all that it can find there. */
export interface NetworkNames {
  readonly name: string
  /** Lower-cased name to the endpoints that bear it, in the order they came. */
  readonly bearers: ReadonlyMap<string, readonly NamedEndpoint[]>
  /** Address, as it was given, to its endpoint. */
  readonly addresses: ReadonlyMap<string, NamedEndpoint>
}

interface Network {
  readonly name: string
  readonly bearers: Map<string, NamedEndpoint[]>
  readonly addresses: Map<string, NamedEndpoint>
}

/** Endpoints by network and container. Every change makes a new version, so that answers can be kept until then. */
export class Names {
  readonly #networks = new Map<string, Network>()
  /** Container to network to its endpoint, in the order of joining. */
  readonly #containers = new Map<string, Map<string, NamedEndpoint>>()
  #version = 0

  get version(): number {
    return this.#version
  }

  /** Adds a container's endpoint on a network, or puts it in place of what was known of it there (rename, aliases). */
  put(endpoint: NamedEndpoint): void {
    this.#drop(endpoint.containerId, endpoint.networkId)
    const network = this.#networks.get(endpoint.networkId) ?? {
      name: endpoint.networkName,
      bearers: new Map(),
      addresses: new Map(),
    }
    this.#networks.set(endpoint.networkId, network)
    for (const name of distinct(endpoint.names)) {
      const bearers = network.bearers.get(name)
      if (bearers) bearers.push(endpoint)
      else network.bearers.set(name, [endpoint])
    }
    for (const address of [endpoint.ipv4, endpoint.ipv6])
      if (address) network.addresses.set(address, endpoint)
    const own = this.#containers.get(endpoint.containerId) ?? new Map<string, NamedEndpoint>()
    own.set(endpoint.networkId, endpoint)
    this.#containers.set(endpoint.containerId, own)
    this.#version++
  }

  /** Takes a container's endpoint off a network; off all of them when none is named. Idempotent. */
  remove(containerId: string, networkId?: string): void {
    const ids = networkId === undefined ? [...(this.#containers.get(containerId)?.keys() ?? [])] : [networkId]
    for (const id of ids) this.#drop(containerId, id)
  }

  #drop(containerId: string, networkId: string): void {
    const own = this.#containers.get(containerId)
    const endpoint = own?.get(networkId)
    const network = this.#networks.get(networkId)
    if (!own || !endpoint || !network) return
    own.delete(networkId)
    if (own.size === 0) this.#containers.delete(containerId)
    for (const name of distinct(endpoint.names)) {
      const left = (network.bearers.get(name) ?? []).filter((bearer) => bearer !== endpoint)
      if (left.length > 0) network.bearers.set(name, left)
      else network.bearers.delete(name)
    }
    for (const [address, bearer] of network.addresses)
      if (bearer === endpoint) network.addresses.delete(address)
    if (network.bearers.size === 0 && network.addresses.size === 0) this.#networks.delete(networkId)
    this.#version++
  }

  /** A container's endpoints in the order of joining, each with its network. Empty for one that is on none. */
  around(containerId: string): { readonly endpoint: NamedEndpoint; readonly network: NetworkNames }[] {
    return [...(this.#containers.get(containerId) ?? [])].flatMap(([id, endpoint]) => {
      const network = this.#networks.get(id)
      return network ? [{ endpoint, network }] : []
    })
  }
}

const distinct = (names: readonly string[]): Set<string> =>
  new Set(names.filter((name) => name !== "").map((name) => name.toLowerCase()))
