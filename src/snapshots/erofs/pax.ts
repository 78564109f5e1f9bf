// Pax records of a layer's tar, bytes kept as they are: texts are latin1 strings, one character for each byte.
import type { Extent } from "./sparse.ts"

export interface Attribute {
  readonly name: string
  readonly value: Uint8Array
}

/** What pax headers say about the entries after them. */
export interface Pax {
  path?: string | undefined
  link?: string | undefined
  size?: number | undefined
  uid?: number | undefined
  gid?: number | undefined
  /** Seconds and nanoseconds. */
  mtime?: readonly [number, number] | undefined
  sparse?: {
    name?: string
    map?: string
    major?: number
    minor?: number
    realSize?: number
    /** 0.0: an offset that waits for its length. */
    offset?: number
    extents: Extent[]
  }
  attributes: readonly Attribute[]
}

export const noPax: Pax = { attributes: [] }

const mostAttributes = 128
export const mostExtents = 1 << 20

/** Digits only, at most what a double holds exactly; undefined for anything else. */
export const wholeNumber = (text: string): number | undefined => {
  if (!/^[0-9]{1,19}$/.test(text)) return undefined
  const value = Number(text)
  return Number.isSafeInteger(value) ? value : undefined
}

/** Seconds with decimals, of which nine count; negative fractions count from the second below. */
const time = (text: string): readonly [number, number] | undefined => {
  const match = /^(-?)([0-9]{1,15})(?:\.([0-9]*))?$/.exec(text)
  if (match === null) return undefined
  const nanoseconds = Number((match[3] ?? "").slice(0, 9).padEnd(9, "0"))
  const seconds = Number(match[2])
  if (match[1] === "") return [seconds, nanoseconds]
  return nanoseconds === 0 ? [0 - seconds, 0] : [-seconds - 1, 1_000_000_000 - nanoseconds]
}

const sparseRecord = (pax: Pax, key: string, value: string): string | undefined => {
  const before = pax.sparse ?? { extents: [] }
  if (key === "name" || key === "map") {
    pax.sparse = { ...before, [key]: value }
    return undefined
  }
  const number = wholeNumber(value)
  if (number === undefined) return "a sparse record is not a number"
  if (key === "numbytes") {
    if (before.extents.length >= mostExtents) return "a sparse file has too many extents"
    before.extents.push({ offset: before.offset ?? 0, length: number })
  }
  if (key === "size" || key === "realsize") pax.sparse = { ...before, realSize: number }
  else if (key === "major" || key === "minor" || key === "offset") pax.sparse = { ...before, [key]: number }
  else pax.sparse = before
  return undefined
}

const numberRecord = (pax: Pax, key: "size" | "uid" | "gid", value: string): string | undefined => {
  const number = value === "" ? undefined : wholeNumber(value)
  if (value !== "" && (number === undefined || (key !== "size" && number >= 0xffffffff)))
    return "a pax record is not a number in range"
  pax[key] = number
  return undefined
}

const record = (pax: Pax, key: string, bytes: Uint8Array, text: () => string): string | undefined => {
  if (key.startsWith("SCHILY.xattr.")) {
    const name = key.slice(13)
    if (name === "") return "an extended attribute has no name"
    const others = pax.attributes.filter((known) => known.name !== name)
    if (others.length >= mostAttributes) return "an entry has too many extended attributes"
    pax.attributes = [...others, { name, value: bytes.slice() }]
    return undefined
  }
  if (key.startsWith("LIBARCHIVE.xattr.") || key === "comment") return undefined
  if (bytes.includes(0)) return "a pax record holds a NUL byte"
  const value = text()
  if (key === "path") pax.path = value === "" ? undefined : value
  else if (key === "linkpath") pax.link = value === "" ? undefined : value
  else if (key === "size" || key === "uid" || key === "gid") return numberRecord(pax, key, value)
  else if (key.startsWith("GNU.sparse.")) return sparseRecord(pax, key.slice(11), value)
  else if (key === "mtime" || key === "atime") {
    const read = value === "" ? undefined : time(value)
    if (value !== "" && read === undefined) return "a pax time is malformed"
    if (key === "mtime") pax.mtime = read
  }
  return undefined
}

/** Adds the records in `bytes` ("LENGTH KEY=VALUE\n" each) to `pax`. Gives what is wrong, or undefined. */
export const applyPax = (pax: Pax, bytes: Buffer): string | undefined => {
  for (let at = 0; at < bytes.length; ) {
    const space = bytes.indexOf(0x20, at)
    const digits = space < 0 || space - at > 8 ? "" : bytes.toString("latin1", at, space)
    const end = at + Number(digits)
    if (!/^[0-9]+$/.test(digits) || end > bytes.length || end <= space + 1)
      return "a pax record has a wrong length"
    const equals = bytes.indexOf(0x3d, space)
    if (bytes[end - 1] !== 0x0a || equals < 0 || equals >= end - 1) return "a pax record is malformed"
    const key = bytes.toString("latin1", space + 1, equals)
    if (key.includes("\0")) return "a pax record holds a NUL byte"
    const wrong = record(pax, key, bytes.subarray(equals + 1, end - 1), () =>
      bytes.toString("latin1", equals + 1, end - 1),
    )
    if (wrong !== undefined) return wrong
    at = end
  }
  return undefined
}
