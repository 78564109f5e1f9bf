// Furnished layers: what every container of an image is mounted over is made once, in a layer above the image's own, so that a
// start creates nothing in the container's layer and its diff shows nothing of it. Made again after each boot of the machine.
import { mkdirSync } from "node:fs"
import { join } from "node:path"
import { KeyedMutex } from "../base/keyed-mutex.ts"
import type { Kernel, Operation } from "../kernel/kernel.ts"
import type { SnapshotRecord, State } from "../state/state.ts"

const keyOf = (chainId: string): string => `furnished:${chainId}`
const bootKey = "furnished-boot"

export interface Furnishing {
  find(chainId: string): SnapshotRecord | undefined
  /** Makes the layer over `lower` (top first) unless it is there. */
  make(chainId: string, lower: readonly string[], operations: readonly Operation[]): Promise<void>
  /** Forgets the layer; gives its directory's name. */
  forget(chainId: string): string | undefined
  /** Forgets all of them when the machine has been down: they were never synced. */
  recover(): void
}

export const openFurnishing = (parts: {
  root: string
  kernel: Kernel
  state: State
  boot: string
  /** Makes a numbered directory with an empty `fs` that looks like the root of its parent. */
  makeDirectory: (parent: string) => string
  takeAway: (path: string) => void
}): Furnishing => {
  const { root, kernel, state, boot, makeDirectory, takeAway } = parts
  const makings = new KeyedMutex()
  const find = (chainId: string) => state.snapshots.find(keyOf(chainId))

  const make = async (chainId: string, lower: readonly string[], operations: readonly Operation[]) => {
    if (find(chainId) !== undefined) return
    const directory = makeDirectory(chainId)
    const [files, work] = [join(root, directory, "fs"), join(root, directory, "work")]
    try {
      mkdirSync(work, { mode: 0o700 })
      await kernel.perform([["furnish"], ["root-overlay", files, work, "volatile", ...lower], ...operations])
    } catch (error) {
      takeAway(join(root, directory))
      throw error
    }
    takeAway(work)
    if (state.settings.find(bootKey) !== boot) state.settings.put(bootKey, boot, { durable: false })
    state.snapshots.put(
      keyOf(chainId),
      { key: keyOf(chainId), parent: chainId, kind: "furnished", directory, createdAt: Date.now(), size: 0 },
      { durable: false },
    )
  }

  return {
    find,
    make: (chainId, lower, operations) =>
      find(chainId) === undefined
        ? makings.run(chainId, () => make(chainId, lower, operations))
        : Promise.resolve(),
    forget(chainId) {
      const record = find(chainId)
      state.snapshots.remove(keyOf(chainId), { durable: false })
      return record?.directory
    },
    recover() {
      if (state.settings.find(bootKey) === boot) return
      for (const record of state.snapshots.list())
        if (record.kind === "furnished") state.snapshots.remove(record.key, { durable: false })
    },
  }
}
