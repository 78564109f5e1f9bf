// Ports between Docker's maps of "80/tcp" and the domain's lists.
import { isIP } from "node:net"
import { failure } from "../../base/errors.ts"
import type { PortMatch } from "../../engine/engine.ts"
import type { ContainerRecord, PortRequest, PublishedPort } from "../../state/state.ts"
import type { PortBindingView, PortSummary, WirePortBindings } from "../../wire/wire.ts"

type Protocol = PortRequest["protocol"]

interface PortRange {
  readonly protocol: Protocol
  readonly first: number
  readonly last: number
}

const isProtocol = (text: string): text is Protocol => text === "tcp" || text === "udp" || text === "sctp"

/** "80", "80/udp" or "8000-8010/tcp". Throws invalid. */
function parsePort(spec: string): PortRange {
  const [ports = "", protocolText = "tcp", ...more] = spec.split("/")
  const protocol = protocolText.toLowerCase()
  const range = parseRange(ports)
  if (more.length > 0 || range === undefined || range.first === 0) {
    throw failure("invalid", `invalid port specification: "${spec}"`)
  }
  if (!isProtocol(protocol)) throw failure("invalid", `invalid proto: ${protocolText}`)
  return { protocol, ...range }
}

function parseRange(text: string): { first: number; last: number } | undefined {
  const match = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(text)
  if (!match) return undefined
  const first = Number(match[1])
  const last = match[2] === undefined ? first : Number(match[2])
  return first <= last && last <= 65535 ? { first, last } : undefined
}

/** Exposed ports as "80/tcp", ranges written out. */
export function exposedPorts(specs: readonly string[]): string[] {
  return specs.flatMap((spec) => {
    const { protocol, first, last } = parsePort(spec)
    return Array.from({ length: last - first + 1 }, (_, index) => `${first + index}/${protocol}`)
  })
}

/** Every binding of PortBindings as one request. */
export function portRequests(bindings: WirePortBindings): PortRequest[] {
  const requests: PortRequest[] = []
  for (const [spec, hosts] of Object.entries(bindings)) {
    const { protocol, first, last } = parsePort(spec)
    for (let containerPort = first; containerPort <= last; containerPort++) {
      for (const { HostIp, HostPort } of hosts ?? []) {
        if (HostIp !== "" && isIP(HostIp) === 0) throw failure("invalid", `invalid IP address: ${HostIp}`)
        requests.push({ protocol, containerPort, hostAddress: HostIp, ...hostRange(HostPort) })
      }
    }
  }
  return requests
}

/** Bindings to take back: no binding at all means every one of the port. */
export function portMatches(bindings: WirePortBindings): PortMatch[] {
  return Object.entries(bindings).flatMap(([spec, hosts]) => {
    const { protocol, first, last } = parsePort(spec)
    const matches: PortMatch[] = []
    for (let containerPort = first; containerPort <= last; containerPort++)
      for (const { HostIp, HostPort } of hosts && hosts.length > 0 ? hosts : [{ HostIp: "", HostPort: "" }]) {
        const { hostPort } = hostRange(HostPort)
        matches.push({
          protocol,
          containerPort,
          ...(HostIp === "" ? {} : { hostAddress: HostIp }),
          ...(hostPort === undefined ? {} : { hostPort }),
        })
      }
    return matches
  })
}

function hostRange(text: string): { hostPort?: number; hostPortEnd?: number } {
  if (text === "" || text === "0") return {}
  const range = parseRange(text)
  if (range === undefined)
    throw failure("invalid", `invalid host port: "${text}" is no port or range of ports`)
  return range.first === range.last
    ? { hostPort: range.first }
    : { hostPort: range.first, hostPortEnd: range.last }
}

/** The requests as PortBindings for inspect. */
export function portBindings(ports: readonly PortRequest[]): Record<string, PortBindingView[]> {
  const bindings: Record<string, PortBindingView[]> = {}
  for (const { protocol, containerPort, hostAddress, hostPort, hostPortEnd } of ports) {
    const key = `${containerPort}/${protocol}`
    bindings[key] ??= []
    bindings[key].push({
      HostIp: hostAddress,
      HostPort:
        hostPort === undefined ? "" : `${hostPort}${hostPortEnd === undefined ? "" : `-${hostPortEnd}`}`,
    })
  }
  return bindings
}

/** What NetworkSettings.Ports shows: published ports with their host side, exposed ones as null. */
export function publishedPorts(record: ContainerRecord): Record<string, PortBindingView[] | null> {
  const ports: Record<string, PortBindingView[] | null> = {}
  if (!hasPorts(record)) return ports
  for (const key of record.config.exposedPorts) ports[key] = null
  for (const published of record.publishedPorts) {
    const key = `${published.containerPort}/${published.protocol}`
    const list = ports[key] ?? []
    list.push({ HostIp: published.hostAddress, HostPort: String(published.hostPort) })
    ports[key] = list
  }
  return ports
}

/** What a list entry shows of its ports. */
export function portSummaries(record: ContainerRecord): PortSummary[] {
  if (!hasPorts(record)) return []
  const published = new Set(record.publishedPorts.map(keyOf))
  const summaries: PortSummary[] = record.publishedPorts.map((port) => ({
    IP: port.hostAddress,
    PrivatePort: port.containerPort,
    PublicPort: port.hostPort,
    Type: port.protocol,
  }))
  for (const key of record.config.exposedPorts) {
    if (published.has(key)) continue
    const [port = "0", protocol = "tcp"] = key.split("/")
    summaries.push({ PrivatePort: Number(port), Type: protocol })
  }
  return summaries
}

/** Without a network there is nothing that a port would lead to. */
const hasPorts = ({ status, endpoints }: ContainerRecord): boolean =>
  (status === "running" || status === "paused") &&
  endpoints.some(({ ipv4, ipv6 }) => ipv4 !== undefined || ipv6 !== undefined)

const keyOf = (port: PublishedPort): string => `${port.containerPort}/${port.protocol}`
