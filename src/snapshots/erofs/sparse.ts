// Maps of sparse files in a tar: GNU's old form, pax 0.0 and 0.1 (in records), pax 1.0 (at the front of the body).
import { mostExtents, type Pax, wholeNumber } from "./pax.ts"
import { tarNumber } from "./tar-number.ts"

/** A piece of the file that the archive holds; between the pieces are zeros. Bytes. */
export interface Extent {
  readonly offset: number
  readonly length: number
}

export const brokenMap = "the map of a sparse file is malformed"

/** Slots of an old GNU header (four at 386) or of one of its extension blocks (21 at 0). Undefined when malformed. */
export const oldExtents = (block: Uint8Array, at: number, slots: number): Extent[] | undefined => {
  const extents: Extent[] = []
  for (let slot = 0; slot < slots; slot++, at += 24) {
    if (block[at] === 0) break
    const [offset, length] = [tarNumber(block, at, 12), tarNumber(block, at + 12, 12)]
    if (offset === undefined || length === undefined || offset < 0 || length < 0) return undefined
    extents.push({ offset, length })
  }
  return extents
}

const pairs = (numbers: readonly string[]): Extent[] | undefined => {
  const extents: Extent[] = []
  for (let at = 0; at < numbers.length; at += 2) {
    const [offset, length] = [wholeNumber(numbers[at] ?? ""), wholeNumber(numbers[at + 1] ?? "")]
    if (offset === undefined || length === undefined) return undefined
    extents.push({ offset, length })
  }
  return extents
}

/** The map of pax 0.0 or 0.1. */
export const listedExtents = (sparse: NonNullable<Pax["sparse"]>): readonly Extent[] | undefined => {
  if (sparse.map === undefined) return sparse.extents
  const numbers = sparse.map.replace(/,$/, "").split(",")
  return sparse.map === "" ? [] : numbers.length % 2 === 1 ? undefined : pairs(numbers)
}

/**
 * Pax 1.0: decimal lines (count, then offset and length of each extent), padded to a block. Takes the body's blocks one
 * by one: "more" until the map is whole.
 */
export class BodyMap {
  #numbers: string[] = []
  #rest = ""

  /** The extents once the map is whole, undefined when it is malformed. */
  add(block: Uint8Array): readonly Extent[] | "more" | undefined {
    const lines = (this.#rest + Buffer.from(block).toString("latin1")).split("\n")
    this.#rest = lines.pop() ?? ""
    for (const line of lines) {
      const count = wholeNumber(this.#numbers[0] ?? line)
      if (count === undefined || count > mostExtents) return undefined
      if (this.#numbers.length < 1 + 2 * count) this.#numbers.push(line)
      if (this.#numbers.length === 1 + 2 * count) return pairs(this.#numbers.slice(1))
    }
    return this.#rest.length > 24 ? undefined : "more"
  }
}

/** Whether the extents are in order, inside the file, and as long together as what is stored. */
export const isWholeMap = (extents: readonly Extent[], size: number, stored: number): boolean => {
  let reached = 0
  let sum = 0
  for (const { offset, length } of extents) {
    if (offset < reached || offset > size || length > size - offset) return false
    reached = offset + length
    sum += length
  }
  return sum === stored
}
