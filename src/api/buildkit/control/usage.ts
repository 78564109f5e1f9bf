// The build cache between the builder and BuildKit's control API: `docker buildx du` and `prune`.
import { failure } from "../../../base/errors.ts"
import type { Builder, CacheUsage, CacheUseFilter } from "../../../build/build.ts"
import type { PruneRequest, UsageRecord } from "../../../wire/buildkit/control.ts"
import type { Decoded, Given } from "../../../wire/buildkit/protobuf.ts"
import { timestamp } from "../timestamp.ts"

type Usage = Given<Decoded<typeof UsageRecord>>

const usageRecord = (usage: CacheUsage): Usage => ({
  id: usage.id,
  mutable: usage.kind === "exec.cachemount" || usage.kind === "source.local",
  inUse: usage.inUse,
  size: usage.size,
  createdAt: timestamp(usage.createdAt),
  lastUsedAt: usage.usedAt === 0 ? undefined : timestamp(usage.usedAt),
  usageCount: usage.uses,
  description: usage.description,
  recordType: usage.kind,
  shared: usage.shared,
  parents: usage.parents,
})

export async function cacheUsage(builder: Builder, filters: readonly string[]): Promise<Usage[]> {
  const found = await Promise.all(alternatives(filters).map((filter) => builder.usage(filter)))
  const byId = new Map(found.flat().map((usage) => [usage.id, usage]))
  return [...byId.values()].map(usageRecord)
}

export async function pruneCache(
  builder: Builder,
  request: Decoded<typeof PruneRequest>,
  send: (usage: Usage) => Promise<void>,
): Promise<void> {
  const { filter: filters, all, keepDuration, reservedSpace, maxUsedSpace, minFreeSpace } = request
  if (minFreeSpace > 0)
    throw failure(
      "not-implemented",
      "pruning until so much of the disk is free is not done: say what may be used",
    )
  // The larger of the two bounds is what stays at least.
  const keepBytes = Math.max(reservedSpace, maxUsedSpace)
  for (const filter of alternatives(filters)) {
    const removed: CacheUsage[] = []
    await builder.prune(
      {
        ...filter,
        ...(keepDuration > 0 ? { unusedSince: Date.now() - keepDuration / 1e6 } : {}),
        all,
        ...(keepBytes > 0 ? { keepBytes } : {}),
      },
      (usage) => removed.push(usage),
    )
    for (const usage of removed) await send(usageRecord(usage))
  }
}

/** containerd's filters: those of a list are alternatives, those within one separated by commas all hold. */
function alternatives(filters: readonly string[]): CacheUseFilter[] {
  const given = filters.filter((text) => text !== "")
  return given.length === 0 ? [{}] : given.map(parseFilter)
}

type Writable = { -readonly [K in keyof CacheUseFilter]: CacheUseFilter[K] }

function parseFilter(text: string): CacheUseFilter {
  const filter: Writable = {}
  for (const part of text.split(",")) {
    const [, key, operator, quoted = ""] = /^([A-Za-z_.]+)(?:(==|~=|!=)(.*))?$/.exec(part) ?? []
    if (key === undefined) throw failure("invalid", `the filter ${JSON.stringify(part)} cannot be read`)
    const value = quoted.replace(/^"(.*)"$/, "$1")
    if (operator === "~=") throw failure("invalid", `the filter ${part} has a pattern: write ${key}==VALUE`)
    add(filter, key, value, operator === undefined ? true : operator === "==", part)
  }
  return filter
}

function add(filter: Writable, key: string, value: string, positive: boolean, part: string): void {
  const holds = (value === "" || value === "true") === positive
  if (key === "inuse") filter.inUse = holds
  else if (key === "shared") filter.shared = holds
  else if (key === "private") filter.private = holds
  else if (key === "mutable" || key === "immutable")
    throw failure("invalid", `the filter ${part} is not known here: filter by type`)
  else if (!positive) throw failure("invalid", `the filter ${part} cannot be turned round`)
  else if (key === "id") filter.id = [value]
  else if (key === "parent" || key === "parents") filter.parents = [value]
  else if (key === "type") filter.kind = [value]
  else if (key === "description") filter.description = [value]
  else throw failure("invalid", `there is no filter ${JSON.stringify(key)}`)
}
