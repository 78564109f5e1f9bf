// `--filter NAME=VALUE`: the flag, its check, and what the API is asked with.
import { failure } from "../base/errors.ts"
import type { Flag } from "./flags.ts"

/** Throws invalid for a filter that is not NAME=VALUE. */
function filterPair(value: string): void {
  if (!value.includes("=")) throw failure("invalid", "bad format of filter (expected name=value)")
}

/** The flag of verbs that list. */
export const filterFlag = (summary = "Filter output based on conditions provided"): Flag => ({
  name: "filter",
  short: "f",
  kind: "list",
  value: "filter",
  check: filterPair,
  summary,
})

/** The flag of verbs that prune, where -f is --force. */
export const pruneFilterFlag: Flag = {
  name: "filter",
  kind: "list",
  value: "filter",
  check: filterPair,
  summary: 'Provide filter values (e.g. "label=<key>=<value>")',
}

/** `--filter a=b` values as the API's filters parameter; undefined when there are none. */
export function readFilters(values: readonly string[]): Record<string, string[]> | undefined {
  const filters: Record<string, string[]> = {}
  for (const value of values) {
    const [name = "", ...rest] = value.split("=")
    const key = name.trim().toLowerCase()
    filters[key] = [...(filters[key] ?? []), rest.join("=").trim()]
  }
  return values.length > 0 ? filters : undefined
}
