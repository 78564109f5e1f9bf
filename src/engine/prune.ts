// Removes what nobody uses: stopped containers, and images and volumes with the knowledge of who uses them.
import type { Context } from "./context.ts"
import { removeVerb } from "./lifecycle/remove.ts"
import { isActive } from "./lifecycle/transitions.ts"

/** "key", "key=value", and "!…" for what must not be. */
export const matchesLabels = (labels: Readonly<Record<string, string>>, wanted: readonly string[]): boolean =>
  wanted.every((entry) => {
    const negated = entry.startsWith("!")
    const [key = "", value] = (negated ? entry.slice(1) : entry).split(/=(.*)/s)
    const holds = value === undefined ? Object.hasOwn(labels, key) : labels[key] === value
    return holds !== negated
  })

/** Removes stopped containers. `until`: only those created before, unix milliseconds. */
export const pruneContainers = async (
  context: Context,
  options: { until?: number; labels: readonly string[] },
): Promise<{ removed: string[]; reclaimed: number }> => {
  const removed: string[] = []
  let reclaimed = 0
  for (const record of context.catalogue.list()) {
    if (isActive(record.status) || context.live.find(record.id)?.removing) continue
    if (options.until !== undefined && record.createdAt >= options.until) continue
    if (!matchesLabels(record.config.labels, options.labels)) continue
    const bytes = await context.snapshots.usage(record.snapshot).then(
      (usage) => usage.bytes,
      () => 0,
    )
    try {
      await removeVerb(context, record.id, { force: false, volumes: false })
    } catch {
      // Started or removed by someone else meanwhile.
      continue
    }
    removed.push(record.id)
    reclaimed += bytes
  }
  context.events.publish({
    type: "container",
    action: "prune",
    id: "",
    attributes: { reclaimed: String(reclaimed) },
  })
  return { removed, reclaimed }
}

/** Containers of an image. */
export const imageUsers = (context: Context, imageId: string): { id: string; running: boolean }[] =>
  context.catalogue
    .list()
    .filter((record) => record.imageId === imageId)
    .map((record) => ({ id: record.id, running: isActive(record.status) }))

/** Ids of containers that mount a volume. */
export const volumeUsers = (context: Context, name: string): string[] =>
  context.catalogue
    .list()
    .filter((record) => record.mountPoints.some((point) => point.name === name))
    .map((record) => record.id)
