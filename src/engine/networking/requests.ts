// Which networks a container asks for, and its request to join them. Pure but for looking networks up.
import { failure } from "../../base/errors.ts"
import type { JoinRequest } from "../../network/network.ts"
import type { ContainerConfig, ContainerRecord, NetworkRecord, NetworkRequest } from "../../state/state.ts"

export interface FindNetwork {
  find(reference: string): NetworkRecord | undefined
}

/** "default" and nothing at all mean the default bridge. */
export const networkName = (mode: string): string => (mode === "" || mode === "default" ? "bridge" : mode)

/** Networks that the user made: names, aliases and chosen addresses work on these only. */
export const isUserDefined = (name: string): boolean =>
  !["", "default", "bridge", "host", "none"].includes(name) && !name.startsWith("container:")

export const plainRequest = (network: string): NetworkRequest => ({ network, aliases: [], links: [] })

/** The networks of a new container: those asked for, else the one that its mode names; "default" by its name. */
export const networksOf = (mode: string, asked: readonly NetworkRequest[]): NetworkRequest[] => {
  if (mode.startsWith("container:")) return []
  if (asked.length === 0) return [plainRequest(networkName(mode))]
  return asked.map((request) => ({ ...request, network: networkName(request.network) }))
}

/** Every network that the container is on or will be on. */
export const requestedNetworks = (config: ContainerConfig): readonly NetworkRequest[] => {
  if (config.networkDisabled) return [plainRequest("none")]
  if (config.networks.length > 0 || config.offNetworks) return config.networks
  return networksOf(config.networkMode, [])
}

/** The config of a new container with its networks by name, and its mode by name or whole id, as far as they are there. */
export const namedNetworks = (networks: FindNetwork, config: ContainerConfig): ContainerConfig => {
  const { networkMode } = config
  const main = isUserDefined(networkMode) ? networks.find(networkMode) : undefined
  const isPlain = main === undefined || main.name === networkMode || main.id === networkMode
  return {
    ...config,
    networkMode: isPlain ? networkMode : main.id,
    networks: config.networks.map((request) => ({
      ...request,
      network: networks.find(request.network)?.name ?? request.network,
    })),
  }
}

/** By the id it had when the container was on it, else by name. Throws not-found: "network x not found". */
const resolveRequest = (networks: FindNetwork, request: NetworkRequest): NetworkRecord => {
  const { network, networkId } = request
  const found = (networkId === undefined ? undefined : networks.find(networkId)) ?? networks.find(network)
  if (found === undefined) throw failure("not-found", `network ${networkId ?? network} not found`)
  return found
}

/** The config with its networks named as they are called now, and remembered by id. Throws not-found. */
export const settledNetworks = (
  networks: FindNetwork,
  requests: readonly NetworkRequest[],
): NetworkRequest[] =>
  requests.map((request) => {
    const { id, name } = resolveRequest(networks, request)
    return { ...request, network: name, networkId: id }
  })

/** What the network room is told of a container. `networks` as {@link settledNetworks} gives them. */
export const joinRequest = (
  record: ContainerRecord,
  networks: readonly NetworkRequest[],
  links: JoinRequest["links"],
): JoinRequest => {
  const { config } = record
  const [first] = networks
  const mode = networkName(config.networkMode)
  const named = networks.some(({ network, networkId }) => network === mode || networkId === mode)
  return {
    containerId: record.id,
    containerName: record.name,
    hostname: config.hostname,
    domainname: config.domainname,
    mode: named || first === undefined ? mode : first.network,
    networks,
    ports: config.ports,
    exposedPorts: config.exposedPorts,
    publishAll: config.publishAllPorts,
    macAddress: config.macAddress,
    extraHosts: config.extraHosts,
    dns: config.dns,
    dnsSearch: config.dnsSearch,
    dnsOptions: config.dnsOptions,
    links,
  }
}
