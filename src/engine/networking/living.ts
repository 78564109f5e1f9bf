// Networks and ports of a container that exists: changed while it runs, or remembered for its next start.
import { crashPoint } from "../../base/crash-point.ts"
import { errorMessage, failure } from "../../base/errors.ts"
import { createLog } from "../../base/log.ts"
import type { Changed, LivingContainer } from "../../network/network.ts"
import type {
  ContainerConfig,
  ContainerRecord,
  NetworkRecord,
  NetworkRequest,
  PortRequest,
  PublishedPort,
} from "../../state/state.ts"
import { announceEndpoint } from "../announce.ts"
import { describeContainer } from "../catalogue.ts"
import type { Context } from "../context.ts"
import { resolveLinks } from "../links.ts"
import { rewriteManagedFiles } from "../managed-files.ts"
import { runDirectory } from "../places.ts"
import { checkEndpoint, checkTogether, words } from "./check.ts"
import { isUserDefined, joinRequest, requestedNetworks, settledNetworks } from "./requests.ts"

const log = createLog("engine")

/** What the network room knows a running container by; undefined when it does not run. */
const livingOf = (context: Context, record: ContainerRecord): LivingContainer | undefined => {
  const task = context.live.find(record.id)?.task
  if (task === undefined) return undefined
  const { networkLease } = record
  return {
    id: record.id,
    name: record.name,
    pid: task.pid,
    ...(networkLease === undefined ? {} : { lease: networkLease }),
  }
}

const requestOf = (context: Context, record: ContainerRecord, networks: readonly NetworkRequest[]) =>
  joinRequest(record, settledNetworks(context.networks, networks), resolveLinks(context, record).addresses)

const requireKept = (record: ContainerRecord): void => {
  if (record.status === "removing" || record.status === "dead")
    throw failure(
      "conflict",
      `Container ${record.id} is marked for removal and cannot be connected or disconnected to the network`,
    )
}

/** The managed files say what the record says. */
const freshen = (context: Context, id: string, changed: Changed): void => {
  const record = context.catalogue.find(id)
  if (record === undefined) return
  try {
    rewriteManagedFiles(runDirectory(context, id), changed)
    context.catalogue.change(id, { filesStale: undefined }, { durable: false })
  } catch (error) {
    log.warn("managed files could not be brought up to date", {
      container: describeContainer(record),
      error: errorMessage(error),
    })
  }
}

/** Stores what changed for a running container; gives back what was changed for one that ended meanwhile. */
const keep = async (
  context: Context,
  living: LivingContainer,
  changed: Changed,
  config: Partial<ContainerConfig>,
): Promise<boolean> => {
  const { id } = living
  const record = context.catalogue.find(id)
  const runs = context.live.find(id)?.task?.pid === living.pid
  if (record === undefined || !runs) {
    await context.networks.leave(changed.lease)
    if (record !== undefined) context.catalogue.change(id, { config: { ...record.config, ...config } })
    return false
  }
  context.catalogue.change(id, {
    config: { ...record.config, ...config },
    networkLease: changed.lease,
    endpoints: changed.endpoints,
    publishedPorts: changed.ports,
    filesStale: true,
  })
  return true
}

/** After {@link keep}: relay of names and managed files. */
const spread = async (context: Context, id: string, changed: Changed): Promise<void> => {
  const { nameRelay } = changed
  if (nameRelay !== undefined) await context.live.find(id)?.task?.relayNames(nameRelay)
  freshen(context, id, changed)
}

const withRequest = (networks: readonly NetworkRequest[], request: NetworkRequest) => [
  ...networks.filter(({ network }) => network !== request.network),
  request,
]

