// What the snapshots take on the disk: committed layers by their records, and by a look at their two files where they are
// images; only what containers write to is walked.
import { join } from "node:path"
import { allocatedBytes } from "../base/allocated.ts"
import type { Kernel } from "../kernel/kernel.ts"
import type { SnapshotRecord, State } from "../state/state.ts"
import type { SnapshotsUse } from "./snapshotter.ts"

export const measureSnapshots = async (parts: {
  root: string
  kernel: Kernel
  state: State
  /** Directories beside those of the records, each with all beneath it. */
  idle: readonly string[]
}): Promise<SnapshotsUse> => {
  const { root, kernel, state } = parts
  // Two stacks may share the tar of one layer.
  const seen = new Set<string>()
  const walk = async (path: string): Promise<number> => {
    const answer = await kernel.perform([["usage"], ["path", path]]).catch(() => undefined)
    return Number(answer?.get("bytes")?.[0] ?? 0)
  }
  const unpacked = async (record: SnapshotRecord): Promise<number> => {
    if (record.disk !== undefined) return record.disk
    const disk = await walk(join(root, record.directory))
    // Committed layers never change: measured once.
    if (state.snapshots.find(record.key)?.directory === record.directory)
      state.snapshots.put(record.key, { ...record, disk }, { durable: false })
    return disk
  }

  const layers = new Map<string, number>()
  const writable = new Map<string, number>()
  let idle = allocatedBytes(root)
  for (const record of state.snapshots.list()) {
    const directory = join(root, record.directory)
    if (record.kind === "active") writable.set(record.key, await walk(directory))
    else if (record.image === undefined) layers.set(record.key, await unpacked(record))
    else {
      const paths = [directory, join(directory, "layer.tar"), join(directory, "index")]
      layers.set(
        record.key,
        paths.reduce((sum, path) => sum + allocatedBytes(path, seen), 0),
      )
    }
  }
  for (const name of parts.idle) idle += await walk(join(root, name))
  return { layers, writable, idle }
}
