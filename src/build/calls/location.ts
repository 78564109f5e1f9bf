// Places and sources as the answers' JSON has them (BuildKit's shapes).
import type { Place } from "../dockerfile/instructions.ts"

interface Line {
  readonly start: { readonly line: number }
  readonly end: { readonly line: number }
}

export interface Location {
  readonly ranges: readonly Line[]
}

const line = (number: number): Line => ({ start: { line: number }, end: { line: number } })

/** One range for each line. */
export const locationOf = (place: Place): Location => ({
  ranges: Array.from({ length: place.last - place.first + 1 }, (_, index) => line(place.first + index)),
})

export const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString("base64")

/** Fields that are empty are left out, as Go's encoder does with what is marked so. */
export const withoutEmpty = <T extends Readonly<Record<string, unknown>>>(fields: T): Partial<T> => {
  const kept: Partial<T> = {}
  for (const key in fields) {
    const value = fields[key]
    if (value === undefined || value === "" || value === false) continue
    if (Array.isArray(value) && value.length === 0) continue
    kept[key] = value
  }
  return kept
}