const connectLiving = async (
  context: Context,
  record: ContainerRecord,
  living: LivingContainer,
  network: NetworkRecord,
  request: NetworkRequest,
): Promise<void> => {
  if (record.endpoints.some((endpoint) => endpoint.network === network.id))
    throw failure("forbidden", `endpoint with name ${record.name} already exists in network ${network.name}`)
  const networks = requestedNetworks(record.config)
  const asked = { ...request, network: network.name, networkId: network.id }
  const changed = await context.networks.connect(living, requestOf(context, record, networks), asked)
  crashPoint("connect:made")
  const config = { networks: withRequest(networks, asked), offNetworks: undefined }
  if (!(await keep(context, living, changed, config))) return
  crashPoint("connect:recorded")
  await spread(context, record.id, changed)
  crashPoint("connect:spread")
  announceEndpoint(context, record, network, "connect")
}

/** The connect verb: on a running container at once, else at its next start. */
export const connectContainerTo = async (
  context: Context,
  reference: string,
  request: NetworkRequest,
): Promise<void> => {
  const { id } = context.catalogue.get(reference)
  await context.mutex.run(id, async () => {
    const record = context.catalogue.get(id)
    requireKept(record)
    if (record.config.networkMode.startsWith("container:")) throw failure("invalid", words.shared)
    const living = livingOf(context, record)
    const network =
      living === undefined ? context.networks.find(request.network) : context.networks.get(request.network)
    if (network !== undefined) checkEndpoint(network, request)
    const name = network?.name ?? request.network
    const networks = requestedNetworks(record.config)
    const names = new Set([...networks.map((entry) => entry.network), name])
    checkTogether(record.config.networkMode, [...names])
    if (living !== undefined && network !== undefined)
      return connectLiving(context, record, living, network, request)
    if (networks.some((entry) => entry.network === name)) return
    const config: ContainerConfig = {
      ...record.config,
      networks: [...networks, { ...request, network: name }],
      offNetworks: undefined,
    }
    context.catalogue.change(id, { config })
  })
}

const disconnectLiving = async (
  context: Context,
  record: ContainerRecord,
  living: LivingContainer,
  network: NetworkRecord,
): Promise<void> => {
  if (record.config.networkMode === "host" && network.name === "host")
    throw failure("invalid", words.fromHost)
  if (!record.endpoints.some((endpoint) => endpoint.network === network.id))
    throw failure("conflict", `container ${record.id} is not connected to network ${network.name}`)
  const networks = requestedNetworks(record.config)
  const rest = networks.filter((entry) => entry.network !== network.name && entry.networkId !== network.id)
  const config = { networks: rest, offNetworks: rest.length === 0 || undefined }
  if (network.name === "none") {
    context.catalogue.change(record.id, { config: { ...record.config, ...config }, endpoints: [] })
    announceEndpoint(context, record, network, "disconnect")
    return
  }
  const changed = await context.networks.disconnect(living, requestOf(context, record, networks), network.id)
  crashPoint("disconnect:made")
  if (!(await keep(context, living, changed, config))) return
  crashPoint("disconnect:recorded")
  await spread(context, record.id, changed)
  crashPoint("disconnect:spread")
  announceEndpoint(context, record, network, "disconnect")
}

/** The disconnect verb: from a running container at once, else from what its next start asks for. */
export const disconnectContainerFrom = async (
  context: Context,
  reference: string,
  networkReference: string,
  options: { force: boolean },
): Promise<void> => {
  const found = context.catalogue.find(reference)
  if (found === undefined && options.force) {
    context.networks.get(networkReference)
    throw failure("not-found", `endpoint ${reference} not found`)
  }
  const { id } = found ?? context.catalogue.get(reference)
  await context.mutex.run(id, async () => {
    const record = context.catalogue.get(id)
    const network = context.networks.find(networkReference)
    const living = livingOf(context, record)
    if (living !== undefined && network !== undefined)
      return disconnectLiving(context, record, living, network)
    if (living !== undefined && !options.force) context.networks.get(networkReference)
    requireKept(record)
    const name = network?.name ?? networkReference
    const networks = requestedNetworks(record.config)
    const rest = networks.filter((entry) => entry.network !== name)
    if (rest.length === networks.length)
      throw failure("conflict", `container ${record.id} is not connected to the network ${name}`)
    const config: ContainerConfig = {
      ...record.config,
      networks: rest,
      offNetworks: rest.length === 0 || undefined,
    }
    context.catalogue.change(id, { config })
  })
}

