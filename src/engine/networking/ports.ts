// Published ports of a container that exists: changed while it runs, or remembered for its next start.
import { crashPoint } from "../../base/crash-point.ts"
import { failure } from "../../base/errors.ts"
import type { ContainerRecord, PortRequest, PublishedPort } from "../../state/state.ts"
import type { Context } from "../context.ts"
import { freshen, keep, livingOf, requestOf, requireKept } from "./changes.ts"
import { requestedNetworks } from "./requests.ts"

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
