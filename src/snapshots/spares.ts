// Writable layers are used again: one that its container left empty is renewed, because making one costs the file system more
// than all the rest of a start. The others are deleted. Both in the background, many at a time. Where none is left to be used
// again, a few are made ahead.
import { mkdirSync, readdirSync, renameSync, rmSync } from "node:fs"
import { basename, join } from "node:path"
import { errorMessage } from "../base/errors.ts"
import { createLog } from "../base/log.ts"
import type { Kernel } from "../kernel/kernel.ts"
import type { Reaper } from "./reaper.ts"

export interface Spares {
  /** Moves a removed layer's directory (with `fs` and `work` in it) aside. Returns at once. */
  give(directory: string): void
  /** A directory with an empty `fs` (0755, root) and an empty `work`, or undefined when there is none. */
  take(): string | undefined
  /** Removes what an earlier process kept. */
  recover(): void
  /** Waits until everything given is renewed or handed to the reaper. */
  settle(): Promise<void>
}

const log = createLog("snapshots")

/** Kept at most: what a burst of short containers uses again. */
const most = 128
/** Layers in one request, and milliseconds that they wait for it. */
const batch = 64
const delay = 250
/** Layers that are there for the next containers, and milliseconds without one after which they are made. */
const ahead = 2
const quiet = 20

/** `root` is on the file system of the layers. */
export const openSpares = (root: string, kernel: Kernel, reaper: Reaper): Spares => {
  mkdirSync(root, { recursive: true, mode: 0o700 })
  const ready: string[] = []
  const waiting: string[] = []
  let working: Promise<void> | undefined
  let timer: ReturnType<typeof setTimeout> | undefined
  let making: ReturnType<typeof setTimeout> | undefined
  let sequence = 0

  const renew = async (paths: readonly string[]): Promise<readonly string[]> => {
    try {
      const plan = paths.map((path) => ["layer", join(path, "fs"), join(path, "work")] as const)
      return (await kernel.perform([["renew"], ...plan])).get("renewed") ?? []
    } catch (error) {
      log.warn("removed layers could not be renewed", { layers: paths.length, error: errorMessage(error) })
      return []
    }
  }
  const work = async (): Promise<void> => {
    while (waiting.length > 0) {
      const paths = waiting.splice(0, batch)
      const wanted = Math.max(0, most - ready.length)
      const renewed = wanted === 0 ? [] : await renew(paths.slice(0, wanted))
      for (const [index, path] of paths.entries()) {
        if (renewed[index] === "yes") ready.push(path)
        else reaper.take(path)
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

  const makeAhead = (): void => {
    making = undefined
    while (ready.length < ahead) {
      const path = join(root, `new-${sequence++}`)
      try {
        mkdirSync(path, { mode: 0o700 })
        mkdirSync(join(path, "fs"), { mode: 0o755 })
        mkdirSync(join(path, "work"), { mode: 0o700 })
      } catch {
        // Whoever needs a layer now is told why there is none.
        rmSync(path, { recursive: true, force: true })
        return
      }
      ready.push(path)
    }
  }

  return {
    give(directory) {
      const aside = join(root, `${basename(directory)}-${sequence++}`)
      try {
        renameSync(directory, aside)
      } catch (error) {
        if (error instanceof Error && "code" in error && error.code === "ENOENT") return
        throw error
      }
      waiting.push(aside)
      if (timer !== undefined || working !== undefined) return
      timer = setTimeout(() => void start(), delay)
      timer.unref()
    },
    take() {
      if (making === undefined) {
        making = setTimeout(makeAhead, quiet)
        making.unref()
      } else making.refresh()
      // The one that was renewed longest ago: its file system work is over.
      return ready.shift()
    },
    recover() {
      for (const name of readdirSync(root)) reaper.take(join(root, name))
      ready.length = 0
    },
    async settle() {
      while (waiting.length > 0 || working !== undefined) await start()
    },
  }
}