/** Ports to take back: absent parts mean any. */
export type PortMatch = Pick<PortRequest, "protocol" | "containerPort"> & {
  readonly hostAddress?: string
  readonly hostPort?: number
}

export interface PortChange {
  readonly add: readonly PortRequest[]
  readonly remove: readonly PortMatch[]
}

const shown = (address: string): string => (address === "" ? "0.0.0.0" : address)

const matches = (match: PortMatch, port: PortRequest | PublishedPort): boolean =>
  match.protocol === port.protocol &&
  match.containerPort === port.containerPort &&
  (match.hostAddress === undefined || shown(match.hostAddress) === shown(port.hostAddress)) &&
  (match.hostPort === undefined || match.hostPort === port.hostPort)

const describePort = (match: PortMatch): string =>
  `${match.hostAddress ? `${match.hostAddress}:` : ""}${match.hostPort === undefined ? "" : `${match.hostPort}:`}${match.containerPort}/${match.protocol}`

/** Publishes further ports, or takes some back; on a running container at once. All or none. */
export const changePorts = async (
  context: Context,
  reference: string,
  change: PortChange,
): Promise<ContainerRecord> => {
  const { id } = context.catalogue.get(reference)
  return context.mutex.run(id, async () => {
    const record = context.catalogue.get(id)
    requireKept(record)
    const { config } = record
    if (config.networkMode.startsWith("container:") || config.networkMode === "host")
      throw failure(
        "invalid",
        `container ${record.name} has no network of its own: publish the port where it is`,
      )
    const living = livingOf(context, record)
    const pool: readonly (PortRequest | PublishedPort)[] =
      living === undefined ? config.ports : record.publishedPorts
    for (const match of change.remove)
      if (!pool.some((port) => matches(match, port)))
        throw failure("not-found", `port ${describePort(match)} of container ${record.name} is not published`)
    const gone = (port: PortRequest | PublishedPort) => change.remove.some((match) => matches(match, port))
    const ports = [...config.ports.filter((port) => !gone(port)), ...change.add]
    const exposed = change.add.map((port) => `${port.containerPort}/${port.protocol}`)
    const changes = { ports, exposedPorts: [...new Set([...config.exposedPorts, ...exposed])] }
    if (living === undefined)
      return context.catalogue.change(id, { config: { ...config, ...changes } }) ?? record
    if (living.lease === undefined)
      throw failure("conflict", `container ${record.name} is on no network: connect it to one first`)
    const request = requestOf(
      context,
      { ...record, config: { ...config, ...changes } },
      requestedNetworks(config),
    )
    const changed = await context.networks.changePorts(living, request, {
      add: change.add,
      remove: record.publishedPorts.filter(gone),
    })
    crashPoint("ports:made")
    if (await keep(context, living, changed, changes)) {
      crashPoint("ports:recorded")
      freshen(context, id, changed)
    }
    return context.catalogue.find(id) ?? record
  })
}

/** Tells the network room that a running container has another name; its lock is held. */
export const renameOnNetworks = async (context: Context, record: ContainerRecord): Promise<void> => {
  const living = livingOf(context, record)
  const named = record.endpoints.some(({ networkName }) => isUserDefined(networkName))
  if (living?.lease === undefined || !named) return
  const changed = await context.networks.rename(living.lease, record.name)
  if (await keep(context, living, changed, {})) freshen(context, record.id, changed)
}

/** After a restart of the engine: finishes what a change of networks left undone. */
export const refreshFiles = async (context: Context, record: ContainerRecord): Promise<void> => {
  const living = livingOf(context, record)
  if (!record.filesStale || living?.lease === undefined) return
  const request = requestOf(context, record, requestedNetworks(record.config))
  const changed = await context.networks.changePorts(living, request, { add: [], remove: [] })
  await spread(context, record.id, changed)
}
