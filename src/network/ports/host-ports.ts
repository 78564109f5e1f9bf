// Host ports: which are published, who holds them, and which one a container gets.
import { isIP, isIPv4 } from "node:net"
import { failure } from "../../base/errors.ts"
import type { PortRequest, PublishedPort } from "../../state/state.ts"
import type { BoundTest } from "./bound.ts"
import { boundTest } from "./bound.ts"

/** The kernel's own range of ephemeral ports, as Docker takes random ports from. */
const EPHEMERAL = { first: 32768, last: 60999 }

const isEvery = (address: string): boolean => address === "" || address === "0.0.0.0"
const shown = (address: string): string => (address === "" ? "0.0.0.0" : address)

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

/** Who has which host port. */
export class HostPorts {
  /** protocol/port to the addresses and owners. */
  readonly #taken = new Map<string, { address: string; owner: string }[]>()
  #next = EPHEMERAL.first + Math.floor(Math.random() * (EPHEMERAL.last - EPHEMERAL.first + 1))

  /** The container that holds a port, undefined when it is free. */
  owner(protocol: string, address: string, port: number): string | undefined {
    return this.#taken
      .get(`${protocol}/${port}`)
      ?.find((entry) => isEvery(address) || isEvery(entry.address) || entry.address === address)?.owner
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
   * Gives a container its host ports, all or none. Throws Failure "conflict" naming the port, and the container that
   * holds it through `describe`.
   */
  allocate(owner: string, requests: readonly PortRequest[], bound: BoundTest = boundTest()): PublishedPort[] {
    const given: PublishedPort[] = []
    try {
      for (const request of requests) {
        const port: PublishedPort = {
          protocol: request.protocol,
          containerPort: request.containerPort,
          hostAddress: shown(request.hostAddress),
          hostPort: this.#choose(request, bound),
        }
        this.#hold(owner, port)
        given.push(port)
      }
      return given
    } catch (error) {
      this.release(owner, given)
      throw error
    }
  }

  #choose(request: PortRequest, bound: BoundTest): number {
    const { protocol, hostPort } = request
    const address = shown(request.hostAddress)
    if (isIP(address) === 0) throw failure("invalid", `invalid IP address: ${JSON.stringify(address)}`)
    if (!isIPv4(address))
      throw failure(
        "not-implemented",
        `network bridge has no IPv6, so that no port is published on ${address}`,
      )
    if (!hostPort) return this.#chooseRandom(protocol, address, bound)
    const last = request.hostPortEnd ?? hostPort
    for (let port = hostPort; port <= last; port++) {
      const ours = this.owner(protocol, address, port) !== undefined
      const why = ours ? "" : bound(protocol, address, port)
      if (why === undefined) return port
      if (last !== hostPort) continue
      if (ours) throw failure("conflict", `Bind for ${address}:${port} failed: port is already allocated`)
      throw failure("conflict", `failed to bind host port for ${address}:${port}/${protocol}: ${why}`)
    }
    throw failure(
      "conflict",
      `Bind for ${address}:${hostPort}-${last} failed: all ports of the range are already allocated`,
    )
  }

  #chooseRandom(protocol: string, address: string, bound: BoundTest): number {
    for (let tries = EPHEMERAL.last - EPHEMERAL.first; tries >= 0; tries--) {
      const port = this.#next
      this.#next = port === EPHEMERAL.last ? EPHEMERAL.first : port + 1
      if (this.owner(protocol, address, port) !== undefined) continue
      const why = bound(protocol, address, port)
      if (why === undefined) return port
      if (why !== "address already in use")
        throw failure("conflict", `failed to bind host port for ${address}:${port}/${protocol}: ${why}`)
    }
    throw failure(
      "exhausted",
      `all ${protocol} ports from ${EPHEMERAL.first} to ${EPHEMERAL.last} are allocated`,
    )
  }

  /** Gives ports back; those that the owner does not hold are left alone. */
  release(owner: string, ports: readonly PublishedPort[]): void {
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
