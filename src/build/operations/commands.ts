// The half of the operations that runs commands: steps, their mounts, and what cache mounts hold.
import { existsSync, readdirSync, rmSync } from "node:fs"
import { errorMessage } from "../../base/errors.ts"
import { createLog } from "../../base/log.ts"
import type { BuildRooms } from "../rooms.ts"
import { openCacheMounts } from "./cache-mounts.ts"
import { layersDirectory } from "./commit.ts"
import { openExec } from "./exec/exec.ts"
import { clearStep, isRunId } from "./exec/places.ts"
import type { CommandOperations, Operations } from "./operations.ts"

const log = createLog("build")

/** `asLayers`: as Operations has it, for bind mounts of contexts. */
export const openCommands = (rooms: BuildRooms, asLayers: Operations["asLayers"]): CommandOperations => {
  const caches = openCacheMounts(rooms)
  const room = openExec({ rooms, mounts: { rooms, asLayers, caches } })

  /** Steps of an engine that is gone: its monitors keep them running. Directories in memory name them all. */
  const endOrphans = async (): Promise<void> => {
    if (!existsSync(rooms.runRoot)) return
    for (const id of readdirSync(rooms.runRoot).filter(isRunId)) {
      try {
        await clearStep(rooms.runtime, rooms.runRoot, id)
      } catch (error) {
        log.warn("a step of an earlier build could not be cleared away", { id, error: errorMessage(error) })
      }
    }
  }

  return {
    exec: room.exec,
    cacheMounts: () => caches.list(),
    removeCacheMount: (id) => caches.remove(id),
    async recover() {
      await endOrphans()
      for (const { kind, key } of rooms.state.snapshots.list())
        if (kind === "active" && key.startsWith("build-")) await rooms.snapshots.remove(key)
      rmSync(layersDirectory(rooms.root), { recursive: true, force: true })
      await caches.recover()
    },
    async close() {
      await room.settle()
      await caches.settle()
    },
  }
}
