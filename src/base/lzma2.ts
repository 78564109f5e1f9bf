// LZMA2, the method inside xz: chunks of range-coded literals and matches over a dictionary of what came before.
import { InflateError } from "./inflate.ts"

const damaged = (what: string) => new InflateError(what)
const half = 1024
const lowestRange = 2 ** 24
const states = 12
const positionStates = 16

const fresh = (count: number): Uint16Array => new Uint16Array(count).fill(half)

/** Lengths of matches, in three ranges. */
interface LengthCoder {
  readonly choice: Uint16Array
  readonly low: Uint16Array
  readonly middle: Uint16Array
  readonly high: Uint16Array
}
const lengthCoder = (): LengthCoder => ({
  choice: fresh(2),
  low: fresh(positionStates << 3),
  middle: fresh(positionStates << 3),
  high: fresh(256),
})

interface Models {
  readonly match: Uint16Array
  readonly repeat: Uint16Array
  readonly repeat0: Uint16Array
  readonly repeat0Long: Uint16Array
  readonly repeat1: Uint16Array
  readonly repeat2: Uint16Array
  readonly slots: Uint16Array
  readonly special: Uint16Array
  readonly align: Uint16Array
  readonly lengths: LengthCoder
  readonly repeatLengths: LengthCoder
  readonly literals: Uint16Array
}

const newModels = (literalBits: number): Models => ({
  match: fresh(states * positionStates),
  repeat: fresh(states),
  repeat0: fresh(states),
  repeat0Long: fresh(states * positionStates),
  repeat1: fresh(states),
  repeat2: fresh(states),
  slots: fresh(4 << 6),
  special: fresh(128),
  align: fresh(16),
  lengths: lengthCoder(),
  repeatLengths: lengthCoder(),
  literals: fresh(0x300 << literalBits),
})

/** Decodes the chunks of one block; what was decoded last is the dictionary of what follows. */
export class Lzma2 {
  readonly #dictionary: Uint8Array
  /** Where the next byte goes, and how many bytes are there. */
  #place = 0
  #held = 0
  #models: Models | undefined
  #properties = { lc: 0, lp: 0, pb: 0 }
  #state = 0
  readonly #distances = [0, 0, 0, 0]
  #range = 0
  #code = 0
  #bytes: Uint8Array = new Uint8Array(0)
  #at = 0
  #end = 0
  #out: Uint8Array = new Uint8Array(0)
  #filled = 0
  /** Bytes since the dictionary was forgotten. */
  #total = 0

  constructor(dictionaryBytes: number) {
    this.#dictionary = new Uint8Array(dictionaryBytes)
  }

  /** Decodes the chunk at `at`: its bytes, and where the next one begins; undefined for the end of the block. */
  chunk(bytes: Uint8Array, at: number): { out: Uint8Array; next: number } | undefined {
    const control = bytes[at]
    if (control === undefined) throw damaged("it ends in the middle of a block")
    if (control === 0) return undefined
    const number = (offset: number): number => {
      const [high, low] = [bytes[at + offset], bytes[at + offset + 1]]
      if (high === undefined || low === undefined) throw damaged("it ends in the middle of a block")
      return high * 256 + low + 1
    }
    if (control < 0x80) {
      if (control > 2) throw damaged("a chunk is of no known kind")
      if (control === 1) this.#forget()
      return this.#plain(bytes, at + 3, number(1))
    }
    const size = number(1) + ((control & 0x1f) << 16)
    const packed = number(3)
    const reset = (control >> 5) & 3
    if (reset === 3) this.#forget()
    let from = at + 5
    if (reset >= 2) this.#setProperties(bytes[from++])
    else if (this.#models === undefined) throw damaged("a chunk builds on what was not told")
    else if (reset === 1) this.#reset()
    if (from + packed > bytes.length) throw damaged("it ends in the middle of a block")
    this.#compressed(bytes, from, packed, size)
    return { out: this.#out, next: from + packed }
  }

  #forget(): void {
    this.#held = 0
    this.#total = 0
  }

  #plain(bytes: Uint8Array, from: number, size: number): { out: Uint8Array; next: number } {
    if (from + size > bytes.length) throw damaged("it ends in the middle of a block")
    this.#out = new Uint8Array(size)
    this.#filled = 0
    for (let at = from; at < from + size; at++) this.#put(bytes[at] ?? 0)
    return { out: this.#out, next: from + size }
  }

  #setProperties(byte: number | undefined): void {
    if (byte === undefined || byte >= 225) throw damaged("its properties are out of range")
    const [lc, lp, pb] = [byte % 9, Math.floor(byte / 9) % 5, Math.floor(byte / 45)]
    if (lc + lp > 4) throw damaged("its properties are out of range")
    this.#properties = { lc, lp, pb }
    this.#reset()
  }

