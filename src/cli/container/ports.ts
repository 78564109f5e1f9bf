// -p and --expose as the Engine API takes them: [address:][hostPort[-end]:]containerPort[-end][/protocol].
import { failure } from "../../base/errors.ts"

interface Binding {
  HostIp: string
  HostPort: string
}

function range(text: string, end: "container" | "host"): [number, number] {
  const match = /^(\d+)(?:-(\d+))?$/.exec(text)
  const [first, last] = [Number(match?.[1]), Number(match?.[2] ?? match?.[1])]
  if (!match || first > 65535 || last > 65535 || last < first)
    throw failure("invalid", `invalid ${end}Port: ${text}`)
  return [first, last]
}

function split(value: string): { address: string; host: string; container: string; protocol: string } {
  const slash = value.lastIndexOf("/")
  const protocol = slash < 0 ? "tcp" : value.slice(slash + 1).toLowerCase()
  if (!["tcp", "udp", "sctp"].includes(protocol)) throw failure("invalid", `invalid proto: ${protocol}`)
  const rest = slash < 0 ? value : value.slice(0, slash)
  const match = /^(?:(\[[^\]]*\]|[^:[\]]*):)??(?:([\d-]*):)?([\d-]+)$/.exec(rest)
  if (!match?.[3]) {
    const parts = rest.split(":")
    throw failure(
      "invalid",
      parts.length > 3
        ? `invalid IP address: ${parts.slice(0, -2).join(":")}`
        : parts.at(-1) === ""
          ? `no port specified: ${value}<empty>`
          : `invalid containerPort: ${parts.at(-1)}`,
    )
  }
  return {
    address: (match[1] ?? "").replace(/^\[|\]$/g, ""),
    host: match[2] ?? "",
    container: match[3],
    protocol,
  }
}

/** Exposed ports and bindings of all -p values. Throws invalid. */
export function readPublished(values: readonly string[]): {
  exposed: Record<string, object>
  bindings: Record<string, Binding[]>
} {
  const exposed: Record<string, object> = {}
  const bindings: Record<string, Binding[]> = {}
  for (const value of values) {
    const { address, host, container, protocol } = split(value)
    const [first, last] = range(container, "container")
    const [hostFirst, hostLast] = host ? range(host, "host") : [0, 0]
    const several = last > first
    if (host && several && hostLast - hostFirst !== last - first)
      throw failure(
        "invalid",
        `invalid ranges specified for container and host Ports: ${container} and ${host}`,
      )
    for (let port = first; port <= last; port++) {
      const hostPort = host === "" ? "" : several ? String(hostFirst + port - first) : host
      const key = `${port}/${protocol}`
      exposed[key] = {}
      bindings[key] = [...(bindings[key] ?? []), { HostIp: address, HostPort: hostPort }]
    }
  }
  return { exposed, bindings }
}

/** --expose values as keys of ExposedPorts. */
export function readExposed(values: readonly string[]): Record<string, object> {
  const exposed: Record<string, object> = {}
  for (const value of values) {
    const [ports = "", protocol = "tcp"] = value.split("/")
    const [first, last] = range(ports, "container")
    for (let port = first; port <= last; port++) exposed[`${port}/${protocol}`] = {}
  }
  return exposed
}
