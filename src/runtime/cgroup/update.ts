// Changes the limits of a running container.
import { failure } from "../../base/errors.ts"
import type { LinuxResources } from "../../oci/runtime-spec.ts"
import { readNumber, writeCgroup } from "./files.ts"
import type { CgroupLayout } from "./layout.ts"
import { limitWrites } from "./limits.ts"

/** Writes the limits given. Throws conflict when memory would exceed memory + swap, internal naming file and value of the one that the kernel refuses. */
export function updateLimits(layout: CgroupLayout, resources: LinuxResources): void {
  checkAgainstSwap(layout, resources)
  const writes = limitWrites(layout, completed(layout, resources))
  if (raisesMemory(layout, resources)) {
    // memory may never exceed memory + swap, so the larger one is raised first.
    const limit = writes.findIndex(({ file }) => file.endsWith("/memory.limit_in_bytes"))
    const swap = writes.findIndex(({ file }) => file.endsWith("/memory.memsw.limit_in_bytes"))
    const moved = swap > limit ? writes.splice(swap, 1) : []
    writes.splice(Math.max(limit, 0), 0, ...moved)
  }
  for (const { file, value, optional } of writes) writeCgroup(file, value, optional)
}

/** v1 refuses a memory limit above the present limit of memory and swap with no word about the reason. */
function checkAgainstSwap(layout: CgroupLayout, { memory }: LinuxResources): void {
  const directory = layout.directories.get("memory")
  if (directory === undefined || memory?.limit === undefined || memory.swap !== undefined) return
  const swap = readNumber(`${directory}/memory.memsw.limit_in_bytes`)
  if (swap > 0 && memory.limit > swap)
    throw failure(
      "conflict",
      "Memory limit should be smaller than already set memoryswap limit, update the memoryswap at the same time",
    )
}

/** v2 counts swap alone, so that an update of memory + swap needs the memory that stays as it is. */
function completed(layout: CgroupLayout, resources: LinuxResources): LinuxResources {
  const { memory } = resources
  if (layout.unified === undefined || memory?.swap === undefined || memory.limit !== undefined)
    return resources
  const limit = readNumber(`${layout.unified}/memory.max`)
  return Number.isFinite(limit) ? { ...resources, memory: { ...memory, limit } } : resources
}

function raisesMemory(layout: CgroupLayout, { memory }: LinuxResources): boolean {
  const directory = layout.directories.get("memory")
  if (directory === undefined || memory?.limit === undefined || memory.swap === undefined) return false
  const current = readNumber(`${directory}/memory.memsw.limit_in_bytes`)
  return memory.swap < 0 || memory.swap > current
}
