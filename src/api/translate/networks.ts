// Networks between the API's shapes and the domain: create requests, endpoint settings, and what inspect shows.
import { failure } from "../../base/errors.ts"
import type { Engine } from "../../engine/engine.ts"
import type { ContainerRecord, NetworkRecord, NetworkRequest } from "../../state/state.ts"
import type { NetworkView, WireEndpointSettings, WireNetworkCreate } from "../../wire/wire.ts"
import { present } from "./present.ts"
import { rfc3339 } from "./times.ts"

type NetworkCreate = Parameters<Engine["createNetwork"]>[0]

const NO_SWARM =
  'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node to swarm and try again.'

/** What needs a swarm, or configuration networks, which this engine has not. */
function refuseElsewhere(request: WireNetworkCreate): void {
  if (request.Driver === "overlay") throw failure("forbidden", NO_SWARM)
  if (request.Ingress) throw failure("forbidden", "Ingress network can only be global scope network")
  if (request.Scope === "swarm")
    throw failure("forbidden", "cannot create a swarm scoped network when swarm is not active")
  if (request.Scope !== "" && request.Scope !== "local")
    throw failure(
      "invalid",
      `invalid scope ${JSON.stringify(request.Scope)}: networks of this engine are local`,
    )
  if (request.ConfigOnly || request.ConfigFrom?.Network)
    throw failure(
      "not-implemented",
      "configuration-only networks are not supported: give each network its own options and subnets",
    )
}

const flagOf = (options: Readonly<Record<string, string>>, key: string): boolean | undefined => {
  const value = options[key]
  if (value === undefined) return undefined
  if (/^(1|t|true)$/i.test(value)) return true
  if (/^(0|f|false)$/i.test(value)) return false
  throw failure("invalid", `driver-opt ${JSON.stringify(key)} is not a valid bool`)
}

const IPV4 = "com.docker.network.enable_ipv4"
const IPV6 = "com.docker.network.enable_ipv6"

/** What was asked for, in the domain's words. `minor`: EnableIPv4 came with 1.48. Throws invalid, forbidden. */
export function networkCreate(request: WireNetworkCreate, minor: number): NetworkCreate {
  refuseElsewhere(request)
  const options = { ...request.Options }
  const ipv4 = (minor >= 48 ? request.EnableIPv4 : undefined) ?? flagOf(options, IPV4) ?? true
  const ipv6 = request.EnableIPv6 ?? flagOf(options, IPV6) ?? false
  return {
    name: request.Name,
    driver: request.Driver,
    internal: request.Internal,
    attachable: request.Attachable,
    ipv4,
    ipv6,
    options,
    labels: request.Labels,
    ipam: {
      driver: request.IPAM?.Driver || "default",
      ...(request.IPAM?.Options === undefined ? {} : { options: request.IPAM.Options }),
      pools: (request.IPAM?.Config ?? []).map((pool) =>
        present({
          subnet: pool.Subnet || undefined,
          range: pool.IPRange || undefined,
          gateway: pool.Gateway || undefined,
          auxiliary: Object.keys(pool.AuxiliaryAddresses).length > 0 ? pool.AuxiliaryAddresses : undefined,
        }),
      ),
    },
  }
}

/** A container's settings on one network. `minor`: gateway priorities came with 1.48. */
export function networkRequest(
  network: string,
  settings: WireEndpointSettings | undefined,
  minor: number,
): NetworkRequest {
  const { IPAMConfig, DriverOpts = {} } = settings ?? {}
  return present<NetworkRequest>({
    network,
    aliases: settings?.Aliases ?? [],
    links: settings?.Links ?? [],
    ipv4: IPAMConfig?.IPv4Address || undefined,
    ipv6: IPAMConfig?.IPv6Address || undefined,
    linkLocal: IPAMConfig?.LinkLocalIPs.length ? IPAMConfig.LinkLocalIPs : undefined,
    macAddress: settings?.MacAddress || undefined,
    driverOptions: Object.keys(DriverOpts).length > 0 ? DriverOpts : undefined,
    gatewayPriority: minor >= 48 ? settings?.GwPriority || undefined : undefined,
  } as { [K in keyof NetworkRequest]: NetworkRequest[K] | undefined })
}

/** `members`: containers that may be on it; lists show none, as Docker's do. */
export function networkView(network: NetworkRecord, members: readonly ContainerRecord[]): NetworkView {
  const containers: NetworkView["Containers"] = {}
  for (const member of members) {
    const endpoint = member.endpoints.find((candidate) => candidate.network === network.id)
    if (endpoint === undefined) continue
    containers[member.id] = {
      Name: member.name,
      EndpointID: endpoint.endpointId,
      MacAddress: endpoint.macAddress,
      IPv4Address: endpoint.ipv4 === undefined ? "" : `${endpoint.ipv4}/${endpoint.ipv4PrefixLength ?? 32}`,
      IPv6Address: endpoint.ipv6 === undefined ? "" : `${endpoint.ipv6}/${endpoint.ipv6PrefixLength ?? 128}`,
    }
  }
  const pools = network.subnets.map(({ subnet, gateway, gatewayChosen, range, auxiliary }) => ({
    Subnet: subnet,
    ...(range === undefined ? {} : { IPRange: range }),
    ...(gateway === "" || gatewayChosen ? {} : { Gateway: gateway }),
    ...(auxiliary === undefined ? {} : { AuxiliaryAddresses: { ...auxiliary } }),
  }))
  return {
    Name: network.name,
    Id: network.id,
    Created: rfc3339(network.createdAt),
    Scope: "local",
    Driver: network.driver,
    EnableIPv4: network.ipv4 ?? true,
    EnableIPv6: network.ipv6,
    IPAM: {
      Driver: network.ipamDriver ?? "default",
      Options: network.ipamOptions === undefined ? null : { ...network.ipamOptions },
      Config: pools.length > 0 ? pools : null,
    },
    Internal: network.internal,
    Attachable: network.attachable,
    Ingress: false,
    ConfigFrom: { Network: "" },
    ConfigOnly: false,
    Containers: containers,
    Options: { ...network.options },
    Labels: { ...network.labels },
  }
}
