// The build cache between the domain and Docker's words: entries of system df, filters of prune.
import { failure } from "../../base/errors.ts"
import type { CacheUsage, CacheUseFilter } from "../../build/build.ts"
import type { BuildCacheView } from "../../wire/wire.ts"
import { type Filters, flagFilter, oneFilter } from "../query.ts"
import { parseTimestamp, rfc3339 } from "./times.ts"

/** An entry in the shape of the client's version: one parent until 1.41, several from 1.42 on. */
export function cacheUseView(usage: CacheUsage, minor: number): BuildCacheView {
  return {
    ID: usage.id,
    ...(minor < 42 ? { Parent: usage.parents[0] ?? "" } : {}),
    ...(minor < 42 || usage.parents.length === 0 ? {} : { Parents: [...usage.parents] }),
    Type: usage.kind,
    Description: usage.description,
    InUse: usage.inUse,
    Shared: usage.shared,
    Size: usage.size,
    CreatedAt: rfc3339(usage.createdAt),
    LastUsedAt: usage.usedAt === 0 ? null : rfc3339(usage.usedAt),
    UsageCount: usage.uses,
  }
}

/** Filters of POST /build/prune. "unused-for" is the old name of until. */
export const CACHE_FILTERS: ReadonlySet<string> = new Set([
  "until",
  "unused-for",
  "id",
  "parent",
  "parents",
  "type",
  "description",
  "inuse",
  "shared",
  "private",
  // `docker system prune --filter label=…` asks for it everywhere; no cache has one.
  "label",
  "label!",
])

export function cacheFilter(filters: Filters): CacheUseFilter {
  const untilText = oneFilter(filters, "until") ?? oneFilter(filters, "unused-for")
  const until = untilText === undefined ? undefined : parseTimestamp(untilText)
  if (untilText !== undefined && until === undefined)
    throw failure("invalid", `invalid filter 'until=${untilText}': write a time or a duration such as 24h`)
  const filter: { -readonly [K in keyof CacheUseFilter]: CacheUseFilter[K] } = {}
  const [id, kind, description] = [filters.get("id"), filters.get("type"), filters.get("description")]
  const parent = filters.get("parents") ?? filters.get("parent")
  const inUse = wanted(filters, "inuse")
  const shared = wanted(filters, "shared")
  const own = wanted(filters, "private")
  if (id !== undefined) filter.id = id
  if (parent !== undefined) filter.parents = parent
  if (kind !== undefined) filter.kind = kind
  if (description !== undefined) filter.description = description
  if (inUse !== undefined) filter.inUse = inUse
  if (shared !== undefined) filter.shared = shared
  if (own !== undefined) filter.private = own
  if (until !== undefined) filter.unusedSince = Number(until / 1_000_000n)
  return filter
}

/** "inuse" alone means true. */
const wanted = (filters: Filters, name: string): boolean | undefined =>
  filters.get(name)?.[0] === "" ? true : flagFilter(filters, name)
