// Deletes directory trees in the background: renamed aside at once, removed by the launcher later, a few at a time.
import { mkdirSync, readdirSync, renameSync } from "node:fs"
import { join } from "node:path"
import { errorMessage } from "../base/errors.ts"
import { createLog } from "../base/log.ts"
import type { Kernel } from "../kernel/kernel.ts"

export interface Reaper {
  /** Moves a directory out of the way; a missing one is fine. Returns at once, the bytes go later. */
  take(directory: string): void
  /** Queues what an earlier process left. */
  recover(): void
  /** Waits until everything taken is gone (or could not be removed, which is logged). */
  settle(): Promise<void>
}

const log = createLog("snapshots")

/** Trees in one request to the launcher. */
const batch = 32
/** Time for more to come, and for the work that made the garbage to be answered first. */
const delay = 100

const isMissing = (error: unknown): boolean =>
  error instanceof Error && "code" in error && error.code === "ENOENT"

/** `root` is on the file system of what will be taken. */
export const openReaper = (root: string, kernel: Kernel): Reaper => {
  mkdirSync(root, { recursive: true, mode: 0o700 })
  const waiting: string[] = []
  const postponed: string[] = []
  let working: Promise<void> | undefined
  let timer: ReturnType<typeof setTimeout> | undefined
  let sequence = 0

  const work = async (): Promise<void> => {
    while (waiting.length > 0) {
      const paths = waiting.splice(0, batch)
      try {
        await kernel.perform([["remove-tree"], ...paths.map((path): ["path", string] => ["path", path])])
      } catch (error) {
        // They stay in the reaper's directory and are tried again with the next one, or at the next start.
        postponed.push(...paths)
        log.warn("removed snapshots could not be deleted yet", {
          paths: paths.length,
          error: errorMessage(error),
        })
      }
    }
  }
  const start = (): Promise<void> => {
    clearTimeout(timer)
    timer = undefined
    working ??= work().finally(() => {
      working = undefined
    })
    return working
  }
  const queue = (path: string): void => {
    waiting.push(path)
    if (timer !== undefined || working !== undefined) return
    timer = setTimeout(() => void start(), delay)
    timer.unref()
  }

  return {
    take(directory) {
      const aside = join(root, `${Date.now().toString(36)}-${process.pid}-${sequence++}`)
      try {
        renameSync(directory, aside)
      } catch (error) {
        if (isMissing(error)) return
        throw error
      }
      waiting.push(...postponed.splice(0))
      queue(aside)
    },
    recover() {
      for (const name of readdirSync(root)) queue(join(root, name))
    },
    async settle() {
      while (waiting.length > 0 || working !== undefined) await start()
    },
  }
}
