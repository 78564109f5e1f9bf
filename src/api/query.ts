// A request's query parameters, read strictly: a value given twice or a number that is none is an error.
import { failure } from "../base/errors.ts"
import { parseTimestamp } from "./translate/times.ts"

/** Docker's filters: name to values. */
export type Filters = ReadonlyMap<string, readonly string[]>

export class Query {
  readonly #search: string
  #parsed: URLSearchParams | undefined

  constructor(search: string) {
    this.#search = search
  }

  get #parameters(): URLSearchParams {
    this.#parsed ??= new URLSearchParams(this.#search)
    return this.#parsed
  }

  /** undefined when absent. Throws invalid when given twice or with NUL. */
  find(name: string): string | undefined {
    if (this.#search === "") return undefined
    const values = this.#parameters.getAll(name)
    if (values.length > 1) throw failure("invalid", `bad parameter: ${name} is given ${values.length} times`)
    const value = values[0]
    if (value?.includes("\0")) throw failure("invalid", `bad parameter: ${name} holds a NUL byte`)
    return value
  }

  /** The first value where some clients send several; undefined when absent or empty. */
  first(name: string): string | undefined {
    return this.all(name)[0] || undefined
  }

  /** "" when absent. */
  text(name: string): string {
    return this.find(name) ?? ""
  }

  /** undefined when absent or empty, as for optional names. */
  optional(name: string): string | undefined {
    return this.find(name) || undefined
  }

  /** Every value of a repeatable parameter. */
  all(name: string): string[] {
    return this.#search === "" ? [] : this.#parameters.getAll(name)
  }

  /** Docker's booleans: absent takes the fallback; "", 0, no, false and none are false, all else true. */
  flag(name: string, fallback = false): boolean {
    const value = this.find(name)
    if (value === undefined) return fallback
    const lower = value.trim().toLowerCase()
    return !(lower === "" || lower === "0" || lower === "no" || lower === "false" || lower === "none")
  }

  /** A whole number; undefined when absent or empty. */
  whole(name: string): number | undefined {
    const value = this.find(name)
    if (value === undefined || value === "") return undefined
    if (!/^[+-]?\d{1,15}$/.test(value)) {
      throw failure("invalid", `bad parameter: ${name}=${JSON.stringify(value)} is not a whole number`)
    }
    return Number(value)
  }

  /** A Unix time in nanoseconds from Docker's forms; undefined when absent, empty or "0". */
  time(name: string): bigint | undefined {
    const value = this.find(name)
    if (value === undefined || value === "" || value === "0") return undefined
    const time = parseTimestamp(value)
    if (time === undefined) {
      throw failure("invalid", `bad parameter: ${name}=${JSON.stringify(value)} is not a time`)
    }
    return time
  }

  /** The filters parameter in either of its JSON forms; names not in `allowed` are an error. */
  filters(allowed: ReadonlySet<string>): Filters {
    const value = this.find("filters")
    const filters = new Map<string, string[]>()
    if (value === undefined || value === "") return filters
    for (const [name, values] of Object.entries(parseFilters(value))) {
      if (!allowed.has(name)) throw failure("invalid", `invalid filter '${name}'`)
      filters.set(name, values)
    }
    return filters
  }
}

function parseFilters(text: string): Record<string, string[]> {
  let parsed: unknown
  try {
    parsed = JSON.parse(text)
  } catch (cause) {
    throw failure("invalid", `invalid filter: ${text.slice(0, 100)} is not JSON`, { cause })
  }
  if (parsed === null) return {}
  if (typeof parsed !== "object" || Array.isArray(parsed)) {
    throw failure("invalid", "invalid filter: it must be an object of names and values")
  }
  const filters: Record<string, string[]> = {}
  for (const [name, values] of Object.entries(parsed)) {
    const list: unknown[] = Array.isArray(values) ? values : trueKeys(name, values)
    filters[name] = list.map((entry) => {
      if (typeof entry !== "string")
        throw failure("invalid", `invalid filter '${name}': its values must be texts`)
      return entry
    })
  }
  return filters
}

function trueKeys(name: string, values: unknown): string[] {
  if (typeof values !== "object" || values === null) {
    throw failure("invalid", `invalid filter '${name}': its values must be a list`)
  }
  return Object.entries(values)
    .filter(([, wanted]) => wanted === true)
    .map(([key]) => key)
}

/** The one value of a filter, undefined when absent. Throws invalid when there are several. */
export function oneFilter(filters: Filters, name: string): string | undefined {
  const values = filters.get(name)
  if (values === undefined || values.length === 0) return undefined
  if (values.length > 1) throw failure("invalid", `invalid filter '${name}': more than one value was given`)
  return values[0]
}

/** A boolean filter such as dangling=true. */
export function flagFilter(filters: Filters, name: string): boolean | undefined {
  const value = oneFilter(filters, name)
  if (value === undefined) return undefined
  if (value === "1" || value === "true") return true
  if (value === "0" || value === "false") return false
  throw failure("invalid", `invalid filter '${name}=[${value}]'`)
}

/** Whether labels satisfy every "key" and "key=value" asked for, and none of those refused. */
export function labelsMatch(
  labels: Readonly<Record<string, string>>,
  wanted: readonly string[] = [],
  refused: readonly string[] = [],
): boolean {
  const holds = (query: string): boolean => {
    const equals = query.indexOf("=")
    if (equals < 0) return Object.hasOwn(labels, query)
    const key = query.slice(0, equals)
    return Object.hasOwn(labels, key) && labels[key] === query.slice(equals + 1)
  }
  return wanted.every(holds) && !refused.some(holds)
}
