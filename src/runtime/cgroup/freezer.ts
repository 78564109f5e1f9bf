// Pauses and resumes every process of a container.
import { setTimeout as sleep } from "node:timers/promises"
import { failure } from "../../base/errors.ts"
import { readCgroup, writeCgroup } from "./files.ts"
import type { CgroupLayout } from "./layout.ts"

const timeout = 10_000

/** Resolves once every process stands still, or runs again. Throws unavailable when that takes too long. */
export async function setFrozen(layout: CgroupLayout, frozen: boolean): Promise<void> {
  const step = frozen ? "pause" : "resume"
  const deadline = Date.now() + timeout
  for (let wait = 1; ; wait = Math.min(wait * 2, 50)) {
    if (request(layout, frozen)) return
    if (Date.now() > deadline) {
      if (frozen) request(layout, false)
      throw failure(
        "unavailable",
        `The container's processes do not ${step} within ${timeout / 1000} s; try again`,
      )
    }
    await sleep(wait)
  }
}

/** Asks, and says whether it is so already. Asking again helps a v1 freezer that met a process in the midst of a fork. */
function request(layout: CgroupLayout, frozen: boolean): boolean {
  if (layout.unified !== undefined) {
    writeCgroup(`${layout.unified}/cgroup.freeze`, frozen ? "1" : "0")
    return readCgroup(`${layout.unified}/cgroup.events`)?.includes(`frozen ${frozen ? 1 : 0}`) ?? true
  }
  const directory = layout.directories.get("freezer")
  if (directory === undefined)
    throw failure("not-implemented", "Pausing needs the freezer cgroup; mount it beneath /sys/fs/cgroup")
  const state = frozen ? "FROZEN" : "THAWED"
  writeCgroup(`${directory}/freezer.state`, state)
  return readCgroup(`${directory}/freezer.state`)?.trim() === state
}
