// The bridge driver: a network is a bridge of this host, its containers' ends are veth pairs.
import { errorMessage, failure } from "../../base/errors.ts"
import type { Kernel } from "../../kernel/kernel.ts"
import type { Message } from "../../kernel/netlink/netlink.ts"
import {
  createVeth,
  deleteAddress,
  FAMILY_IPV4,
  FAMILY_IPV6,
  getLink,
  listAddresses,
  readAddresses,
  readLinks,
  setHairpin,
  setIsolated,
  setUp,
  withoutIpv6,
} from "../../kernel/netlink/netlink.ts"
import type { NetworkRecord } from "../../state/state.ts"
import type { Driver, Footing, LinkRequest } from "../driver.ts"
import type { Guard, GuardedNetwork } from "../firewall/guard.ts"
import { parseCidr } from "../ipam/cidr.ts"
import { letLoopbackAnswersIn } from "../ports/loopback.ts"
import type { Removals } from "../removals.ts"
import { routeRequest } from "../request.ts"
import type { BridgePlan } from "./bridge.ts"
import { ensureBridge } from "./bridge.ts"
import { BRIDGE_NAME, bridgeOptions } from "./options.ts"
import { isSoundBridge } from "./soundness.ts"
import {
  allowLocalRoutes,
  forwardIpv4,
  forwardIpv6,
  hasIpv6,
  needsHairpin,
  prepareIpv6Bridge,
} from "./sysctls.ts"

export interface BridgeDriverOptions {
  readonly kernel: Kernel
  readonly guard: Guard
  readonly removals: Removals
  /** Written on bridges that are made here, before the network's id. */
  readonly mark: string
  /** MTU of networks that ask for none. */
  readonly mtu: () => number
  readonly warn: (message: string) => void
}

const isIpv6 = (subnet: string): boolean => subnet.includes(":")
const firstOf = (network: NetworkRecord, ipv6: boolean): NetworkRecord["subnets"][number] | undefined =>
  network.subnets.find(({ subnet }) => isIpv6(subnet) === ipv6)

/** Addresses that this host has on the bridge: the gateways, and one for the link where there is IPv6. */
const hostAddresses = (network: NetworkRecord): { address: string; prefixLength: number }[] => {
  const { inhibitIpv4, gatewayMode4, gatewayMode6 } = bridgeOptions(network)
  const given = network.subnets.flatMap(({ subnet, gateway }) => {
    const isAbsent = isIpv6(subnet) ? gatewayMode6 === "isolated" : inhibitIpv4 || gatewayMode4 === "isolated"
    return isAbsent || gateway === ""
      ? []
      : [{ address: gateway, prefixLength: parseCidr(subnet).prefixLength }]
  })
  return firstOf(network, true) ? [...given, { address: "fe80::1", prefixLength: 64 }] : given
}

/** What the firewall has to know of a bridge network. */
export const guarded = (network: NetworkRecord): GuardedNetwork => {
  const options = bridgeOptions(network)
  return {
    bridge: options.bridgeName,
    internal: network.internal,
    icc: options.icc,
    trusted: options.trustedInterfaces,
    subnets: network.subnets.map(({ subnet }) => {
      const sourceAddress = isIpv6(subnet) ? options.hostIpv6 : options.hostIpv4
      return {
        subnet,
        mode: isIpv6(subnet) ? options.gatewayMode6 : options.gatewayMode4,
        masquerade: options.masquerade,
        ...(sourceAddress === "" ? {} : { sourceAddress }),
      }
    }),
  }
}

