// One reading of what a container uses.
import { failure } from "../../base/errors.ts"
import type { Context } from "../context.ts"
import type { StatsReading } from "../engine.ts"

/** The stats verb. Throws conflict when the container does not run. */
export const statsOf = async (context: Context, reference: string): Promise<StatsReading> => {
  const record = context.catalogue.get(reference)
  const task = context.live.find(record.id)?.task
  if (task === undefined) throw failure("conflict", `container ${record.id} is not running`)
  const [reading, networks] = await Promise.all([
    task.read(),
    record.networkLease === undefined ? [] : context.networks.statistics(record.networkLease),
  ])
  return { ...reading, networks }
}
