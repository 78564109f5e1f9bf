// The network room at work: the default bridge, its pool of namespaces, ports and firewall.
import { createHash } from "node:crypto"
import { errorKind, errorMessage, failure } from "../base/errors.ts"
import type { Kernel } from "../kernel/kernel.ts"
import { deleteLink, getLink, readLinks } from "../kernel/netlink/netlink.ts"
import type { NetworkRecord, State } from "../state/state.ts"
import type { Bridge } from "./bridge/bridge.ts"
import { needsHairpin, openBridge, prepareHost } from "./bridge/bridge.ts"
import type { Lease } from "./endpoint.ts"
import { endpointRecord, publicationsOf, readLease, writeLease } from "./endpoint.ts"
import { hostsText } from "./files/hosts.ts"
import { hostResolver, resolvConfText } from "./files/resolv-conf.ts"
import { Firewall } from "./firewall/firewall.ts"
import type { Publication } from "./firewall/guard.ts"
import { Addresses } from "./ipam/addresses.ts"
import { defaultPools, parseSubnet, subnetText } from "./ipam/subnet.ts"
import { Namespaces } from "./namespaces.ts"
import type { Attachment, JoinRequest, Networks } from "./network.ts"
import { Pool } from "./pool.ts"
import { HostPorts, wantedPorts } from "./ports/host-ports.ts"
import { findNetwork, storeDefaults } from "./records.ts"
import { routeRequest } from "./request.ts"

export interface NetworksOptions {
  readonly kernel: Kernel
  readonly state: State
  /** Short name of this engine among those of the machine (letters, digits, "-", "_"); "" = the default one. */
  readonly instance: string
  /** Name of the bridge; otherwise "sloop0", or "sl" and a hash for a named instance. At most 15 bytes. */
  readonly bridgeName?: string
  /** CIDR of the default bridge; otherwise the first free default pool, remembered in the state. */
  readonly subnet?: string
  /** CIDRs to choose from instead of Docker's default pools. */
  readonly defaultPools?: readonly string[]
  /** Most namespaces kept ready (16). 0 switches the pool off. */
  readonly poolSize?: number
  /** What a person should know and nothing else tells: forwarding switched on, foreign rules in the way. */
  readonly warn?: (message: string) => void
}

/** What join() has given and leave() will take back. */
interface Member {
  readonly lease: Lease
  readonly publications: readonly Publication[]
  launching: boolean
}

/** What open() found or made. */
interface Opened {
  readonly bridge: Bridge
  readonly network: NetworkRecord
  readonly namespaces: Namespaces
}

const SUBNET_KEY = "network.subnet"

/** Name of the bridge, which is also the prefix of the names of held namespaces. */
export const bridgeNameOf = (instance: string): string =>
  instance === "" ? "sloop0" : `sl${createHash("sha256").update(instance).digest("hex").slice(0, 10)}`

/** See {@link Networks}. Nothing is touched before open(). */
export const openNetworks = (options: NetworksOptions): Networks => new BridgedNetworks(options)

class BridgedNetworks implements Networks {
  readonly #options: NetworksOptions
  readonly #kernel: Kernel
  readonly #name: string
  readonly #firewall: Firewall
  readonly #ports = new HostPorts()
  readonly #resolver = hostResolver()
  readonly #members = new Map<string, Member>()
  readonly #pool: Pool
  #opened: Opened | undefined

