// Decompresses xz: streams of blocks of LZMA2 chunks, each block with its checksum, then an index that nobody needs here.
import { createHash } from "node:crypto"
import { crc32 } from "node:zlib"
import { type AheadReader, aheadReader } from "./ahead-reader.ts"
import { InflateError } from "./inflate.ts"
import { Lzma2 } from "./lzma2.ts"

const damaged = (what: string) => new InflateError(what)
/** A chunk's header and its 64 KiB. */
const longestChunk = 6 + 65_536
const longestHeader = 1024
/** What the tool's strongest preset asks for, four times. */
const largestDictionary = 256 << 20

/** Tables of a reflected CRC, high and low halves of 64 bits. */
const tables = (() => {
  const [high, low] = [new Uint32Array(256), new Uint32Array(256)]
  for (let index = 0; index < 256; index++) {
    let value = BigInt(index)
    for (let bit = 0; bit < 8; bit++)
      value = (value & 1n) === 1n ? (value >> 1n) ^ 0xc96c5795d7870f42n : value >> 1n
    high[index] = Number(value >> 32n)
    low[index] = Number(value & 0xffffffffn)
  }
  return { high, low }
})()

/** What the end of a block is compared with. */
interface Check {
  readonly length: number
  add(bytes: Uint8Array): void
  /** As it lies in the stream; undefined when it is of no known kind. */
  end(): Buffer | undefined
}

const crc32Check = (): Check => {
  let value = 0
  return {
    length: 4,
    add(bytes) {
      value = crc32(bytes, value)
    },
    end() {
      const bytes = Buffer.alloc(4)
      bytes.writeUInt32LE(value)
      return bytes
    },
  }
}

const crc64Check = (): Check => {
  let [high, low] = [-1, -1]
  return {
    length: 8,
    add(bytes) {
      for (const byte of bytes) {
        const index = (low ^ byte) & 0xff
        low = ((low >>> 8) | (high << 24)) ^ (tables.low[index] ?? 0)
        high = (high >>> 8) ^ (tables.high[index] ?? 0)
      }
    },
    end() {
      const bytes = Buffer.alloc(8)
      bytes.writeUInt32LE(~low >>> 0)
      bytes.writeUInt32LE(~high >>> 0, 4)
      return bytes
    },
  }
}

const sha256Check = (): Check => {
  const hash = createHash("sha256")
  return { length: 32, add: (bytes) => hash.update(bytes), end: () => hash.digest() }
}

const lengths = [0, 4, 4, 4, 8, 8, 8, 16, 16, 16, 32, 32, 32, 64, 64, 64]

const checkOf = (kind: number): Check => {
  if (kind === 1) return crc32Check()
  if (kind === 4) return crc64Check()
  if (kind === 10) return sha256Check()
  return { length: lengths[kind] ?? 0, add() {}, end: () => undefined }
}

const crc32Of = (bytes: Uint8Array): number => crc32(bytes)

/** A number in pieces of seven bits; `at` moves on. */
const numberAt = (bytes: Uint8Array, place: { at: number }): number => {
  let value = 0
  for (let count = 0; count < 9; count++) {
    const byte = bytes[place.at++]
    if (byte === undefined) throw damaged("it ends in the middle of a number")
    value += (byte & 0x7f) * 2 ** (7 * count)
    if ((byte & 0x80) === 0) return value
  }
  throw damaged("a number is too large")
}

/** Bytes of the dictionary that the block's header asks for. */
const dictionaryOf = (header: Uint8Array): number => {
  if (crc32Of(header.subarray(0, -4)) !== Buffer.from(header.subarray(-4)).readUInt32LE())
    throw damaged("the checksum of a block's header is wrong")
  const flags = header[1] ?? 0
  const place = { at: 2 }
  if ((flags & 0x40) !== 0) numberAt(header, place)
  if ((flags & 0x80) !== 0) numberAt(header, place)
  if ((flags & 3) !== 0 || numberAt(header, place) !== 0x21)
    throw damaged("it uses a filter other than LZMA2, which is not supported: pack it again without")
  if (numberAt(header, place) !== 1) throw damaged("a block's header is malformed")
  const bits = header[place.at] ?? 255
  if (bits > 40) throw damaged("a block's header is malformed")
  const bytes = bits === 40 ? 0xffffffff : (2 | (bits & 1)) * 2 ** (Math.floor(bits / 2) + 11)
  if (bytes > largestDictionary)
    throw damaged(`it needs a dictionary of ${bytes} bytes, more than is allowed`)
  return bytes
}

async function* blockOf(reader: AheadReader, kind: number): AsyncGenerator<Uint8Array> {
  const length = ((reader.bytes[reader.at] ?? 0) + 1) * 4
  const header = reader.bytes.subarray(reader.at, reader.at + length)
  if (header.length < length) throw damaged("it ends in the middle of a block's header")
  const decoder = new Lzma2(dictionaryOf(header))
  reader.at += length
  const check = checkOf(kind)
  let packed = 0
  for (;;) {
    await reader.fill(longestChunk)
    const chunk = decoder.chunk(reader.bytes, reader.at)
    packed += chunk === undefined ? 1 : chunk.next - reader.at
    reader.at = chunk?.next ?? reader.at + 1
    if (chunk === undefined) break
    check.add(chunk.out)
    yield chunk.out
  }
  await reader.fill(3 + check.length)
  reader.at += -packed & 3
  const told = reader.bytes.subarray(reader.at, reader.at + check.length)
  if (told.length < check.length) throw damaged("it ends before its checksum")
  if (check.end()?.equals(told) === false) throw damaged("the checksum of a block is wrong")
  reader.at += check.length
}

/** Passes the index by, and looks at the footer. */
const endOf = async (reader: AheadReader): Promise<void> => {
  reader.at++
  let passed = 1
  const number = async (): Promise<number> => {
    await reader.fill(9)
    const before = reader.at
    const value = numberAt(reader.bytes, reader)
    passed += reader.at - before
    return value
  }
  for (let left = 2 * (await number()); left > 0; left--) await number()
  await reader.fill(3 + 4 + 12)
  reader.at += (-passed & 3) + 4
  const footer = reader.bytes.subarray(reader.at, reader.at + 12)
  if (footer.length < 12 || footer[10] !== 0x59 || footer[11] !== 0x5a) throw damaged("its end is missing")
  reader.at += 12
}

/** The bytes of an xz file: one stream, or several with zeros between. Throws InflateError for damaged ones. */
export async function* unxz(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const reader = aheadReader(source)
  try {
    for (let first = true; ; first = false) {
      await reader.fill(longestHeader)
      while (!first && reader.at < reader.bytes.length && reader.bytes[reader.at] === 0) {
        reader.at++
        if (reader.at === reader.bytes.length) await reader.fill(longestHeader)
      }
      if (!first && reader.at === reader.bytes.length) return
      const header = Buffer.from(reader.bytes.subarray(reader.at, reader.at + 12))
      if (header.length < 12 || header.toString("latin1", 0, 6) !== "\xfd7zXZ\0")
        throw damaged("its header is wrong")
      if (crc32Of(header.subarray(6, 8)) !== header.readUInt32LE(8)) throw damaged("its header is wrong")
      reader.at += 12
      for (;;) {
        await reader.fill(longestHeader)
        if (reader.at >= reader.bytes.length) throw damaged("its end is missing")
        if (reader.bytes[reader.at] === 0) break
        yield* blockOf(reader, (header[7] ?? 0) & 15)
      }
      await endOf(reader)
    }
  } finally {
    await reader.close()
  }
}
