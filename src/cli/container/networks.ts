// --network and the flags that go with it, as the Engine API's EndpointsConfig.
import { failure } from "../../base/errors.ts"
import type { Parsed } from "../flags.ts"
import { splitCsv } from "./values.ts"

/** One --network, with what the other flags add to the first. */
interface Attachment {
  target: string
  aliases: string[]
  links: string[]
  linkLocal: string[]
  driverOptions: Record<string, string>
  ipv4?: string
  ipv6?: string
  mac?: string
  gatewayPriority: number
}

const refuse = (message: string): never => {
  throw failure("invalid", message)
}

const plain = (target: string): Attachment => ({
  target,
  aliases: [],
  links: [],
  linkLocal: [],
  driverOptions: {},
  gatewayPriority: 0,
})

/** "key=value", blanks around either dropped, as docker reads fields of --network: in lower case. */
function cut(field: string, wrong: string): [key: string, value: string] {
  const lower = field.toLowerCase()
  const equals = lower.indexOf("=")
  if (equals <= 0) refuse(wrong)
  return [lower.slice(0, equals).trim(), lower.slice(equals + 1).trim()]
}

const fields: Readonly<Record<string, (network: Attachment, value: string) => void>> = {
  name: (network, value) => {
    network.target = value
  },
  alias: (network, value) => {
    network.aliases.push(value)
  },
  ip: (network, value) => {
    network.ipv4 = value
  },
  ip6: (network, value) => {
    network.ipv6 = value
  },
  "mac-address": (network, value) => {
    network.mac = value
  },
  "link-local-ip": (network, value) => {
    network.linkLocal.push(value)
  },
  "driver-opt": (network, value) => {
    const [key, option] = cut(value, "invalid key value pair format in driver options")
    network.driverOptions[key] = option
  },
  "gw-priority": (network, value) => {
    if (!/^[+-]?\d+$/.test(value)) refuse(`invalid gw-priority (${value}): invalid syntax`)
    network.gatewayPriority = Number(value)
  },
}

/** A name, or "name=…,alias=…,ip=…". Throws invalid. */
export function readNetwork(value: string): Attachment {
  if (!/\w+=\w+(,\w+=\w+)*/.test(value)) return plain(value)
  const network = plain("")
  for (const field of splitCsv(value)) {
    const [key, given] = cut(field, `invalid field ${field}`)
    const set = Object.hasOwn(fields, key) ? fields[key] : undefined
    if (set === undefined) refuse(`invalid field key ${key}`)
    set?.(network, given)
  }
  if (network.target === "") refuse("network name/id is not specified")
  return network
}

const isUserDefined = (name: string): boolean =>
  !["default", "bridge", "host", "none"].includes(name) && !name.startsWith("container:")

const twice = (flag: string, field: string): never =>
  refuse(`conflicting options: cannot specify both --${flag} and per-network ${field}`)

/** What the flags of the whole container say goes to its first network. Throws invalid for what is said twice. */
function addFlags(network: Attachment, parsed: Parsed): void {
  const aliases = [...parsed.list("network-alias"), ...parsed.list("net-alias")]
  const local = parsed.list("link-local-ip")
  const [ipv4, ipv6, mac] = [parsed.string("ip"), parsed.string("ip6"), parsed.string("mac-address")]
  if (network.aliases.length > 0 && aliases.length > 0) twice("network-alias", "alias")
  if (network.ipv4 && ipv4) twice("ip", "IPv4 address")
  if (network.ipv6 && ipv6) twice("ip6", "IPv6 address")
  if (network.mac && mac) twice("mac-address", "MAC address")
  if (network.linkLocal.length > 0 && local.length > 0) twice("link-local-ip", "link-local IP addresses")
  if (aliases.length > 0) network.aliases = aliases
  if (isUserDefined(network.target)) network.links = [...parsed.list("link")]
  if (ipv4) network.ipv4 = ipv4
  if (ipv6) network.ipv6 = ipv6
  if (mac) network.mac = mac
  if (local.length > 0) network.linkLocal = [...local]
}

/** EndpointSettings; undefined when they say nothing. */
function settings(network: Attachment): Record<string, unknown> | undefined {
  const { target, ipv4, ipv6, linkLocal, mac } = network
  if (target.trim() === "") refuse("no name set for network")
  if (!isUserDefined(target)) {
    if (network.aliases.length > 0)
      refuse("network-scoped aliases are only supported for user-defined networks")
    if (network.links.length > 0) refuse("links are only supported for user-defined networks")
  }
  if (mac && !/^[0-9a-f]{2}([:-][0-9a-f]{2}){5}$/i.test(mac)) refuse(`${mac} is not a valid mac address`)
  const body = {
    ...(network.aliases.length > 0 ? { Aliases: network.aliases } : {}),
    ...(network.links.length > 0 ? { Links: network.links } : {}),
    ...(Object.keys(network.driverOptions).length > 0 ? { DriverOpts: network.driverOptions } : {}),
    ...(ipv4 || ipv6 || linkLocal.length > 0
      ? { IPAMConfig: { IPv4Address: ipv4, IPv6Address: ipv6, LinkLocalIPs: linkLocal } }
      : {}),
    ...(mac ? { MacAddress: mac } : {}),
    ...(network.gatewayPriority === 0 ? {} : { GwPriority: network.gatewayPriority }),
  }
  return Object.keys(body).length > 0 ? body : undefined
}

/** The mode and the endpoints of run and create. Throws invalid in docker's words. */
export function readNetworking(parsed: Parsed): {
  mode: string
  endpoints: Record<string, Record<string, unknown>>
} {
  const values = [...parsed.list("network"), ...parsed.list("net")]
  const networks = values.length === 0 ? [plain("default")] : values.map(readNetwork)
  const endpoints: Record<string, Record<string, unknown>> = {}
  for (const [index, network] of networks.entries()) {
    if (index === 0) addFlags(network, parsed)
    const body = settings(network)
    if (Object.hasOwn(endpoints, network.target))
      refuse(`network ${JSON.stringify(network.target)} is specified multiple times`)
    if (body !== undefined || networks.length > 1) endpoints[network.target] = body ?? {}
  }
  const kinds = new Set(networks.map(({ target }) => isUserDefined(target)))
  if (kinds.size > 1)
    refuse("conflicting options: cannot attach both user-defined and non-user-defined network-modes")
  return { mode: networks[0]?.target ?? "default", endpoints }
}
