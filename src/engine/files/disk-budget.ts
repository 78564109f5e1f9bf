// Watches what images take on the disk; when that is more than the budget, cache of builds goes, then dangling images.
import { createLog } from "../../base/log.ts"
import type { Context } from "../context.ts"
import { imageUsers } from "../prune.ts"

const log = createLog("disk")

/** Looked at so long after the last event that adds bytes, milliseconds: many pulls are one look. */
const settleFor = 1000
const adding: ReadonlySet<string> = new Set(["pull", "load", "import", "create", "tag", "untag", "delete"])

const useKey = "images.used"

/** When a container was last made of each image, unix milliseconds, as an earlier daemon knew it. */
const readUse = (context: Context): Map<string, number> => {
  try {
    const entries: unknown = JSON.parse(context.state.settings.find(useKey) ?? "[]")
    if (!Array.isArray(entries)) return new Map()
    return new Map(
      entries.flatMap(([id, time]: unknown[]) =>
        typeof id === "string" && typeof time === "number" ? [[id, time]] : [],
      ),
    )
  } catch {
    // A guess is enough: images count as used when they came.
    return new Map()
  }
}

const megabytes = (bytes: number): string => `${Math.ceil(bytes / 1e6)} MB`

/** Starts watching. Gives the function that ends it. */
export const watchDiskBudget = (context: Context, budget: number): (() => void) => {
  let timer: NodeJS.Timeout | undefined
  let told = false
  const used = readUse(context)

  const look = async (): Promise<void> => {
    const over = (await context.images.sharing.stored()) - budget
    const given = over > 0 ? ((await context.buildCache?.trim(over)) ?? 0) : 0
    if (given > 0)
      log.info("cache of builds was removed to keep the disk budget", { reclaimed: megabytes(given) })
    const { removed, stored } = await context.images.trim(
      budget,
      (id) => imageUsers(context, id),
      (image) => Math.max(used.get(image.id) ?? 0, image.addedAt),
    )
    const gone = removed.filter(({ deleted }) => deleted !== undefined).length
    if (gone > 0)
      log.info("dangling images were removed to keep the disk budget", {
        removed: gone,
        budget: megabytes(budget),
      })
    if (stored > budget && !told)
      log.warn(
        "images take more than the disk budget, and none of them is dangling: prune some, or raise it",
        {
          stored: megabytes(stored),
          budget: megabytes(budget),
        },
      )
    told = stored > budget
    const known = new Set(context.state.images.list().map(({ id }) => id))
    for (const id of used.keys()) if (!known.has(id)) used.delete(id)
    context.state.settings.put(useKey, JSON.stringify([...used]), { durable: false })
  }
  const soon = (): void => {
    if (context.closing) return
    clearTimeout(timer)
    timer = setTimeout(() => void context.background.run("keeping the disk budget", look), settleFor)
    timer.unref()
  }
  const stop = context.events.subscribe(({ type, action, id }) => {
    const image =
      type === "container" && action === "create" ? context.catalogue.find(id)?.imageId : undefined
    if (image !== undefined) used.set(image, Date.now())
    if ((type === "image" && adding.has(action)) || (type === "container" && action === "destroy")) soon()
  })
  soon()
  return () => {
    stop()
    clearTimeout(timer)
  }
}
