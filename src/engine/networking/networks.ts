// Networks as things: made, removed and pruned, and told of.
import { crashPoint } from "../../base/crash-point.ts"
import { errorKind, failure } from "../../base/errors.ts"
import type { NetworkCreate } from "../../network/network.ts"
import type { NetworkRecord } from "../../state/state.ts"
import type { Context } from "../context.ts"
import { matchesLabels } from "../prune.ts"
import { isUserDefined } from "./requests.ts"

const tell = (context: Context, network: NetworkRecord, action: "create" | "destroy"): void =>
  context.events.publish({
    type: "network",
    action,
    id: network.id,
    attributes: { name: network.name, type: network.driver },
  })

/** Throws forbidden for the names of networks that every engine has, conflict for one that is taken. */
export const createNetwork = async (
  context: Context,
  request: NetworkCreate,
): Promise<{ network: NetworkRecord; warning: string }> => {
  if (!isUserDefined(request.name) && request.name !== "")
    throw failure("forbidden", `operation is not permitted on predefined ${request.name} network`)
  if (request.name.trim() === "") throw failure("invalid", "invalid name: name is empty")
  const made = await context.networks.create(request)
  crashPoint("network:created")
  tell(context, made.network, "create")
  return made
}

/** Throws not-found, forbidden (pre-defined, or containers are on it). */
export const removeNetwork = async (context: Context, reference: string): Promise<void> => {
  const { id, name } = context.networks.get(reference)
  if (!isUserDefined(name))
    throw failure("forbidden", `${name} is a pre-defined network and cannot be removed`)
  const gone = await context.networks.remove(id)
  crashPoint("network:removed")
  tell(context, gone, "destroy")
}

/** Removes networks that no running container is on. `until`: only those made before, unix milliseconds. */
export const pruneNetworks = async (
  context: Context,
  options: { until?: number; labels: readonly string[] },
): Promise<string[]> => {
  const removed: string[] = []
  for (const network of context.networks.list()) {
    if (!isUserDefined(network.name)) continue
    if (options.until !== undefined && network.createdAt > options.until) continue
    if (!matchesLabels(network.labels, options.labels)) continue
    if (context.catalogue.list().some((record) => record.endpoints.some((end) => end.network === network.id)))
      continue
    try {
      await removeNetwork(context, network.id)
    } catch (error) {
      // Joined or removed by someone else meanwhile.
      if (errorKind(error) !== "forbidden" && errorKind(error) !== "not-found") throw error
      continue
    }
    removed.push(network.name)
  }
  context.events.publish({ type: "network", action: "prune", id: "", attributes: { reclaimed: "0" } })
  return removed
}
