// A container's places on networks, as inspect and lists show them.
import { isUserDefined, requestedNetworks } from "../../engine/engine.ts"
import type { ContainerConfig, ContainerRecord, EndpointRecord, NetworkRequest } from "../../state/state.ts"
import type { EndpointView } from "../../wire/wire.ts"
import { present } from "./present.ts"

/** "default" is the bridge. */
export const shownMode = (mode: string): string => (mode === "default" || mode === "" ? "bridge" : mode)

/** The fields at the top of NetworkSettings, which old clients read: those of the default bridge. */
export function bridgeAddresses(endpoint: EndpointRecord | undefined) {
  return {
    EndpointID: endpoint?.endpointId ?? "",
    Gateway: endpoint?.gateway ?? "",
    GlobalIPv6Address: endpoint?.ipv6 ?? "",
    GlobalIPv6PrefixLen: endpoint?.ipv6PrefixLength ?? 0,
    IPAddress: endpoint?.ipv4 ?? "",
    IPPrefixLen: endpoint?.ipv4PrefixLength ?? 0,
    IPv6Gateway: endpoint?.gateway6 ?? "",
    MacAddress: endpoint?.macAddress ?? "",
  }
}

interface Place {
  readonly name: string
  readonly asked: NetworkRequest | undefined
  readonly endpoint: EndpointRecord | undefined
}

/** The networks it is on, or will be on, by name. */
function placesOf(record: ContainerRecord): Place[] {
  if (record.config.networkMode.startsWith("container:")) return []
  const requests = requestedNetworks(record.config)
  const places: Place[] = requests.map((asked) => {
    const name = shownMode(asked.network)
    const endpoint = record.endpoints.find(
      ({ network, networkName }) => network === asked.networkId || networkName === name,
    )
    return { name: endpoint?.networkName ?? name, asked, endpoint }
  })
  const named = new Set(places.map(({ name }) => name))
  for (const endpoint of record.endpoints)
    if (!named.has(endpoint.networkName))
      places.push({ name: endpoint.networkName, asked: undefined, endpoint })
  return places.sort((one, other) => (one.name < other.name ? -1 : 1))
}

const ipamConfig = (asked: NetworkRequest | undefined): EndpointView["IPAMConfig"] => {
  if (asked === undefined) return null
  const config = present<NonNullable<EndpointView["IPAMConfig"]>>({
    IPv4Address: asked.ipv4,
    IPv6Address: asked.ipv6,
    LinkLocalIPs: asked.linkLocal?.length ? [...asked.linkLocal] : undefined,
  })
  return Object.keys(config).length > 0 ? config : null
}

/** Names by which others find it; kept for a container that was on the network before. */
function dnsNames(record: ContainerRecord, { name, asked, endpoint }: Place): string[] | null {
  if (!isUserDefined(name)) return null
  if (endpoint?.dnsNames !== undefined) return [...endpoint.dnsNames]
  if (endpoint === undefined && asked?.networkId === undefined) return null
  const { id, config } = record
  return [...new Set([record.name, ...(asked?.aliases ?? []), id.slice(0, 12), config.hostname])]
}

const orNull = (list: readonly string[] | undefined): string[] | null => (list?.length ? [...list] : null)

/** Before 1.45 the aliases held what are names of their own now. */
const aliasesOf = (record: ContainerRecord, { name, asked }: Place, minor: number): string[] | null =>
  minor < 45 && isUserDefined(name)
    ? [...new Set([...(asked?.aliases ?? []), record.id.slice(0, 12), record.config.hostname])]
    : orNull(asked?.aliases)

/** Networks by name; a container that is not up shows those it will join, without addresses. */
export function endpointViews(record: ContainerRecord, minor: number): Record<string, EndpointView> {
  const views: Record<string, EndpointView> = {}
  for (const place of placesOf(record)) {
    const { name, asked, endpoint } = place
    views[name] = {
      IPAMConfig: ipamConfig(asked),
      Links: orNull(asked?.links),
      Aliases: aliasesOf(record, place, minor),
      MacAddress: endpoint?.macAddress ?? asked?.macAddress ?? "",
      DriverOpts: asked?.driverOptions ? { ...asked.driverOptions } : null,
      GwPriority: asked?.gatewayPriority ?? 0,
      NetworkID: endpoint?.network ?? asked?.networkId ?? "",
      EndpointID: endpoint?.endpointId ?? "",
      Gateway: endpoint?.gateway ?? "",
      IPAddress: endpoint?.ipv4 ?? "",
      IPPrefixLen: endpoint?.ipv4PrefixLength ?? 0,
      IPv6Gateway: endpoint?.gateway6 ?? "",
      GlobalIPv6Address: endpoint?.ipv6 ?? "",
      GlobalIPv6PrefixLen: endpoint?.ipv6PrefixLength ?? 0,
      DNSNames: dnsNames(record, place),
    }
  }
  return views
}

/** As lists show them: without what names the container. */
export function endpointSummaries(record: ContainerRecord): Record<string, EndpointView> {
  const views = endpointViews(record, Number.POSITIVE_INFINITY)
  for (const view of Object.values(views)) {
    view.Links = null
    view.Aliases = null
    view.DriverOpts = null
    view.DNSNames = null
  }
  return views
}

/** The address that was asked for on the network of the mode, where older clients look for it. */
export function mainMac(config: ContainerConfig): { MacAddress?: string } {
  const name = shownMode(config.networkMode)
  const main = config.networks.find(({ network }) => network === name)
  const mac = config.macAddress ?? main?.macAddress
  return mac === undefined ? {} : { MacAddress: mac }
}
