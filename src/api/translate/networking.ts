// The networks of a new container, with what older clients say of them elsewhere in the request.
import { failure } from "../../base/errors.ts"
import { isUserDefined } from "../../engine/engine.ts"
import type { NetworkRequest } from "../../state/state.ts"
import type { CreateRequest } from "../../wire/wire.ts"
import { networkRequest } from "./networks.ts"

const SYSCTLS = "com.docker.network.endpoint.sysctls"

interface Networking {
  readonly networks: readonly NetworkRequest[]
  /** Those that concern no single interface. */
  readonly sysctls: Readonly<Record<string, string>>
  readonly warnings: readonly string[]
}

const byName = (mode: string): string => (mode === "" || mode === "default" ? "bridge" : mode)

const canHaveMac = (mode: string): boolean => byName(mode) === "bridge" || isUserDefined(mode)

/** Null settings are as good as none. Throws invalid for more than an old client may give. */
function requestsOf(request: CreateRequest, minor: number): NetworkRequest[] {
  const entries = Object.entries(request.NetworkingConfig?.EndpointsConfig ?? {})
  if (minor < 44 && entries.length > 1)
    throw failure(
      "invalid",
      `Container cannot be created with multiple network endpoints: ${entries.map(([name]) => name).join(", ")}`,
    )
  return entries.map(([name, settings]) => {
    const asked = networkRequest(byName(name), settings, minor)
    if (minor >= 44 || asked.macAddress === undefined) return asked
    const { macAddress: _ignored, ...rest } = asked
    return rest
  })
}

/** Changes the request for the network that the mode names. Throws invalid when it is not among several. */
function changeMain(
  networks: readonly NetworkRequest[],
  mode: string,
  minor: number,
  change: (main: NetworkRequest) => NetworkRequest,
): NetworkRequest[] {
  const name = byName(mode)
  const [first] = networks
  if (first === undefined) return [change({ network: name, aliases: [], links: [] })]
  if (minor < 44) return [change(first), ...networks.slice(1)]
  if (!networks.some(({ network }) => network === name))
    throw failure(
      "invalid",
      "unable to migrate container-wide MAC address to a specific network: HostConfig.NetworkMode must match the identity of a network in NetworkSettings.Networks",
    )
  return networks.map((entry) => (entry.network === name ? change(entry) : entry))
}

function withMac(request: CreateRequest, networks: readonly NetworkRequest[], minor: number) {
  const mac = request.MacAddress
  const mode = request.HostConfig?.NetworkMode ?? ""
  if (mac === "") return { networks, warnings: [] }
  if (!canHaveMac(mode)) {
    if (minor < 44) throw failure("invalid", "conflicting options: mac-address and the network mode")
    return { networks, warnings: [MAC_WARNING] }
  }
  const changed = changeMain(networks, mode, minor, (main) => {
    if (main.macAddress !== undefined && main.macAddress !== mac)
      throw failure(
        "invalid",
        "the container-wide MAC address must match the endpoint-specific MAC address for the main network, or be left empty",
      )
    return { ...main, macAddress: mac }
  })
  return { networks: changed, warnings: minor < 44 ? [] : [MAC_WARNING] }
}

const MAC_WARNING =
  "The container-wide MacAddress field is now deprecated. It should be specified in EndpointsConfig instead."

/** Settings of one interface go to the endpoint that makes it; since 1.48 clients must say so themselves. */
function withSysctls(request: CreateRequest, networks: readonly NetworkRequest[], minor: number): Networking {
  const given = request.HostConfig?.Sysctls ?? {}
  const mode = request.HostConfig?.NetworkMode ?? ""
  const own = Object.entries(given).filter(([key]) => /^net\.[^.]+\.[^.]+\.eth[^.]*\../.test(key))
  if (own.length === 0 || mode === "host" || mode.startsWith("container:"))
    return { networks, sysctls: given, warnings: [] }
  const settings = own.map(([key, value]) => {
    const [net, family, kind, link, ...rest] = key.split(".")
    if (minor > 47)
      throw failure(
        "invalid",
        `interface specific sysctl setting ${JSON.stringify(key)} must be supplied using driver option '${SYSCTLS}'`,
      )
    if (link !== "eth0")
      throw failure(
        "invalid",
        `unable to determine network endpoint for sysctl ${key}, use driver option '${SYSCTLS}' to set per-interface sysctls`,
      )
    return `${net}.${family}.${kind}.IFNAME.${rest.join(".")}=${value}`
  })
  const text = settings.join(",")
  const changed = changeMain(networks, mode, minor, (main) => {
    const before = main.driverOptions?.[SYSCTLS]
    const value = before === undefined ? text : `${text},${before}`
    return { ...main, driverOptions: { ...main.driverOptions, [SYSCTLS]: value } }
  })
  const keys = own.map(([key]) => key)
  return {
    networks: changed,
    sysctls: Object.fromEntries(Object.entries(given).filter(([key]) => !keys.includes(key))),
    warnings: [
      `Migrated sysctl ${JSON.stringify(keys.join(","))} to DriverOpts{${JSON.stringify(SYSCTLS)}:${JSON.stringify(text)}}.`,
    ],
  }
}

/** The endpoints that a create request asks for. Throws invalid, in Docker's words. */
export function endpointRequests(request: CreateRequest, minor: number): Networking {
  const withAddress = withMac(request, requestsOf(request, minor), minor)
  const all = withSysctls(request, withAddress.networks, minor)
  return { ...all, warnings: [...withAddress.warnings, ...all.warnings] }
}
