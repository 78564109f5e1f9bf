// What a container may ask of a network, checked in Docker's words before anything is made.
import { isIP, isIPv4, isIPv6 } from "node:net"
import { failure } from "../../base/errors.ts"
import { holdsAddress, parseCidr } from "../../network/network.ts"
import type { ContainerConfig, NetworkRecord, NetworkRequest } from "../../state/state.ts"
import { type FindNetwork, isUserDefined } from "./requests.ts"

const SYSCTLS = "com.docker.network.endpoint.sysctls"

/** One error is its own text, several are a list, as Go's joined errors read there. */
const joined = (errors: readonly string[]): string =>
  errors.length === 1
    ? (errors[0] ?? "")
    : `* ${errors.map((error) => error.replaceAll("\n", "\n\t")).join("\n* ")}`

const isUnspecified = (address: string): boolean => address === "0.0.0.0" || /^[0:]+$/.test(address)

const addressErrors = (request: NetworkRequest): string[] => {
  const errors: string[] = []
  const { ipv4, ipv6, linkLocal = [] } = request
  if (ipv4 !== undefined && (!isIPv4(ipv4) || isUnspecified(ipv4)))
    errors.push(`invalid IPv4 address: ${ipv4}`)
  if (ipv6 !== undefined && (!isIPv6(ipv6) || isUnspecified(ipv6)))
    errors.push(`invalid IPv6 address: ${ipv6}`)
  for (const address of linkLocal)
    if ((!isIPv4(address) && !isIPv6(address)) || isUnspecified(address))
      errors.push(`invalid link-local IP address: ${address}`)
  return errors
}

/** Whether the network's subnets of a family were given by the user, and one of them holds the address. */
const rangeError = (network: NetworkRecord, address: string | undefined): string | undefined => {
  if (address === undefined || isIP(address) === 0) return undefined
  const four = isIPv4(address)
  const own = network.subnets.filter(({ subnet, chosen }) => subnet.includes(":") !== four && !chosen)
  if (own.length === 0)
    return "user specified IP address is supported only when connecting to networks with user configured subnets"
  if (own.some(({ subnet }) => holdsAddress(parseCidr(subnet), address))) return undefined
  return `no configured subnet or ip-range contain the IP address ${address}`
}

const sysctlErrors = (options: Readonly<Record<string, string>> = {}): string[] => {
  const given = options[SYSCTLS]
  if (given === undefined) return []
  return given
    .split(",")
    .filter((entry) => !/^[^.]+\.(ipv4|ipv6|mpls)\.[^.]+\.(IFNAME|ifname)\../.test(entry))
    .map(
      (entry) =>
        `unrecognised network interface sysctl '${entry}'; represent 'net.X.Y.ethN.Z=V' as 'net.X.Y.IFNAME.Z=V', 'X' must be 'ipv4', 'ipv6' or 'mpls'`,
    )
}

/** What is wrong with a request for that network, in Docker's words; undefined when nothing is. */
const endpointError = (network: NetworkRecord | undefined, request: NetworkRequest): string | undefined => {
  const errors: string[] = []
  if (!isUserDefined(network?.name ?? request.network)) {
    if (request.ipv4 !== undefined || request.ipv6 !== undefined)
      errors.push("user specified IP address is supported on user defined networks only")
    if (request.aliases.length > 0)
      errors.push("network-scoped alias is supported only for containers in user defined networks")
  }
  errors.push(...addressErrors(request))
  for (const alias of request.aliases)
    if (!/^[\w.-]{1,255}$/.test(alias)) errors.push(`invalid network-scoped alias: ${JSON.stringify(alias)}`)
  if (network !== undefined && isUserDefined(network.name))
    for (const address of [request.ipv4, request.ipv6]) {
      const error = rangeError(network, address)
      if (error !== undefined) errors.push(error)
    }
  const mac = request.macAddress
  if (mac !== undefined && !/^[0-9a-f]{2}(?:[:-][0-9a-f]{2}){5}$/i.test(mac))
    return `invalid MAC address ${mac}`
  errors.push(...sysctlErrors(request.driverOptions))
  return errors.length === 0 ? undefined : `invalid endpoint settings:\n${joined(errors)}`
}

/** Throws invalid for what that network cannot give. */
export const checkEndpoint = (network: NetworkRecord, request: NetworkRequest): void => {
  const error = endpointError(network, request)
  if (error !== undefined) throw failure("invalid", error)
}

export const words = {
  shared:
    "container sharing network namespace with another container or host cannot be connected to any other network",
  none: "container cannot be connected to multiple networks with one of the networks in private (none) mode",
  toHost: "cannot connect container to host network - container must be created in host network mode",
  fromHost: "cannot disconnect container from host network - container was created in host network mode",
} as const

/** Whether networks may be had together: host and none stand alone. Throws invalid. */
export const checkTogether = (mode: string, names: readonly string[]): void => {
  if (mode !== "host" && names.includes("host")) throw failure("invalid", words.toHost)
  if (names.length < 2) return
  if (names.includes("host")) throw failure("invalid", words.shared)
  if (names.includes("none")) throw failure("invalid", words.none)
}

/** The networks of a new container. A network that is missing is told by the start. Throws invalid, in Docker's words. */
export const checkNetworks = (networks: FindNetwork, config: ContainerConfig): void => {
  const errors: string[] = []
  const names = new Set<string>()
  for (const request of config.networks) {
    const network = networks.find(request.network)
    const error = endpointError(network, request)
    if (error !== undefined) errors.push(`invalid config for network ${request.network}: ${error}`)
    names.add(network?.name ?? request.network)
  }
  if (errors.length > 0) throw failure("invalid", joined(errors))
  if (names.size < config.networks.length)
    throw failure("invalid", "a network is named more than once, by name or by id")
  if (config.networkMode === "host" && names.size > 0 && !names.has("host"))
    throw failure("invalid", words.shared)
  checkTogether(config.networkMode, [...names])
}
