// Networks of a container that exists: changed while it runs, or remembered for its next start.
import { crashPoint } from "../../base/crash-point.ts"
import { errorMessage, failure } from "../../base/errors.ts"
import { createLog } from "../../base/log.ts"
import type { JoinRequest, LivingContainer } from "../../network/network.ts"
import type { ContainerConfig, ContainerRecord, NetworkRecord, NetworkRequest } from "../../state/state.ts"
import { announceEndpoint } from "../announce.ts"
import type { Context } from "../context.ts"
import { freshen, keep, livingOf, relay, requestOf, requireKept } from "./changes.ts"
import { checkEndpoint, checkTogether, words } from "./check.ts"
import { isUserDefined, requestedNetworks } from "./requests.ts"

const log = createLog("engine")

const withRequest = (networks: readonly NetworkRequest[], request: NetworkRequest) => [
  ...networks.filter(({ network }) => network !== request.network),
  request,
]

/** Takes a container off again that could not be put on a network wholly. Its own failure is logged. */
const undoConnect = async (
  context: Context,
  living: LivingContainer,
  request: JoinRequest,
  config: ContainerConfig,
  network: NetworkRecord,
): Promise<void> => {
  try {
    const undone = await context.networks.disconnect(living, request, network.id)
    await keep(context, living, undone, config)
  } catch (error) {
    log.warn("a container could not be taken off a network again", {
      container: living.id,
      network: network.name,
      error: errorMessage(error),
    })
  }
}

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
  const joining = requestOf(context, record, networks)
  const changed = await context.networks.connect(living, joining, asked)
  crashPoint("connect:made")
  const config = { networks: withRequest(networks, asked), offNetworks: undefined }
  try {
    await relay(context, record.id, changed)
    if (!(await keep(context, living, changed, config))) return
  } catch (error) {
    await undoConnect(context, { ...living, lease: changed.lease }, joining, record.config, network)
    throw error
  }
  crashPoint("connect:recorded")
  freshen(context, record.id, changed)
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
  freshen(context, record.id, changed)
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
  await relay(context, record.id, changed)
  freshen(context, record.id, changed)
}
