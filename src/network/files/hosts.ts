// The text of a container's /etc/hosts.
import { isIP } from "node:net"
import { failure } from "../../base/errors.ts"

/** The lines that every container has. */
export const localHosts: readonly string[] = [
  "127.0.0.1\tlocalhost",
  "::1\tlocalhost ip6-localhost ip6-loopback",
  "fe00::\tip6-localnet",
  "ff00::\tip6-mcastprefix",
  "ff02::1\tip6-allnodes",
  "ff02::2\tip6-allrouters",
]

/** Another container, found by these names at an address. */
export interface LinkedContainer {
  readonly name: string
  readonly hostname: string
  readonly alias: string
  readonly ipv4: string
}

export interface HostsRequest {
  readonly hostname: string
  readonly domainname: string
  /** Own addresses, each getting a line. */
  readonly addresses: readonly string[]
  /** "name:ip" or "name=ip"; the ip may be "host-gateway". */
  readonly extraHosts: readonly string[]
  /** What "host-gateway" stands for; "" = there is none. */
  readonly hostGateway: string
  /** Its second address, which gets a line of its own. */
  readonly hostGateway6?: string
  readonly links: readonly LinkedContainer[]
}

const extraLines = (text: string, { hostGateway, hostGateway6 }: HostsRequest): string[] => {
  const match = /^([^:=\s]+)[:=](\S+)$/.exec(text)
  const name = match?.[1]
  const address = match?.[2]?.replace(/^\[(.*)\]$/, "$1")
  if (name === undefined || address === undefined)
    throw failure("invalid", `bad format for add-host: ${JSON.stringify(text)}`)
  if (address === "host-gateway") {
    const gateways = [hostGateway, hostGateway6].filter((gateway) => gateway)
    if (gateways.length === 0)
      throw failure(
        "invalid",
        "unable to derive the IP value for host-gateway: give the daemon --host-gateway-ip",
      )
    return gateways.map((gateway) => `${gateway}\t${name}`)
  }
  if (isIP(address) === 0)
    throw failure("invalid", `invalid IP address in add-host: ${JSON.stringify(address)}`)
  return [`${address}\t${name}`]
}

/** The whole file, lines in Docker's order. Throws Failure "invalid" for a malformed extra host. */
export const hostsText = (request: HostsRequest): string => {
  const own = request.domainname
    ? `${request.hostname}.${request.domainname} ${request.hostname}`
    : request.hostname
  const lines = [
    ...localHosts,
    ...request.extraHosts.flatMap((text) => extraLines(text, request)),
    ...request.links.map(
      ({ ipv4, alias, hostname, name }) =>
        `${ipv4}\t${[alias, hostname, ...(alias === name ? [] : [name])].join(" ")}`,
    ),
    ...request.addresses.map((address) => `${address}\t${own}`),
  ]
  return `${lines.join("\n")}\n`
}

/**
 * A living container's file with what changed: lines of ours that are no longer wanted go, new ones come at the end; what
 * the user wrote stays as it is, and a line of ours that the user took out stays out. `before` is the text as we last
 * would have written it, `after` as we would now.
 */
export const updatedHosts = (current: string, before: string, after: string): string => {
  const old = linesOf(before)
  const wanted = linesOf(after)
  const gone = leftOver(old, wanted)
  const kept = linesOf(current).filter((line) => {
    const count = gone.get(line) ?? 0
    if (count > 0) gone.set(line, count - 1)
    return count === 0
  })
  const fresh = leftOver(wanted, old)
  const added = wanted.filter((line) => {
    const count = fresh.get(line) ?? 0
    if (count > 0) fresh.set(line, count - 1)
    return count > 0
  })
  const lines = [...kept, ...added]
  return lines.length > 0 ? `${lines.join("\n")}\n` : ""
}

const linesOf = (text: string): string[] => {
  const lines = text.split("\n")
  if (lines.at(-1) === "") lines.pop()
  return lines
}

/** How often each line is in the first list beyond the second. */
const leftOver = (lines: readonly string[], others: readonly string[]): Map<string, number> => {
  const counts = new Map<string, number>()
  for (const line of lines) counts.set(line, (counts.get(line) ?? 0) + 1)
  for (const line of others) counts.set(line, Math.max(0, (counts.get(line) ?? 0) - 1))
  return counts
}
