// The engine's default bridge: found or made, with a subnet that collides with nothing on this host.
import { setTimeout as sleep } from "node:timers/promises"
import type { Kernel } from "../../kernel/kernel.ts"
import { deleteAddress, deleteLink } from "../../kernel/netlink/netlink.ts"
import type { HostNetwork } from "../host-network.ts"
import { readHostNetwork, usedBlocks, wayOutMtu } from "../host-network.ts"
import type { AddressPool } from "../ipam/address-pools.ts"
import { chooseSubnet } from "../ipam/address-pools.ts"
import type { Cidr } from "../ipam/cidr.ts"
import { addressText, overlap } from "../ipam/cidr.ts"
import { routeRequest } from "../request.ts"
import type { BridgePlan } from "./bridge.ts"
import { ensureBridge, requireBridge } from "./bridge.ts"
import { allowLocalRoutes } from "./sysctls.ts"

export interface DefaultBridge {
  readonly name: string
  readonly index: number
  readonly subnet: Cidr
  readonly gateway: string
  readonly mtu: number
}

export interface DefaultBridgeRequest {
  readonly name: string
  readonly alias: string
  /** Where to look for a subnet, in order. */
  readonly pools: readonly AddressPool[]
  /** The one to use, as configured or as it was before a restart. */
  readonly subnet?: Cidr
  /** Whether `subnet` must be used even if something of this host overlaps it (containers have addresses of it). */
  readonly keep: boolean
  /** Resolvers of the host, which must stay reachable. */
  readonly avoid: readonly string[]
  /** Blocks of the engine's other networks. */
  readonly taken: readonly Cidr[]
}

const ROUNDS = 10
const gatewayOf = (subnet: Cidr): string => addressText(subnet.family, subnet.base + 1n)

const used = (host: HostNetwork, request: DefaultBridgeRequest): Cidr[] => {
  const own = new Set(host.links.filter(({ name }) => name === request.name).map(({ index }) => index))
  return [...usedBlocks(host, own, request.avoid).map(({ block }) => block), ...request.taken]
}

const choose = (host: HostNetwork, request: DefaultBridgeRequest): Cidr => {
  const others = used(host, request)
  const { subnet } = request
  if (subnet && (request.keep || !others.some((other) => overlap(subnet, other)))) return subnet
  return chooseSubnet(request.pools, 4, others)
}

/**
 * Makes sure that the bridge is there, is up, and has the first address of its subnet. What exists already is kept.
 * Two engines that start together may choose the same subnet: whoever finds another's address after it has put its own
 * yields, and if both do, the dice tell them apart.
 * Throws Failure "conflict" when the name belongs to something else, "invalid" when no pool is free.
 */
export const openDefaultBridge = async (
  kernel: Kernel,
  request: DefaultBridgeRequest,
): Promise<DefaultBridge> => {
  let host = await readHostNetwork(kernel)
  const existed = requireBridge(
    host.links.find(({ name }) => name === request.name),
    request.name,
  )
  let made: number | undefined
  try {
    let subnet = choose(host, request)
    for (let round = 0; ; round++) {
      const address = { address: gatewayOf(subnet), prefixLength: subnet.prefixLength }
      const had = host.addresses.some(
        (one) => one.address === address.address && one.prefixLength === address.prefixLength,
      )
      const plan: BridgePlan = {
        name: request.name,
        mtu: wayOutMtu(host),
        identity: request.name,
        alias: request.alias,
        blocks: [subnet],
        addresses: [address],
        prepare: () => allowLocalRoutes(request.name),
      }
      const { link } = await ensureBridge(kernel, plan, host)
      if (!existed) made = link.index
      const bridge = {
        name: request.name,
        index: link.index,
        subnet,
        gateway: address.address,
        mtu: link.mtu,
      }
      if (had || request.keep || round === ROUNDS) return bridge
      host = await readHostNetwork(kernel)
      const isRival = usedBlocks(host, new Set([link.index])).some(({ block }) => overlap(subnet, block))
      if (!isRival) return bridge
      await routeRequest(kernel, [deleteAddress({ ...address, link: link.index })])
      await sleep(Math.random() * 10 * (round + 1))
      host = await readHostNetwork(kernel)
      subnet = chooseSubnet(request.pools, 4, used(host, request))
    }
  } catch (error) {
    if (made !== undefined) await routeRequest(kernel, [deleteLink({ index: made })]).catch(() => undefined)
    throw error
  }
}
