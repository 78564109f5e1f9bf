// The options of a bridge network by Docker's names, parsed once.
import { failure } from "../../base/errors.ts"
import type { NetworkRecord } from "../../state/state.ts"
import type { GatewayMode } from "../firewall/guard.ts"
import { familyOfAddress } from "../ipam/cidr.ts"

export interface BridgeOptions {
  readonly bridgeName: string
  readonly mtu: number
  /** Whether containers reach each other. */
  readonly icc: boolean
  readonly masquerade: boolean
  /** Where ports are published that name no address; "" = everywhere. */
  readonly hostBinding: string
  readonly gatewayMode4: GatewayMode
  readonly gatewayMode6: GatewayMode
  /** The bridge has no IPv4 address of its own. */
  readonly inhibitIpv4: boolean
  /** Interfaces by which containers' own addresses are reached from outside. */
  readonly trustedInterfaces: readonly string[]
  /** Name of containers' interfaces without its number. */
  readonly interfacePrefix: string
  /** Source address instead of masquerade; "" = whatever the way out has. */
  readonly hostIpv4: string
  readonly hostIpv6: string
}

const BRIDGE = "com.docker.network.bridge."
export const BRIDGE_NAME = `${BRIDGE}name`
export const MTU = "com.docker.network.driver.mtu"
const INTERFACE_PREFIX = "com.docker.network.container_iface_prefix"
const MODES: readonly string[] = ["nat", "nat-unprotected", "routed", "isolated"]

const wrong = (label: string, value: string, why: string): Error =>
  failure("invalid", `failed to parse ${label} value: ${value} (${why})`)

const TRUE = /^(1|t|true)$/i
const FALSE = /^(0|f|false)$/i
type Options = Readonly<Record<string, string>>

const flag = (options: Options, label: string, otherwise: boolean): boolean => {
  const value = options[label]
  if (value === undefined) return otherwise
  if (TRUE.test(value)) return true
  if (FALSE.test(value)) return false
  throw wrong(label, value, `strconv.ParseBool: parsing ${JSON.stringify(value)}: invalid syntax`)
}

const mode = (options: Options, label: string): GatewayMode => {
  const value = options[label]
  if (value === undefined || value === "") return "nat"
  const known = MODES.find((candidate): candidate is GatewayMode => candidate === value)
  if (known === undefined) throw wrong(label, value, `unknown gateway mode ${value}`)
  return known
}

const address = (options: Options, label: string): string => {
  const value = options[label] ?? ""
  if (value !== "" && familyOfAddress(value) === undefined) throw wrong(label, value, "nil ip")
  return value
}

/** The MTU that was asked for; 0 = none. Throws Failure "invalid". */
const mtuOption = (options: Options): number => {
  const value = options[MTU]
  if (value === undefined || value === "") return 0
  const mtu = Number(value)
  if (!/^[+-]?\d+$/.test(value))
    throw wrong(MTU, value, `strconv.Atoi: parsing ${JSON.stringify(value)}: invalid syntax`)
  if (mtu < 0 || (mtu > 0 && mtu < 68) || mtu > 65535) throw failure("invalid", `invalid MTU number: ${mtu}`)
  return mtu
}

/** Whether a text can be the name of a network interface. */
export const isInterfaceName = (name: string): boolean =>
  /^[\w.@-]{1,15}$/.test(name) && name !== "." && name !== ".."

export const interfacePrefix = (options: Options): string => {
  const prefix = options[INTERFACE_PREFIX] ?? "eth"
  if (prefix !== "" && !isInterfaceName(`${prefix}0`))
    throw wrong(INTERFACE_PREFIX, prefix, "not the beginning of an interface's name")
  return prefix || "eth"
}

/** Throws Failure "invalid" for a value that is none. `id` names the bridge when no option does. */
export const bridgeOptions = (network: Pick<NetworkRecord, "id" | "options" | "internal">): BridgeOptions => {
  const { options } = network
  const name = options[BRIDGE_NAME] || `br-${network.id.slice(0, 12)}`
  if (!isInterfaceName(name))
    throw wrong(BRIDGE_NAME, name, "an interface's name has 1 to 15 letters, digits, '.', '_', '-'")
  const gatewayMode4 = mode(options, `${BRIDGE}gateway_mode_ipv4`)
  const gatewayMode6 = mode(options, `${BRIDGE}gateway_mode_ipv6`)
  if ((gatewayMode4 === "isolated" || gatewayMode6 === "isolated") && !network.internal)
    throw failure("invalid", "gateway mode 'isolated' can only be used for an internal network")
  return {
    bridgeName: name,
    mtu: mtuOption(options),
    icc: flag(options, `${BRIDGE}enable_icc`, true),
    masquerade: flag(options, `${BRIDGE}enable_ip_masquerade`, true),
    hostBinding: address(options, `${BRIDGE}host_binding_ipv4`),
    gatewayMode4,
    gatewayMode6,
    inhibitIpv4: flag(options, `${BRIDGE}inhibit_ipv4`, false),
    trustedInterfaces: (options[`${BRIDGE}trusted_host_interfaces`] ?? "").split(":").filter(Boolean),
    interfacePrefix: interfacePrefix(options),
    hostIpv4: address(options, "com.docker.network.host_ipv4"),
    hostIpv6: address(options, "com.docker.network.host_ipv6"),
  }
}
