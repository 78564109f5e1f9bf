// The functions of docker's templates, and Go's way to print values.
import { failure } from "../../base/errors.ts"

export const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)

/** Go's default printing: maps as map[k:v], lists as [a b], nil as <no value>. */
export function goPrint(value: unknown): string {
  if (value === undefined || value === null) return "<no value>"
  if (Array.isArray(value)) return `[${value.map(goPrintInner).join(" ")}]`
  if (typeof value === "object") {
    const entries = Object.entries(value).sort(([a], [b]) => compare(a, b))
    return `map[${entries.map(([key, inner]) => `${key}:${goPrintInner(inner)}`).join(" ")}]`
  }
  return String(value)
}

const goPrintInner = (value: unknown): string =>
  value === null || value === undefined ? "<nil>" : goPrint(value)

/** Go templates' truth: empty, zero, false and nil are false. */
export function truthy(value: unknown): boolean {
  if (Array.isArray(value)) return value.length > 0
  if (value !== null && typeof value === "object") return Object.keys(value).length > 0
  return Boolean(value)
}

function index(value: unknown, ...keys: unknown[]): unknown {
  return keys.reduce((at: unknown, key) => {
    if (Array.isArray(at)) {
      const found = at[Number(key)]
      if (found === undefined)
        throw failure(
          "invalid",
          `template: :1: error calling index: reflect: slice index out of range: ${key}`,
        )
      return found
    }
    if (at !== null && typeof at === "object") return (at as Record<string, unknown>)[String(key)]
    if (typeof at === "string") return at.charCodeAt(Number(key))
    throw failure("invalid", "template: :1: error calling index: index of untyped nil")
  }, value)
}

function size(value: unknown): number {
  if (typeof value === "string") return Buffer.byteLength(value)
  if (Array.isArray(value)) return value.length
  return value !== null && typeof value === "object" ? Object.keys(value).length : 0
}

/** JSON as Go's encoder writes it: no spaces, no HTML escapes (docker turns them off). */
const goJson = (value: unknown): string => JSON.stringify(value ?? null)

function printf(format: string, ...values: unknown[]): string {
  const queue = [...values]
  return format.replace(
    /%([-+0 #]*)(\d+)?(?:\.(\d+))?([vsdqftx%])/g,
    (_, flags: string, width: string, precision: string, verb: string) => {
      if (verb === "%") return "%"
      const value = queue.shift()
      let text = goPrint(value)
      if (verb === "q") text = JSON.stringify(text)
      else if (verb === "f") text = Number(value).toFixed(precision === undefined ? 6 : Number(precision))
      else if (verb === "x")
        text = typeof value === "number" ? value.toString(16) : Buffer.from(text).toString("hex")
      else if (verb === "s" && precision !== undefined) text = text.slice(0, Number(precision))
      const target = Number(width ?? 0)
      return flags.includes("-")
        ? text.padEnd(target)
        : text.padStart(target, flags.includes("0") ? "0" : " ")
    },
  )
}

const list = (value: unknown): string[] =>
  Array.isArray(value)
    ? value.map((item) => goPrint(item))
    : value === null || value === undefined
      ? []
      : [goPrint(value)]
const text = (value: unknown): string => (value === null || value === undefined ? "" : goPrint(value))
const order = (a: unknown, b: unknown): number =>
  typeof a === "number" && typeof b === "number" ? a - b : compare(text(a), text(b))

/** By name; a piped value comes last. */
export const functions: Readonly<Record<string, (...values: unknown[]) => unknown>> = {
  json: (value) => goJson(value),
  join: (values, separator) => list(values).join(text(separator)),
  split: (value, separator) => text(value).split(text(separator)),
  lower: (value) => text(value).toLowerCase(),
  upper: (value) => text(value).toUpperCase(),
  title: (value) => text(value).replace(/(^|\s)\S/g, (letter) => letter.toUpperCase()),
  pad: (value, before, after) =>
    text(value) === "" ? "" : " ".repeat(Number(before)) + text(value) + " ".repeat(Number(after)),
  truncate: (value, length) => [...text(value)].slice(0, Number(length)).join(""),
  println: (...values) => `${values.map(text).join(" ")}\n`,
  print: (...values) => values.map(text).join(" "),
  printf: (format, ...values) => printf(text(format), ...values),
  index,
  len: size,
  eq: (first, ...others) => others.some((other) => order(first, other) === 0),
  ne: (a, b) => order(a, b) !== 0,
  lt: (a, b) => order(a, b) < 0,
  le: (a, b) => order(a, b) <= 0,
  gt: (a, b) => order(a, b) > 0,
  ge: (a, b) => order(a, b) >= 0,
  not: (value) => !truthy(value),
  and: (...values) => values.find((value) => !truthy(value)) ?? values.at(-1),
  or: (...values) => values.find((value) => truthy(value)) ?? values.at(-1),
  slice: (value, from, to) =>
    Array.isArray(value)
      ? value.slice(Number(from), to === undefined ? undefined : Number(to))
      : text(value).slice(Number(from), to === undefined ? undefined : Number(to)),
  html: (value) => text(value).replace(/[&<>"']/g, (letter) => `&#${letter.charCodeAt(0)};`),
}
