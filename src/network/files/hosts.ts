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

export interface HostsRequest {
  readonly hostname: string
  readonly domainname: string
  /** Own addresses, each getting a line. */
  readonly addresses: readonly string[]
  /** "name:ip" or "name=ip"; the ip may be "host-gateway". */
  readonly extraHosts: readonly string[]
  /** What "host-gateway" stands for. */
  readonly hostGateway: string
  readonly links: readonly { readonly name: string; readonly alias: string; readonly ipv4: string }[]
}

const extraLine = (text: string, hostGateway: string): string => {
  const match = /^([^:=\s]+)[:=](\S+)$/.exec(text)
  const name = match?.[1]
  const given = match?.[2]?.replace(/^\[(.*)\]$/, "$1")
  const address = given === "host-gateway" ? hostGateway : given
  if (name === undefined || address === undefined)
    throw failure("invalid", `bad format for add-host: ${JSON.stringify(text)}`)
  if (isIP(address) === 0)
    throw failure("invalid", `invalid IP address in add-host: ${JSON.stringify(address)}`)
  return `${address}\t${name}`
}

/** The whole file, lines in Docker's order. Throws Failure "invalid" for a malformed extra host. */
export const hostsText = (request: HostsRequest): string => {
  const own = request.domainname
    ? `${request.hostname}.${request.domainname} ${request.hostname}`
    : request.hostname
  const lines = [
    ...localHosts,
    ...request.extraHosts.map((text) => extraLine(text, request.hostGateway)),
    ...request.links.map(({ ipv4, alias, name }) =>
      alias === name ? `${ipv4}\t${alias}` : `${ipv4}\t${alias} ${name}`,
    ),
    ...request.addresses.map((address) => `${address}\t${own}`),
  ]
  return `${lines.join("\n")}\n`
}
