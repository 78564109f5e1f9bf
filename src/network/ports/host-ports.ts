// Host ports: which are published, who holds them, and which one a container gets.
import { isIP } from "node:net"
import { setTimeout as sleep } from "node:timers/promises"
import { failure } from "../../base/errors.ts"
import type { PortRequest, PublishedPort } from "../../state/state.ts"
import type { BoundTest } from "./bound.ts"
import { boundTest } from "./bound.ts"
import { holderOf } from "./holder.ts"

/** The kernel's own range of ephemeral ports, as Docker takes random ports from. */
const EPHEMERAL = { first: 32768, last: 60999 }

/** Most milliseconds that a port's sockets outlive its container. */
const REST = 2000
const RETRY_AFTER = 3

export type Family = 4 | 6
const EVERY = { 4: "0.0.0.0", 6: "::" } as const
const isEvery = (address: string): boolean => address === "0.0.0.0" || address === "::"
const familyOf = (address: string): Family => (isIP(address) === 6 ? 6 : 4)
/** Address and port as Docker writes them. */
const shown = (address: string, port: number | string): string =>
  address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`
const overlap = (one: string, other: string): boolean =>
  familyOf(one) === familyOf(other) && (isEvery(one) || isEvery(other) || one === other)

export interface AllocateOptions {
  /** Families of the container's addresses on the network that its ports are published through; IPv4 alone when absent. */
  readonly families?: readonly Family[]
  /** Name of the container with an id, for the sentence of a conflict. */
  readonly nameOf?: (owner: string) => string | undefined
  readonly bound?: BoundTest
}

/** "80/tcp" (or "80") of an image's exposed ports. Undefined for what is no port. */
const parseExposed = (
  text: string,
): { protocol: "tcp" | "udp" | "sctp"; port: number; last: number } | undefined => {
  const match = /^(\d{1,5})(?:-(\d{1,5}))?(?:\/(tcp|udp|sctp))?$/i.exec(text)
  if (!match) return undefined
  const port = Number(match[1])
  const protocol = (match[3] ?? "tcp").toLowerCase()
  if (protocol !== "tcp" && protocol !== "udp" && protocol !== "sctp") return undefined
  return port > 0 && port < 65536 ? { protocol, port, last: Number(match[2] ?? match[1]) } : undefined
}

/**
 * What is to be published for a container: what was asked for, and with `publishAll` every exposed port that was not.
 */
export const wantedPorts = (
  asked: readonly PortRequest[],
  exposed: readonly string[],
  publishAll: boolean,
): PortRequest[] => {
  if (!publishAll) return [...asked]
  const named = new Set(asked.map((port) => `${port.containerPort}/${port.protocol}`))
  const more = exposed.flatMap((text): PortRequest[] => {
    const parsed = parseExposed(text)
    if (!parsed) return []
    const ports: PortRequest[] = []
    for (let port = parsed.port; port <= parsed.last; port++)
      if (!named.has(`${port}/${parsed.protocol}`))
        ports.push({ protocol: parsed.protocol, containerPort: port, hostAddress: "" })
    return ports
  })
  return [...asked, ...more]
}

const IN_USE = "address already in use"

/** A container that has the port, or what the kernel says. */
type Obstacle =
  | { readonly address: string; readonly owner: string }
  | { readonly address: string; readonly why: string }

/** The addresses of this host that a request means. */
const addressesFor = ({ hostAddress }: PortRequest, families: readonly Family[]): string[] => {
  if (hostAddress === "") return families.map((family) => EVERY[family])
  if (isIP(hostAddress) === 0) throw failure("invalid", `invalid IP address: ${JSON.stringify(hostAddress)}`)
  const family = familyOf(hostAddress)
  if (!families.includes(family))
    throw failure(
      "invalid",
      `the container has no IPv${family} address that ports of ${hostAddress} could lead to: ` +
        (family === 6 ? "put it on a network made with --ipv6" : "put it on a network with IPv4"),
    )
  return [hostAddress]
}

/** Docker's words first, which clients look for; then who is in the way. */
const conflict = (
  protocol: string,
  port: number,
  obstacle: Obstacle,
  nameOf: AllocateOptions["nameOf"],
): Error => {
  const { address } = obstacle
  if ("owner" in obstacle) {
    const name = nameOf?.(obstacle.owner)
    const by = name === undefined ? "" : ` (container ${name.replace(/^\//, "")} has it)`
    return failure("conflict", `Bind for ${shown(address, port)} failed: port is already allocated${by}`)
  }
  const holder = obstacle.why === IN_USE ? holderOf(protocol, address, port) : undefined
  const by = holder ? ` (process ${holder.name}, pid ${holder.pid}, has it)` : ""
  return failure(
    "conflict",
    `failed to bind host port for ${shown(address, port)}/${protocol}: ${obstacle.why}${by}`,
  )
}

/** Who has which host port. */
export class HostPorts {
  /** protocol/port to the addresses and owners. */
  readonly #taken = new Map<string, { address: string; owner: string }[]>()
  /** Ports given back a moment ago, and when: the monitor that holds their sockets may not have let go of them yet. */
  readonly #resting = new Map<string, number>()
  /** Whether what was last in a request's way is such a port. */
  #restsInTheWay = false
  #next = EPHEMERAL.first + Math.floor(Math.random() * (EPHEMERAL.last - EPHEMERAL.first + 1))

  /** The container that holds a port, undefined when it is free. */
  owner(protocol: string, address: string, port: number): string | undefined {
    return this.#taken
      .get(`${protocol}/${port}`)
      ?.find((entry) => overlap(address === "" ? EVERY[4] : address, entry.address))?.owner
  }

  /** Notes ports as held (recovery). */
  restore(owner: string, ports: readonly PublishedPort[]): void {
    for (const port of ports) this.#hold(owner, port)
  }

  #hold(owner: string, port: PublishedPort): void {
    const key = `${port.protocol}/${port.hostPort}`
    this.#taken.set(key, [...(this.#taken.get(key) ?? []), { address: port.hostAddress, owner }])
  }

  /**
   * Gives a container its host ports, all or none: each request one, or one of each family at the same number when it
   * names no address. Throws Failure "conflict" naming the port, and the container or process that holds it; "invalid" for
   * an address that is none, or of a family that the container does not have.
   */
  allocate(owner: string, requests: readonly PortRequest[], options: AllocateOptions = {}): PublishedPort[] {
    const bound = options.bound ?? boundTest()
    const given: PublishedPort[] = []
    try {
      for (const request of requests) {
        const addresses = addressesFor(request, options.families ?? [4])
        const hostPort = this.#choose(request, addresses, bound, options.nameOf)
        for (const hostAddress of addresses) {
          const port = {
            protocol: request.protocol,
            containerPort: request.containerPort,
            hostAddress,
            hostPort,
          }
          this.#hold(owner, port)
          given.push(port)
        }
      }
      return given
    } catch (error) {
      this.#free(owner, given)
      throw error
    }
  }

  /**
   * As allocate(), but a certain port that was given back a moment ago, and is bound still by the monitor of the container
   * that had it, is waited for.
   */
  async allocateWhenFree(
    owner: string,
    requests: readonly PortRequest[],
    options: AllocateOptions = {},
  ): Promise<PublishedPort[]> {
    for (const end = Date.now() + REST; ; await sleep(RETRY_AFTER))
      try {
        return this.allocate(owner, requests, options)
      } catch (error) {
        if (Date.now() > end || !this.#restsInTheWay) throw error
      }
  }

  #isResting(protocol: string, port: number): boolean {
    const since = this.#resting.get(`${protocol}/${port}`)
    return since !== undefined && Date.now() - since < REST
  }

  /** Why a port cannot be had on one of the addresses; undefined when it can be on all. */
  #obstacle(
    protocol: string,
    addresses: readonly string[],
    port: number,
    bound: BoundTest,
  ): Obstacle | undefined {
    for (const address of addresses) {
      const owner = this.owner(protocol, address, port)
      if (owner !== undefined) {
        this.#restsInTheWay = false
        return { address, owner }
      }
      const why = bound(protocol, address, port)
      if (why === undefined) continue
      this.#restsInTheWay = why === IN_USE && this.#isResting(protocol, port)
      return { address, why }
    }
    return undefined
  }

  #choose(
    { protocol, hostPort, hostPortEnd }: PortRequest,
    addresses: readonly string[],
    bound: BoundTest,
    nameOf: AllocateOptions["nameOf"],
  ): number {
    if (!hostPort) return this.#chooseRandom(protocol, addresses, bound)
    const last = hostPortEnd ?? hostPort
    for (let port = hostPort; port <= last; port++) {
      const obstacle = this.#obstacle(protocol, addresses, port, bound)
      if (!obstacle) return port
      if (last === hostPort) throw conflict(protocol, port, obstacle, nameOf)
    }
    throw failure(
      "conflict",
      `Bind for ${shown(addresses[0] ?? "", `${hostPort}-${last}`)} failed: all ports of the range are already allocated`,
    )
  }

  #chooseRandom(protocol: string, addresses: readonly string[], bound: BoundTest): number {
    for (let tries = EPHEMERAL.last - EPHEMERAL.first; tries >= 0; tries--) {
      const port = this.#next
      this.#next = port === EPHEMERAL.last ? EPHEMERAL.first : port + 1
      const obstacle = this.#obstacle(protocol, addresses, port, bound)
      if (!obstacle) return port
      if ("why" in obstacle && obstacle.why !== IN_USE) throw conflict(protocol, port, obstacle, undefined)
    }
    throw failure(
      "exhausted",
      `all ${protocol} ports from ${EPHEMERAL.first} to ${EPHEMERAL.last} are allocated`,
    )
  }

  /** Gives ports back; those that the owner does not hold are left alone. */
  release(owner: string, ports: readonly PublishedPort[]): void {
    for (const [key, since] of this.#resting) if (Date.now() - since > REST) this.#resting.delete(key)
    for (const { protocol, hostPort } of ports) this.#resting.set(`${protocol}/${hostPort}`, Date.now())
    this.#free(owner, ports)
  }

  #free(owner: string, ports: readonly PublishedPort[]): void {
    for (const port of ports) {
      const key = `${port.protocol}/${port.hostPort}`
      const rest = (this.#taken.get(key) ?? []).filter(
        (entry) => entry.owner !== owner || entry.address !== port.hostAddress,
      )
      if (rest.length === 0) this.#taken.delete(key)
      else this.#taken.set(key, rest)
    }
  }
}
