// After a run: network and cgroups are given back.
import { crashPoint } from "../../base/crash-point.ts"
import type { ContainerRecord } from "../../state/state.ts"
import { announceEndpoints } from "../announce.ts"
import type { Context } from "../context.ts"
import { runDirectory } from "../places.ts"

/** Gives back network and cgroups of the run that ended, and forgets the lease. `silently`: what it leaves is told of elsewhere. */
export const takeDown = async (
  context: Context,
  record: ContainerRecord,
  options: { silently?: boolean } = {},
): Promise<void> => {
  const lease = record.networkLease
  if (lease !== undefined) await context.networks.leave(lease)
  crashPoint("exit:left")
  await context.runtime.clean({
    id: record.id,
    config: record.config,
    runDirectory: runDirectory(context, record.id),
  })
  for (const point of record.mountPoints) {
    if (options.silently) break
    if (point.type !== "volume" || point.name === undefined || record.startedAt === 0) continue
    context.events.publish({
      type: "volume",
      action: "unmount",
      id: point.name,
      attributes: { driver: point.driver ?? "local", container: record.id },
    })
  }
  if (lease === undefined && record.endpoints.length === 0) return
  if (!options.silently) announceEndpoints(context, record, "disconnect")
  const now = context.catalogue.find(record.id)
  if (now !== undefined && now.networkLease === lease && now.pid === 0) {
    const gone = { networkLease: undefined, endpoints: [], filesStale: undefined }
    context.catalogue.change(record.id, gone, { durable: false })
  }
}
