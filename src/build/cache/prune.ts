// Removes cache: what was used least recently first, never what runs, and no step before those that are based on it.
import type { ContentStore } from "../../content/content.ts"
import type { Images } from "../../images/images.ts"
import { chainIds } from "../../oci/chain-id.ts"
import type { Operations } from "../operations/operations.ts"
import type { Sources } from "../sources/sources.ts"
import type { CacheRecord, CacheUsage } from "./cache.ts"
import { ownBytes, type UsageRooms, type UsageRow, usageRows } from "./usage.ts"

export interface PruneRooms extends UsageRooms {
  readonly operations: Pick<Operations, "cacheMounts" | "removeCacheMount">
  readonly sources: Pick<Sources, "kept" | "removeKept">
  readonly content: Pick<ContentStore, "size">
  readonly images: Pick<Images, "sharing">
}

export interface PruneRequest {
  /** Whether a row may go at all. */
  readonly mayGo: (usage: CacheUsage) => boolean
  /** Asked before each row: whether enough is gone. `left`: bytes that the cache takes alone, `reclaimed`: that came back. */
  readonly isEnough: (left: number, reclaimed: number) => boolean
  readonly removed?: (usage: CacheUsage) => void
}

/** Bytes that removing a record gives back: its layers and blobs that nothing else needs. Ends with nothing to sweep. */
const removeRecord = ({ state, records, content, images }: PruneRooms, record: CacheRecord): number => {
  const layers = record.layers ?? []
  const chain = chainIds(layers.map(({ diffId }) => diffId))
  records.forget(record.key)
  const gone = new Set(images.sharing.unneeded(record.chainId))
  let bytes = 0
  for (const chainId of gone) {
    const snapshot = state.snapshots.find(chainId)
    bytes += snapshot?.disk ?? snapshot?.size ?? 0
  }
  const blobs = layers.filter((_, at) => gone.has(chain[at] ?? "")).map(({ blob }) => blob)
  // Where tars are kept the content store has no blob of them.
  for (const blob of new Set(blobs)) bytes += content.size(blob) ?? 0
  images.sharing.released(blobs)
  return bytes
}

/** The row that goes next: the one used least recently of those that no other row is based on. */
const nextOf = (rows: ReadonlyMap<string, UsageRow>, mayGo: PruneRequest["mayGo"]): UsageRow | undefined => {
  const bases = new Set([...rows.values()].flatMap(({ usage }) => usage.parents))
  let next: UsageRow | undefined
  for (const row of rows.values()) {
    const { usage } = row
    if (usage.inUse || bases.has(usage.id) || !mayGo(usage)) continue
    if (next === undefined || usage.usedAt < next.usage.usedAt) next = row
  }
  return next
}

export const pruneCache = async (
  rooms: PruneRooms,
  { mayGo, isEnough, removed }: PruneRequest,
): Promise<{ removed: string[]; reclaimed: number }> => {
  const rows = new Map((await usageRows(rooms)).map((row) => [row.usage.id, row]))
  const gone: string[] = []
  let reclaimed = 0
  let left = ownBytes(rows.values())
  while (!isEnough(left, reclaimed)) {
    const row = nextOf(rows, mayGo)
    if (row === undefined) break
    const { usage, source } = row
    rows.delete(usage.id)
    if (source.type === "record") {
      const record = rooms.state.buildRecords.find(source.key)
      // A build may have begun to use it since.
      if (record === undefined || rooms.records.isUsed(source.key)) continue
      reclaimed += removeRecord(rooms, record)
    } else if (source.type === "mount") reclaimed += await rooms.operations.removeCacheMount(source.id)
    else reclaimed += await rooms.sources.removeKept(source.id)
    left -= usage.shared ? 0 : usage.size
    gone.push(usage.id)
    removed?.(usage)
  }
  rooms.state.flush()
  return { removed: gone, reclaimed }
}
