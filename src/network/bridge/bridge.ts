// The engine's default bridge: found or made, with a subnet that collides with nothing on this host.
import { randomBytes } from "node:crypto"
import { readFileSync, writeFileSync } from "node:fs"
import { setTimeout as sleep } from "node:timers/promises"
import { failure } from "../../base/errors.ts"
import type { Kernel } from "../../kernel/kernel.ts"
import type { Link, LinkAddress, Route } from "../../kernel/netlink/netlink.ts"
import {
  addAddress,
  createBridge,
  deleteAddress,
  deleteLink,
  FAMILY_IPV4,
  getLink,
  listAddresses,
  listLinks,
  listRoutes,
  readAddresses,
  readLinks,
  readRoutes,
  setUp,
  withoutIpv6,
} from "../../kernel/netlink/netlink.ts"
import type { Subnet } from "../ipam/subnet.ts"
import { chooseSubnet, contains, ipv4Number, ipv4Text, overlaps, parseSubnet } from "../ipam/subnet.ts"
import { routeRequest } from "../request.ts"

export interface Bridge {
  readonly name: string
  readonly index: number
  readonly subnet: Subnet
  readonly gateway: string
  readonly mtu: number
}

export interface BridgeRequest {
  readonly name: string
  /** Where to look for a subnet, in order. */
  readonly pools: readonly Subnet[]
  /** The one to use, as configured or as it was before a restart. */
  readonly subnet?: Subnet
  /** Whether `subnet` must be used even if something of this host overlaps it (containers have addresses of it). */
  readonly keep: boolean
  /** Resolvers of the host, which must stay reachable. */
  readonly avoid: readonly string[]
}

interface HostNetwork {
  readonly links: readonly Link[]
  readonly addresses: readonly LinkAddress[]
  readonly routes: readonly Route[]
}

const DEFAULT_MTU = 1500

/** Links, IPv4 addresses and routes of the host. */
const readHostNetwork = async (kernel: Kernel): Promise<HostNetwork> => {
  const [links, addresses, routes] = await Promise.all([
    routeRequest(kernel, [listLinks()]),
    routeRequest(kernel, [listAddresses(FAMILY_IPV4)]),
    routeRequest(kernel, [listRoutes(FAMILY_IPV4)]),
  ])
  return { links: readLinks(links), addresses: readAddresses(addresses), routes: readRoutes(routes) }
}

/** What the host uses besides the link `own`. The default route covers everything and counts for nothing. */
const usedSubnets = (host: HostNetwork, own: number, avoid: readonly string[]): Subnet[] => [
  ...host.addresses
    .filter((address) => address.link !== own)
    .map((address) => parseSubnet(`${address.address}/${address.prefixLength}`)),
  ...host.routes
    .filter((route) => route.link !== own && route.prefixLength > 0 && route.destination !== undefined)
    .map((route) => parseSubnet(`${route.destination}/${route.prefixLength}`)),
  ...avoid.filter((address) => /^\d+\./.test(address)).map((address) => parseSubnet(`${address}/32`)),
]

/** Never more than what the way out carries: smaller packets beat fragments and lost "too big" messages. */
const wayOutMtu = (host: HostNetwork): number => {
  const out = host.routes.find((route) => route.prefixLength === 0)
  const link = host.links.find((candidate) => candidate.index === out?.link)
  return link && link.mtu >= 576 ? Math.min(DEFAULT_MTU, link.mtu) : DEFAULT_MTU
}

const makeLink = async (kernel: Kernel, name: string, mtu: number): Promise<Link> => {
  const macAddress = `02:42:${randomBytes(4)
    .toString("hex")
    .replace(/(..)(?=.)/g, "$1:")}`
  await routeRequest(kernel, [createBridge(name, mtu, macAddress), withoutIpv6({ name })])
  const [made] = readLinks(await routeRequest(kernel, [getLink({ name })]))
  if (!made) throw failure("internal", `bridge ${name} vanished while it was set up; start the daemon again`)
  return made
}

/**
 * Makes sure that the bridge is there, is up, and has the first address of its subnet. What exists already is kept.
 * Throws Failure "conflict" when the name belongs to something else, "exhausted" when no pool is free.
 */