  #reset(): void {
    this.#models = newModels(this.#properties.lc + this.#properties.lp)
    this.#state = 0
    this.#distances.fill(0)
  }

  #put(byte: number): void {
    this.#out[this.#filled++] = byte
    this.#dictionary[this.#place] = byte
    this.#place = this.#place + 1 === this.#dictionary.length ? 0 : this.#place + 1
    if (this.#held < this.#dictionary.length) this.#held++
    this.#total++
  }

  /** The byte that came `distance` + 1 ago. */
  #byteAt(distance: number): number {
    if (distance >= this.#held) throw damaged("a match reaches before the beginning")
    const place = this.#place - distance - 1
    return this.#dictionary[place < 0 ? place + this.#dictionary.length : place] ?? 0
  }

  #bit(models: Uint16Array, index: number): number {
    const model = models[index] ?? half
    const bound = (this.#range >>> 11) * model
    let bit = 0
    if (this.#code < bound) {
      this.#range = bound
      models[index] = model + ((2048 - model) >> 5)
    } else {
      this.#range -= bound
      this.#code -= bound
      models[index] = model - (model >> 5)
      bit = 1
    }
    if (this.#range < lowestRange) this.#shift()
    return bit
  }

  #shift(): void {
    if (this.#at >= this.#end) throw damaged("a chunk is shorter than it says")
    this.#range = (this.#range << 8) >>> 0
    this.#code = ((this.#code << 8) | (this.#bytes[this.#at++] ?? 0)) >>> 0
  }

  #direct(count: number): number {
    let value = 0
    for (let bit = 0; bit < count; bit++) {
      this.#range >>>= 1
      const one = this.#code >= this.#range ? 1 : 0
      if (one === 1) this.#code -= this.#range
      value = (value << 1) | one
      if (this.#range < lowestRange) this.#shift()
    }
    return value >>> 0
  }

  #tree(models: Uint16Array, from: number, bits: number): number {
    let index = 1
    for (let bit = 0; bit < bits; bit++) index = (index << 1) | this.#bit(models, from + index)
    return index - (1 << bits)
  }

  #reverseTree(models: Uint16Array, from: number, bits: number): number {
    let [index, value] = [1, 0]
    for (let bit = 0; bit < bits; bit++) {
      const one = this.#bit(models, from + index)
      index = (index << 1) | one
      value |= one << bit
    }
    return value
  }

  #length(coder: LengthCoder, position: number): number {
    if (this.#bit(coder.choice, 0) === 0) return 2 + this.#tree(coder.low, position << 3, 3)
    if (this.#bit(coder.choice, 1) === 0) return 10 + this.#tree(coder.middle, position << 3, 3)
    return 18 + this.#tree(coder.high, 0, 8)
  }

  #literal(models: Models): void {
    const { lc, lp } = this.#properties
    const before = this.#held === 0 ? 0 : this.#byteAt(0)
    const context = ((this.#total & ((1 << lp) - 1)) << lc) | (before >> (8 - lc))
    const from = 0x300 * context
    let index = 1
    if (this.#state >= 7) {
      let match = this.#byteAt(this.#distances[0] ?? 0)
      while (index < 0x100) {
        const expected = (match >> 7) & 1
        match <<= 1
        const one = this.#bit(models.literals, from + ((1 + expected) << 8) + index)
        index = (index << 1) | one
        if (one !== expected) break
      }
    }
    while (index < 0x100) index = (index << 1) | this.#bit(models.literals, from + index)
    this.#put(index & 0xff)
    this.#state = this.#state < 4 ? 0 : this.#state < 10 ? this.#state - 3 : this.#state - 6
  }

  #distance(models: Models, length: number): number {
    const slot = this.#tree(models.slots, Math.min(length - 2, 3) << 6, 6)
    if (slot < 4) return slot
    const bits = (slot >> 1) - 1
    const base = ((2 | (slot & 1)) << bits) >>> 0
    if (slot < 14) return base + this.#reverseTree(models.special, base - slot, bits)
    return base + this.#direct(bits - 4) * 16 + this.#reverseTree(models.align, 0, 4)
  }

  /** A match's length; its distance is the first of the distances then. 1 is a single byte. */
  #match(models: Models, position: number): number {
    const distances = this.#distances
    const { lengths, repeatLengths } = models
    const long = this.#state < 7
    if (this.#bit(models.repeat, this.#state) === 0) {
      distances.pop()
      const length = this.#length(lengths, position)
      distances.unshift(this.#distance(models, length))
      this.#state = long ? 7 : 10
      return length
    }
    if (this.#bit(models.repeat0, this.#state) === 0) {
      if (this.#bit(models.repeat0Long, (this.#state << 4) + position) === 0) {
        this.#state = long ? 9 : 11
        return 1
      }
    } else {
      const which =
        this.#bit(models.repeat1, this.#state) === 0 ? 1 : 2 + this.#bit(models.repeat2, this.#state)
      const [distance = 0] = distances.splice(which, 1)
      distances.unshift(distance)
    }
    this.#state = long ? 8 : 11
    return this.#length(repeatLengths, position)
  }

  #compressed(bytes: Uint8Array, from: number, packed: number, size: number): void {
    const models = this.#models
    if (models === undefined || packed < 5 || bytes[from] !== 0) throw damaged("a chunk begins wrongly")
    this.#bytes = bytes
    this.#at = from + 1
    this.#end = from + packed
    this.#range = 0xffffffff
    this.#code = 0
    for (let count = 0; count < 4; count++) this.#code = ((this.#code << 8) | (bytes[this.#at++] ?? 0)) >>> 0
    this.#out = new Uint8Array(size)
    this.#filled = 0
    const mask = (1 << this.#properties.pb) - 1
    while (this.#filled < size) {
      const position = this.#total & mask
      if (this.#bit(models.match, (this.#state << 4) + position) === 0) {
        this.#literal(models)
        continue
      }
      const length = this.#match(models, position)
      if (length > size - this.#filled) throw damaged("a match reaches beyond its chunk")
      const distance = this.#distances[0] ?? 0
      for (let count = 0; count < length; count++) this.#put(this.#byteAt(distance))
    }
    if (this.#at !== this.#end) throw damaged("a chunk is longer than it says")
  }
}
