// What the cache of builds takes on the disk, row by row, and which rows a filter means.
import type { State } from "../../state/state.ts"
import type { Operations } from "../operations/operations.ts"
import type { Sources } from "../sources/sources.ts"
import type { CacheUsage, CacheUseFilter } from "./cache.ts"
import type { CacheRecords } from "./records.ts"

/** A row with what removes it. */
export interface UsageRow {
  readonly usage: CacheUsage
  readonly source:
    | { readonly type: "record"; readonly key: string; readonly chainId: string }
    | { readonly type: "mount"; readonly id: string }
    | { readonly type: "kept"; readonly id: string }
}

export interface UsageRooms {
  readonly state: State
  readonly records: CacheRecords
  readonly operations: Pick<Operations, "cacheMounts">
  readonly sources: Pick<Sources, "kept">
}

/** Names that people can copy: 25 digits of the key. */
const usageId = (key: string): string => key.replace(/^sha256:/, "").slice(0, 25)

/** ChainIDs of layers that images or containers need. */
const layersInUse = (state: State): Set<string> => {
  const found = new Set<string>()
  const keep = (chainId: string): void => {
    for (let at = chainId; at !== "" && !found.has(at); at = state.snapshots.find(at)?.parent ?? "")
      found.add(at)
  }
  for (const { chainId } of state.images.list()) keep(chainId)
  for (const { kind, key, parent } of state.snapshots.list())
    if (kind === "active" && !key.startsWith("build-")) keep(parent)
  return found
}

const recordRows = ({ state, records }: UsageRooms): UsageRow[] => {
  const needed = layersInUse(state)
  return records.list().map((record) => {
    const { key, chainId, diffId, kind, description, createdAt, usedAt, uses } = record
    const snapshot = state.snapshots.find(chainId)
    const usage: CacheUsage = {
      id: usageId(key),
      parents: (record.inputs ?? []).map(usageId),
      ...{ kind, description, createdAt, usedAt, uses },
      inUse: records.isUsed(key),
      shared: diffId !== "" && needed.has(chainId),
      size: diffId === "" ? 0 : (snapshot?.disk ?? snapshot?.size ?? record.size),
    }
    return { usage, source: { type: "record", key, chainId } }
  })
}

export const usageRows = async (rooms: UsageRooms): Promise<UsageRow[]> => {
  const [mounts, kept] = await Promise.all([rooms.operations.cacheMounts(), rooms.sources.kept()])
  const own = { parents: [], shared: false } as const
  return [
    ...recordRows(rooms),
    ...mounts.map(({ id, bytes, createdAt, usedAt, inUse }): UsageRow => {
      const description = "cached mount of a step"
      const usage = { id: usageId(id), kind: "exec.cachemount", description, createdAt, usedAt, inUse }
      return { usage: { ...own, ...usage, size: bytes, uses: 1 }, source: { type: "mount", id } }
    }),
    ...kept.map(({ id, kind, description, bytes, createdAt, usedAt, inUse }): UsageRow => {
      const usage = { id: usageId(id), kind, description, createdAt, usedAt, inUse }
      return { usage: { ...own, ...usage, size: bytes, uses: 1 }, source: { type: "kept", id } }
    }),
  ]
}

/** What would come back if all of it were removed. */
export const ownBytes = (rows: Iterable<UsageRow>): number => {
  let bytes = 0
  for (const { usage } of rows) if (!usage.shared) bytes += usage.size
  return bytes
}

/** Whether a row is meant by all parts of a filter. */
export const isMeant = (usage: CacheUsage, filter: CacheUseFilter): boolean => {
  const { id, parents, kind, description, inUse, shared, unusedSince } = filter
  if (id !== undefined && !id.some((one) => one !== "" && usage.id.startsWith(one))) return false
  if (parents !== undefined && !parents.some((one) => usage.parents.includes(one))) return false
  if (kind !== undefined && !kind.includes(usage.kind)) return false
  if (description !== undefined && !description.some((one) => usage.description.includes(one))) return false
  if (inUse !== undefined && usage.inUse !== inUse) return false
  if (shared !== undefined && usage.shared !== shared) return false
  if (filter.private !== undefined && usage.shared === filter.private) return false
  return unusedSince === undefined || usage.usedAt <= unusedSince
}
