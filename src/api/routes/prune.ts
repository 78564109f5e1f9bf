// What a prune request leaves in and takes out.
import { failure } from "../../base/errors.ts"
import { oneFilter, type Query } from "../query.ts"
import { parseTimestamp } from "../translate/times.ts"

const PRUNE_FILTERS: ReadonlySet<string> = new Set(["until", "label", "label!"])

export interface PruneCriteria {
  /** Unix milliseconds: only what is older. */
  readonly until?: number
  /** "key", "key=value"; with a leading "!" those that must not match. */
  readonly labels: readonly string[]
}

/** Reads the filters until, label and label!, and flags that `more` allows. */
export function pruneCriteria(query: Query, more: readonly string[] = []): PruneCriteria {
  const filters = query.filters(more.length === 0 ? PRUNE_FILTERS : new Set([...PRUNE_FILTERS, ...more]))
  const untilText = oneFilter(filters, "until")
  const until = untilText === undefined ? undefined : parseTimestamp(untilText)
  if (untilText !== undefined && until === undefined) {
    throw failure("invalid", `invalid filter 'until=${untilText}': write a time or a duration such as 24h`)
  }
  return {
    ...(until === undefined ? {} : { until: Number(until / 1_000_000n) }),
    labels: [...(filters.get("label") ?? []), ...(filters.get("label!") ?? []).map((label) => `!${label}`)],
  }
}