export const bridgeDriver = (tools: BridgeDriverOptions): Driver => {
  const { kernel, guard, removals } = tools
  const mtuOf = (network: NetworkRecord): number => bridgeOptions(network).mtu || tools.mtu()
  const aliasOf = (network: NetworkRecord): string => `${tools.mark}${network.id}`

  const prepareHost = (network: NetworkRecord): void => {
    const { bridgeName } = bridgeOptions(network)
    if (firstOf(network, false)) allowLocalRoutes(bridgeName)
    if (firstOf(network, true)) prepareIpv6Bridge(bridgeName)
    if (network.internal) return
    if (firstOf(network, false)) forwardIpv4().forEach(tools.warn)
    if (firstOf(network, true)) forwardIpv6().forEach(tools.warn)
  }

  return {
    name: "bridge",
    isGateway: true,
    hasHostEnd: true,
    hasMacAddress: true,
    isGuarded: true,
    isPrepared: true,

    check(request, others) {
      const { bridgeName } = bridgeOptions({ id: "0".repeat(64), ...request })
      for (const ipv6 of [false, true])
        if (request.ipam.pools.filter(({ subnet }) => subnet && isIpv6(subnet) === ipv6).length > 1)
          throw failure("forbidden", "bridge driver doesn't support multiple subnets")
      if (request.ipv6 && !hasIpv6())
        throw failure(
          "invalid",
          "this host has no IPv6: start its kernel without ipv6.disable=1, or leave --ipv6 out",
        )
      const twin = others.find(
        ({ driver, options }) => driver === "bridge" && options[BRIDGE_NAME] === bridgeName,
      )
      if (twin && request.options[BRIDGE_NAME])
        throw failure(
          "forbidden",
          `cannot create network ${request.name}: conflicts with network ${twin.id} (${bridgeName}): networks have same bridge name`,
        )
    },

    async raise(network, host): Promise<Footing> {
      const { bridgeName } = bridgeOptions(network)
      const seen = removals.names().includes(bridgeName) ? undefined : host
      await removals.free(bridgeName)
      const plan: BridgePlan = {
        name: bridgeName,
        mtu: mtuOf(network),
        identity: network.id,
        alias: aliasOf(network),
        blocks: network.subnets.map(({ subnet }) => parseCidr(subnet)),
        addresses: hostAddresses(network),
        prepare: () => prepareHost(network),
      }
      const { link } = await ensureBridge(kernel, plan, seen)
      if (firstOf(network, true) && !network.internal)
        await letLoopbackAnswersIn(kernel, link.index).catch((error: unknown) =>
          tools.warn(
            `[::1] does not reach published ports of network ${network.name}: ${errorMessage(error)}`,
          ),
        )
      return { name: bridgeName, index: link.index, mtu: link.mtu || plan.mtu }
    },

    isSound: (network) => isSoundBridge(bridgeOptions(network).bridgeName, hostAddresses(network)),

    async lower(network) {
      const { bridgeName } = bridgeOptions(network)
      const replies = await routeRequest(kernel, [
        getLink({ name: bridgeName }),
        listAddresses(FAMILY_IPV4),
        listAddresses(FAMILY_IPV6),
      ]).catch(() => Buffer.alloc(0))
      const [link] = readLinks(replies)
      if (!link) return guard.removeNetwork(bridgeName)
      // Its routes go with its addresses, at once: the subnet can be given to another network.
      const addresses = readAddresses(replies).filter((address) => address.link === link.index)
      if (addresses.length > 0) await routeRequest(kernel, addresses.map(deleteAddress))
      // A bridge that was there before the network is its owner's.
      if (link.alias === aliasOf(network)) removals.remove(bridgeName, () => guard.removeNetwork(bridgeName))
      else await guard.removeNetwork(bridgeName)
    },

    wayOut(network, given) {
      if (network.internal || !given) return undefined
      const { gatewayMode4, gatewayMode6 } = bridgeOptions(network)
      const isolated = (isIpv6(given.address) ? gatewayMode6 : gatewayMode4) === "isolated"
      return isolated || given.gateway === "" ? undefined : given.gateway
    },

    linkMessages(network: NetworkRecord, footing: Footing, link: LinkRequest): readonly Message[] {
      const host = { name: link.hostName }
      return [
        createVeth({
          name: link.hostName,
          master: footing.index,
          mtu: footing.mtu,
          peerName: link.name,
          peerMacAddress: link.macAddress,
        }),
        withoutIpv6(host),
        ...(needsHairpin() ? [setHairpin(host)] : []),
        ...(bridgeOptions(network).icc ? [] : [setIsolated(host)]),
        setUp(host),
      ]
    },
  }
}