export const openBridge = async (kernel: Kernel, request: BridgeRequest): Promise<Bridge> => {
  const host = await readHostNetwork(kernel)
  const existing = host.links.find((link) => link.name === request.name)
  if (existing && existing.kind !== "bridge")
    throw failure(
      "conflict",
      `network interface ${request.name} exists and is no bridge; remove it or choose another bridge name`,
    )
  const link = existing ?? (await makeLink(kernel, request.name, wayOutMtu(host)))
  try {
    const subnet = await settleSubnet(kernel, host, link.index, request)
    return {
      name: request.name,
      index: link.index,
      subnet,
      gateway: ipv4Text(subnet.base + 1),
      mtu: link.mtu,
    }
  } catch (error) {
    if (!existing) await routeRequest(kernel, [deleteLink({ index: link.index })]).catch(() => undefined)
    throw error
  }
}

const ROUNDS = 10

/**
 * Gives the bridge a subnet. Two engines that start together may choose the same one: whoever finds another's address
 * after it has put its own yields, and if both do, the dice tell them apart.
 */
const settleSubnet = async (
  kernel: Kernel,
  host: HostNetwork,
  index: number,
  request: BridgeRequest,
): Promise<Subnet> => {
  let seen = host
  let subnet = choose(seen, index, request)
  for (let round = 0; ; round++) {
    const isNew = await giveAddress(kernel, seen, index, subnet)
    if (!isNew || request.keep || round === ROUNDS) return subnet
    const { addresses } = await readHostNetwork(kernel)
    const isRival = (address: LinkAddress): boolean =>
      address.link !== index && overlaps(subnet, parseSubnet(`${address.address}/${address.prefixLength}`))
    if (!addresses.some(isRival)) return subnet
    await routeRequest(kernel, [deleteAddress(gatewayOn(index, subnet))])
    await sleep(Math.random() * 10 * (round + 1))
    seen = await readHostNetwork(kernel)
    subnet = chooseSubnet(request.pools, usedSubnets(seen, index, request.avoid))
  }
}

const gatewayOn = (link: number, subnet: Subnet): LinkAddress => ({
  link,
  address: ipv4Text(subnet.base + 1),
  prefixLength: subnet.prefixLength,
})

const choose = (host: HostNetwork, own: number, request: BridgeRequest): Subnet => {
  const used = usedSubnets(host, own, request.avoid)
  if (request.subnet && (request.keep || !used.some((other) => overlaps(request.subnet ?? other, other))))
    return request.subnet
  return chooseSubnet(request.pools, used)
}

/** Leaves the bridge up and with the gateway's address; says whether it did not have that before. */
const giveAddress = async (
  kernel: Kernel,
  host: HostNetwork,
  index: number,
  subnet: Subnet,
): Promise<boolean> => {
  const wanted = gatewayOn(index, subnet)
  const present = host.addresses.filter((address) => address.link === index)
  const isWanted = (address: LinkAddress): boolean =>
    address.address === wanted.address && address.prefixLength === wanted.prefixLength
  const isNew = !present.some(isWanted)
  await routeRequest(kernel, [
    ...present
      .filter((address) => !isWanted(address) && !contains(subnet, ipv4Number(address.address)))
      .map(deleteAddress),
    ...(isNew ? [addAddress(wanted)] : []),
    setUp({ index }),
  ])
  return isNew
}

const writeSysctl = (path: string, value: string): boolean => {
  const file = `/proc/sys/${path}`
  if (readFileSync(file, "utf8").trim() === value) return false
  try {
    writeFileSync(file, value)
  } catch (error) {
    throw failure(
      "internal",
      `could not set ${path.replaceAll("/", ".")} to ${value}, which published ports and outgoing traffic of containers need; set it by sysctl`,
      { cause: error },
    )
  }
  return true
}

/**
 * Sets what a bridge needs of the host: forwarding, and routes from 127.0.0.1 to containers (the firewall's guard chain
 * keeps the reverse way shut). Says whether forwarding had to be switched on.
 */
export const prepareHost = (bridge: string): { forwardingSwitchedOn: boolean } => {
  writeSysctl(`net/ipv4/conf/${bridge}/route_localnet`, "1")
  return { forwardingSwitchedOn: writeSysctl("net/ipv4/ip_forward", "1") }
}

/**
 * Whether ports of a bridge have to send frames back where they came from: when bridged packets pass through the IP
 * hooks (br_netfilter), a container that asks its own published port is translated on the bridge already.
 */
export const needsHairpin = (): boolean => {
  try {
    return readFileSync("/proc/sys/net/bridge/bridge-nf-call-iptables", "utf8").trim() === "1"
  } catch {
    return false
  }
}
