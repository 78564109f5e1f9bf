// Keeps the cache within its budget: looked at when builds have ended, a moment later, and pruned when it takes more.
import { mkdirSync, statfsSync } from "node:fs"
import { errorMessage } from "../../base/errors.ts"
import { createLog } from "../../base/log.ts"

const log = createLog("build")

/** Milliseconds after the last build until the cache is looked at. */
const settleFor = 3000
/** Share of the disk that the cache may take when nothing is said, and the least that this means. */
const share = 0.1
const least = 2e9

export interface CacheBudget {
  /** A build has ended. */
  touch(): void
  /** Waits for what is under way; nothing begins any more. */
  close(): Promise<void>
}

/** `prune` removes until the cache takes at most so many bytes. */
export const keepBudget = (parts: {
  readonly root: string
  readonly budget: number | undefined
  /** Bytes that the cache takes beside the images. */
  readonly taken: () => Promise<number>
  readonly prune: (keepBytes: number) => Promise<{ readonly reclaimed: number }>
}): CacheBudget => {
  let timer: NodeJS.Timeout | undefined
  let looking: Promise<void> = Promise.resolve()
  let closed = false

  const limit = (): number => {
    if (parts.budget !== undefined) return parts.budget
    mkdirSync(parts.root, { recursive: true, mode: 0o700 })
    const { blocks, bsize } = statfsSync(parts.root)
    return Math.max(least, blocks * bsize * share)
  }
  const look = async (): Promise<void> => {
    try {
      const budget = limit()
      if ((await parts.taken()) <= budget) return
      const { reclaimed } = await parts.prune(budget)
      if (reclaimed > 0) log.info("cache of builds was removed to keep its budget", { reclaimed, budget })
    } catch (error) {
      log.warn("the cache of builds could not be kept within its budget", { error: errorMessage(error) })
    }
  }
  return {
    touch() {
      if (closed) return
      clearTimeout(timer)
      timer = setTimeout(() => {
        looking = looking.then(look)
      }, settleFor)
      timer.unref()
    },
    async close() {
      closed = true
      clearTimeout(timer)
      await looking
    },
  }
}