  constructor(options: NetworksOptions) {
    if (!/^[\w-]*$/.test(options.instance))
      throw failure(
        "invalid",
        `instance name ${JSON.stringify(options.instance)} may hold letters, digits, - and _ only`,
      )
    this.#options = options
    this.#kernel = options.kernel
    this.#name = options.bridgeName ?? bridgeNameOf(options.instance)
    if (!/^[\w.-]{1,15}$/.test(this.#name))
      throw failure(
        "invalid",
        `bridge name ${JSON.stringify(this.#name)} must be 1 to 15 letters, digits, ".", "_", "-"`,
      )
    this.#firewall = new Firewall(
      options.kernel,
      options.instance === "" ? "sloop" : `sloop-${options.instance}`,
    )
    const largest = options.poolSize ?? 16
    this.#pool = new Pool({
      create: () => this.#open().namespaces.make(),
      drop: (entries) => this.#open().namespaces.discard(entries),
      failed: (error) => this.#warn(`could not prepare a network namespace ahead: ${errorMessage(error)}`),
      largest,
      smallest: Math.min(2, largest),
    })
  }

  #warn(message: string): void {
    this.#options.warn?.(message)
  }
  #open(): Opened {
    if (!this.#opened) throw failure("unavailable", "the default bridge network is not set up yet")
    return this.#opened
  }

  async open(leases: readonly { containerId: string; lease: string }[]): Promise<void> {
    const { state } = this.#options
    const stored = this.#options.subnet ?? state.settings.find(SUBNET_KEY)
    const bridge = await openBridge(this.#kernel, {
      name: this.#name,
      pools: this.#options.defaultPools?.map(parseSubnet) ?? defaultPools,
      ...(stored === undefined ? {} : { subnet: parseSubnet(stored) }),
      keep: leases.length > 0 || this.#options.subnet !== undefined,
      avoid: this.#resolver().servers,
    })
    if (prepareHost(bridge.name).forwardingSwitchedOn)
      this.#warn("net.ipv4.ip_forward was switched on, because containers reach other hosts through this one")
    if (state.settings.find(SUBNET_KEY) !== subnetText(bridge.subnet))
      state.settings.put(SUBNET_KEY, subnetText(bridge.subnet))
    const network = storeDefaults(state, bridge)
    const addresses = new Addresses(bridge.subnet, bridge.gateway)
    for (const { lease } of leases) this.#restore(lease, addresses)
    await this.#firewall.rebuild(
      [
        {
          bridge: bridge.name,
          subnets: [{ subnet: subnetText(bridge.subnet), mode: "nat", masquerade: true }],
          internal: false,
          icc: true,
          trusted: [],
        },
      ],
      [...this.#members.values()].flatMap((member) => member.publications),
    )
    const namespaces = new Namespaces({
      kernel: this.#kernel,
      bridge,
      addresses,
      hairpin: needsHairpin(),
      warn: (message) => this.#warn(message),
    })
    await namespaces.dropLeftovers()
    this.#opened = { bridge, network, namespaces }
    void this.#tellWarnings()
    this.#pool.schedule()
  }

  async #tellWarnings(): Promise<void> {
    try {
      for (const warning of await this.#firewall.warnings()) this.#warn(warning)
    } catch (error) {
      this.#warn(`could not look at other firewall tables: ${errorMessage(error)}`)
    }
  }

  #restore(text: string, addresses: Addresses): void {
    const lease = readLease(text)
    try {
      addresses.claim(lease.address)
    } catch (error) {
      this.#warn(`container ${lease.container} keeps address ${lease.address}: ${errorMessage(error)}`)
    }
    addresses.skipPast(lease.address)
    this.#ports.restore(lease.container, lease.ports)
    const publications = publicationsOf(lease.address, lease.ports)
    this.#members.set(text, { lease, publications, launching: false })
  }

  async join(request: JoinRequest): Promise<Attachment> {
    const { bridge, network, namespaces } = this.#open()
    if (!["default", "bridge", network.id].includes(request.mode))
      throw failure("not-found", `network ${request.mode} not found`)
    const asked = request.networks.find((entry) => ["default", "bridge", network.id].includes(entry.network))
    if (asked?.ipv4 || asked?.ipv6)
      throw failure("invalid", "user specified IP address is supported on user defined networks only")
    const resolvConf = resolvConfText(this.#resolver(), {
      servers: request.dns,
      search: request.dnsSearch,
      options: request.dnsOptions,
    })
    const macAddress = request.macAddress || asked?.macAddress || undefined
    const prepared = (macAddress ? undefined : this.#pool.take()) ?? (await namespaces.make(macAddress))
    const endpoint = endpointRecord(
      network,
      prepared,
      bridge.subnet.prefixLength,
      bridge.gateway,
      asked?.aliases ?? [],
    )
    try {
      const hosts = hostsText({
        hostname: request.hostname,
        domainname: request.domainname,
        addresses: [prepared.address],
        extraHosts: request.extraHosts,
        hostGateway: bridge.gateway,
        links: request.links,
      })
      const { ports, publications } = await this.#publish(request, prepared.address, endpoint.endpointId)
      const lease: Lease = {
        container: request.containerId,
        held: prepared.held,
        link: prepared.link,
        address: prepared.address,
        ports,
      }
      const text = writeLease(lease)
      this.#members.set(text, {
        lease,
        publications,
        launching: true,
      })
      this.#pool.begin(text)
      return {
        namespace: `held:${prepared.held}`,
        endpoints: [endpoint],
        ports: lease.ports,
        reservations: lease.ports.map((port) => ({
          protocol: port.protocol,
          address: port.hostAddress,
          port: port.hostPort,
        })),
        hosts,
        resolvConf,
        lease: text,
      }
    } catch (error) {
      void namespaces
        .discard([prepared])
        .catch((cause: unknown) =>
          this.#warn(`could not drop namespace ${prepared.held}: ${errorMessage(cause)}`),
        )
      throw error
    }
  }

  async #publish(
    request: JoinRequest,
    address: string,
    endpointId: string,
  ): Promise<{ ports: readonly Lease["ports"][number][]; publications: readonly Publication[] }> {
    const wanted = wantedPorts(request.ports, request.exposedPorts, request.publishAll)
    if (wanted.length === 0) return { ports: [], publications: [] }
    const owner = request.containerId
    let ports: readonly Lease["ports"][number][] = []
    try {
      ports = this.#ports.allocate(owner, wanted)
      const publications = publicationsOf(address, ports)
      await this.#firewall.publish(publications)
      return { ports, publications }
    } catch (error) {
      this.#ports.release(owner, ports)
      throw failure(
        errorKind(error),
        `driver failed programming external connectivity on endpoint ${request.containerName.replace(/^\//, "")} (${endpointId}): ${errorMessage(error)}`,
        { cause: error },
      )
    }
  }

  joined(text: string): void {
    const member = this.#members.get(text)
    if (!member?.launching) return
    member.launching = false
    this.#pool.end(text)
    // The container's processes keep the namespace from here on.
    this.#open().namespaces.dropSoon(member.lease.held)
  }

  async leave(text: string): Promise<void> {
    const member = this.#members.get(text)
    if (!member) return
    this.#members.delete(text)
    const { lease } = member
    this.#ports.release(lease.container, lease.ports)
    const { namespaces } = this.#open()
    namespaces.depart(lease.link, lease.address)
    if (member.launching) {
      this.#pool.end(text)
      await namespaces.drop([lease.held]).catch(() => undefined)
      // A launch that failed may mean that the launcher is a new one, which holds nothing: a second try must not
      // be given another of its predecessor's namespaces.
      await this.#checkPool()
    }
    // The kernel has taken the ports back long before it answers (it waits for RCU): nobody need wait for that.
    void this.#firewall
      .unpublish(member.publications)
      .catch((error: unknown) => this.#warn(`could not take back published ports: ${errorMessage(error)}`))
  }

  async #checkPool(): Promise<void> {
    const { namespaces } = this.#open()
    try {
      const held = new Set(await namespaces.held())
      for (const gone of this.#pool.keepOnly(held)) namespaces.depart(gone.link, gone.address)
      this.#pool.schedule()
    } catch (error) {
      this.#warn(`could not ask the launcher for its namespaces: ${errorMessage(error)}`)
    }
  }

  async create(): Promise<never> {
    throw failure("not-implemented", "creating networks: this engine has the networks bridge, host and none")
  }
  async remove(): Promise<never> {
    throw failure("not-implemented", "removing networks: this engine has the networks bridge, host and none")
  }
  async connect(): Promise<never> {
    throw failure("not-implemented", "connecting a running container to a network")
  }
  async disconnect(): Promise<never> {
    throw failure("not-implemented", "disconnecting a running container from a network")
  }
  async changePorts(): Promise<never> {
    throw failure("not-implemented", "publishing ports of a running container")
  }
  async rename(): Promise<never> {
    throw failure("not-implemented", "renaming a container on a network")
  }
  get(reference: string): NetworkRecord {
    const found = this.find(reference)
    if (!found) throw failure("not-found", `network ${reference} not found`)
    return found
  }
  find(reference: string): NetworkRecord | undefined {
    return findNetwork(this.#options.state, reference)
  }
  list(): NetworkRecord[] {
    return this.#options.state.networks.list()
  }

  async statistics(text: string): ReturnType<Networks["statistics"]> {
    const lease = this.#members.get(text)?.lease ?? readLease(text)
    const replies = await routeRequest(this.#kernel, [getLink({ name: lease.link })]).catch(() => undefined)
    const counters = replies && readLinks(replies)[0]?.counters
    if (!counters) return []
    // What the host's end receives is what the container sent.
    return [
      {
        name: "eth0",
        rxBytes: counters.txBytes,
        rxPackets: counters.txPackets,
        rxErrors: counters.txErrors,
        rxDropped: counters.txDropped,
        txBytes: counters.rxBytes,
        txPackets: counters.rxPackets,
        txErrors: counters.rxErrors,
        txDropped: counters.rxDropped,
      },
    ]
  }

  async close({ remove }: { remove: boolean }): Promise<void> {
    await this.#pool.close()
    await this.#opened?.namespaces.close()
    await this.#firewall.settled()
    if (!remove || !this.#opened) return
    await this.#firewall.remove()
    await routeRequest(this.#kernel, [deleteLink({ name: this.#name })])
    this.#opened = undefined
  }
}
