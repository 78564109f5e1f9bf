// Finished steps by their keys, in the state. A record whose layers are gone is none.
import type { Snapshotter } from "../../snapshots/snapshotter.ts"
import type { State } from "../../state/state.ts"
import type { CacheRecord } from "./cache.ts"

export interface CacheRecords {
  /** A record whose layers are there, by its key or by another name of it. */
  find(key: string): CacheRecord | undefined
  put(record: CacheRecord): void
  /** Lets a record be found by another key too; forgotten when the engine ends or the record goes. */
  name(alias: string, key: string): void
  list(): readonly CacheRecord[]
  /** Removes a record; what its layers were kept for is the caller's to release. */
  forget(key: string): void
  /** Notes that a build took these. */
  touch(keys: Iterable<string>): void
  /** Steps of builds that run take these: they are not to be removed. Gives the function that ends it. */
  use(key: string): () => void
  isUsed(key: string): boolean
}

/** Other names that are remembered. */
const mostAliases = 20_000

export const openCacheRecords = (parts: {
  state: State
  snapshots: Pick<Snapshotter, "has">
  /** Told of blobs that were kept for a record that is gone. */
  released: (blobs: readonly string[]) => void
}): CacheRecords => {
  const { state, snapshots } = parts
  const table = state.buildRecords
  const aliases = new Map<string, string>()
  const used = new Map<string, number>()

  const release = (records: readonly CacheRecord[]): void =>
    parts.released(records.flatMap(({ blob }) => (blob === "" ? [] : [blob])))

  const isOn = (chainId: string, below: string): boolean => {
    for (let at = chainId; at !== ""; at = state.snapshots.find(at)?.parent ?? "")
      if (at === below) return true
    return false
  }

  return {
    find(key) {
      const record = table.find(key) ?? table.find(aliases.get(key) ?? "")
      if (record === undefined || record.chainId === "" || snapshots.has(record.chainId)) return record
      table.remove(record.key, { durable: false })
      return undefined
    },
    put(record) {
      const before = table.find(record.key)
      // Losing the record to a power cut only costs the step.
      table.put(record.key, record, { durable: false })
      if (before === undefined || before.chainId === record.chainId || before.chainId === "") return
      // What stands on the layer that the step had before is not found any more.
      const lost = table.list().filter(({ key, chainId }) => !used.has(key) && isOn(chainId, before.chainId))
      state.transaction(
        () => {
          for (const { key } of lost) table.remove(key)
        },
        { durable: false },
      )
      release([before, ...lost])
    },
    name(alias, key) {
      if (alias === key) return
      if (aliases.size >= mostAliases) {
        const oldest = aliases.keys().next().value
        if (oldest !== undefined) aliases.delete(oldest)
      }
      aliases.set(alias, key)
    },
    list: () => table.list(),
    forget(key) {
      state.transaction(() => table.remove(key), { makesRoom: true, durable: false })
    },
    touch(keys) {
      const now = Date.now()
      state.transaction(
        () => {
          for (const key of keys) {
            const record = table.find(key)
            if (record !== undefined) table.put(key, { ...record, usedAt: now, uses: record.uses + 1 })
          }
        },
        { durable: false },
      )
    },
    use(key) {
      used.set(key, (used.get(key) ?? 0) + 1)
      let held = true
      return () => {
        if (!held) return
        held = false
        const left = (used.get(key) ?? 1) - 1
        if (left > 0) used.set(key, left)
        else used.delete(key)
      }
    },
    isUsed: (key) => used.has(key),
  }
}
