// Decompresses bzip2: blocks of Huffman codes over a move-to-front of a Burrows-Wheeler transform, each with its checksum.
import { aheadReader } from "./ahead-reader.ts"
import { InflateError } from "./inflate.ts"

/** More than the longest block takes: 900,000 symbols of 20 bits, and its tables. */
const longestBlock = 2_500_000
const longestCode = 20

const checksums = (() => {
  const table = new Uint32Array(256)
  for (let index = 0; index < 256; index++) {
    let value = index << 24
    for (let bit = 0; bit < 8; bit++) value = value < 0 ? (value << 1) ^ 0x04c11db7 : value << 1
    table[index] = value
  }
  return table
})()

const damaged = (what: string) => new InflateError(what)

class Bits {
  #bytes: Uint8Array
  #at: number
  #held = 0
  #count = 0

  constructor(bytes: Uint8Array, at: number) {
    this.#bytes = bytes
    this.#at = at
  }

  /** At most 24 bits. */
  take(count: number): number {
    while (this.#count < count) {
      if (this.#at >= this.#bytes.length) throw damaged("it ends in the middle of a block")
      this.#held = ((this.#held << 8) | (this.#bytes[this.#at++] ?? 0)) >>> 0
      this.#count += 8
    }
    this.#count -= count
    const value = (this.#held >>> this.#count) & ((1 << count) - 1)
    this.#held &= (1 << this.#count) - 1
    return value
  }

  /** First byte that was not begun. */
  get end(): number {
    return this.#at
  }
  /** Bits left of the last byte. */
  get left(): number {
    return this.#count
  }
}

interface Code {
  /** Per length: highest code, and what to subtract from a code for its place among the symbols. */
  readonly limit: Int32Array
  readonly base: Int32Array
  readonly symbols: Uint16Array
  readonly shortest: number
}

const codeOf = (lengths: Uint8Array): Code => {
  const limit = new Int32Array(longestCode + 2).fill(-1)
  const base = new Int32Array(longestCode + 2)
  const symbols = new Uint16Array(lengths.length)
  let [code, place, shortest] = [0, 0, longestCode]
  for (let length = 1; length <= longestCode; length++) {
    base[length] = code - place
    for (const [symbol, one] of lengths.entries()) {
      if (one !== length) continue
      if (length < shortest) shortest = length
      symbols[place++] = symbol
      code++
    }
    limit[length] = code - 1
    code <<= 1
  }
  return { limit, base, symbols, shortest }
}

const symbolOf = (bits: Bits, code: Code): number => {
  let length = code.shortest
  let value = bits.take(length)
  while (value > (code.limit[length] ?? -1)) {
    if (++length > longestCode) throw damaged("a code is none of its table")
    value = (value << 1) | bits.take(1)
  }
  const symbol = code.symbols[value - (code.base[length] ?? 0)]
  if (symbol === undefined) throw damaged("a code is none of its table")
  return symbol
}

const readUsed = (bits: Bits): number[] => {
  const used: number[] = []
  const groups = bits.take(16)
  for (let group = 0; group < 16; group++) {
    if (((groups >> (15 - group)) & 1) === 0) continue
    const members = bits.take(16)
    for (let member = 0; member < 16; member++)
      if (((members >> (15 - member)) & 1) === 1) used.push(16 * group + member)
  }
  if (used.length === 0) throw damaged("a block uses no byte at all")
  return used
}

const readSelectors = (bits: Bits, tables: number): Uint8Array => {
  const selectors = new Uint8Array(bits.take(15))
  const recent = Array.from({ length: tables }, (_, index) => index)
  for (let index = 0; index < selectors.length; index++) {
    let place = 0
    while (bits.take(1) === 1) if (++place >= tables) throw damaged("a selector names no table")
    const [chosen = 0] = recent.splice(place, 1)
    recent.unshift(chosen)
    selectors[index] = chosen
  }
  if (selectors.length === 0) throw damaged("a block has no selectors")
  return selectors
}

const readLengths = (bits: Bits, count: number): Uint8Array => {
  const lengths = new Uint8Array(count)
  let length = bits.take(5)
  for (let symbol = 0; symbol < count; symbol++) {
    while (bits.take(1) === 1) length += bits.take(1) === 1 ? -1 : 1
    if (length < 1 || length > longestCode) throw damaged("the length of a code is out of range")
    lengths[symbol] = length
  }
  return lengths
}

/** The block's bytes before the transform is undone. */
const readSymbols = (bits: Bits, room: number): Uint32Array => {
  const used = readUsed(bits)
  const tables = bits.take(3)
  if (tables < 2 || tables > 6) throw damaged("a block has too few or too many tables")
  const selectors = readSelectors(bits, tables)
  const last = used.length + 1
  const codes = Array.from({ length: tables }, () => codeOf(readLengths(bits, last + 1)))
  const found = new Uint32Array(room)
  let [filled, group, inGroup, run, weight] = [0, 0, 0, 0, 1]
  let code = codes[selectors[0] ?? 0]
  const flush = (): void => {
    if (run > room - filled) throw damaged("a block is longer than it may be")
    found.fill(used[0] ?? 0, filled, filled + run)
    filled += run
    run = 0
    weight = 1
  }
  for (;;) {
    if (inGroup++ === 50) {
      if (++group >= selectors.length) throw damaged("a block has too few selectors")
      code = codes[selectors[group] ?? 0]
      inGroup = 1
    }
    if (code === undefined) throw damaged("a selector names no table")
    const symbol = symbolOf(bits, code)
    if (symbol <= 1) {
      run += weight << symbol
      weight <<= 1
      if (run > room) throw damaged("a block is longer than it may be")
      continue
    }
    if (run > 0) flush()
    if (symbol === last) break
    const [byte = 0] = used.splice(symbol - 1, 1)
    used.unshift(byte)
    if (filled === room) throw damaged("a block is longer than it may be")
    found[filled++] = byte
    weight = 1
  }
  return found.subarray(0, filled)
}

/** Undoes the transform: each entry keeps its byte in its low bits and the next entry above them. */
const undo = (block: Uint32Array, origin: number): void => {
  if (origin >= block.length) throw damaged("a block begins outside of itself")
  const starts = new Uint32Array(256)
  for (const byte of block) starts[byte] = (starts[byte] ?? 0) + 1
  for (let byte = 0, sum = 0; byte < 256; byte++) {
    const count = starts[byte] ?? 0
    starts[byte] = sum
    sum += count
  }
  for (let index = 0; index < block.length; index++) {
    const byte = (block[index] ?? 0) & 0xff
    const place = starts[byte] ?? 0
    starts[byte] = place + 1
    block[place] = ((block[place] ?? 0) | (index << 8)) >>> 0
  }
}

/** The bytes of a block: four equal ones are followed by the number of further ones. */
const expand = (block: Uint32Array, origin: number, expected: number): Buffer => {
  undo(block, origin)
  let out = Buffer.allocUnsafe(block.length * 2 + 512)
  let [filled, same, before, checksum] = [0, 0, -1, -1]
  let at = (block[origin] ?? 0) >>> 8
  for (let index = 0; index < block.length; index++) {
    const entry = block[at] ?? 0
    const byte = entry & 0xff
    at = entry >>> 8
    let count = 1
    let value = byte
    if (same === 4) {
      count = byte
      value = before
      same = 0
      before = -1
    } else {
      same = byte === before ? same + 1 : 1
      before = byte
    }
    if (filled + count > out.length) out = Buffer.concat([out, Buffer.allocUnsafe(out.length)])
    for (let one = 0; one < count; one++) {
      out[filled++] = value
      checksum = (checksum << 8) ^ (checksums[((checksum >>> 24) ^ value) & 0xff] ?? 0)
    }
  }
  if (~checksum >>> 0 !== expected) throw damaged("the checksum of a block is wrong")
  return out.subarray(0, filled)
}

const wide = (bits: Bits): number => bits.take(16) * 65_536 + bits.take(16)

/** The bytes of a bzip2 stream, or of several one after the other. Throws InflateError for damaged ones. */
export async function* unbzip2(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const reader = aheadReader(source)
  try {
    for (let first = true; ; first = false) {
      await reader.fill(4)
      const { bytes } = reader
      if (!first && bytes.length === reader.at) return
      const level = (bytes[reader.at + 3] ?? 0) - 48
      const magic = Buffer.from(bytes.subarray(reader.at, reader.at + 3)).toString("latin1")
      if (magic !== "BZh" || level < 1 || level > 9) throw damaged("its header is wrong")
      reader.at += 4
      yield* blocksOf(reader, level * 100_000)
    }
  } finally {
    await reader.close()
  }
}

/** Blocks begin anywhere in a byte: what is left of the last one stays to be read again. */
async function* blocksOf(reader: ReturnType<typeof aheadReader>, room: number): AsyncGenerator<Uint8Array> {
  let [used, combined] = [0, 0]
  for (;;) {
    await reader.fill(longestBlock)
    const bits = new Bits(reader.bytes, reader.at)
    if (used > 0) bits.take(used)
    const magic = [bits.take(24), bits.take(24)]
    const expected = wide(bits)
    const isEnd = magic[0] === 0x177245 && magic[1] === 0x385090
    if (isEnd) {
      if (combined !== expected) throw damaged("the checksum of the whole is wrong")
      reader.at = bits.end
      return
    }
    if (magic[0] !== 0x314159 || magic[1] !== 0x265359) throw damaged("a block's header is wrong")
    if (bits.take(1) === 1) throw damaged("it is of a form that is no longer made")
    const origin = bits.take(24)
    const block = readSymbols(bits, room)
    const bytes = expand(block, origin, expected)
    combined = (((combined << 1) | (combined >>> 31)) ^ expected) >>> 0
    reader.at = bits.left > 0 ? bits.end - 1 : bits.end
    used = bits.left > 0 ? 8 - bits.left : 0
    yield bytes
  }
}
