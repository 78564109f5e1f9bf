// Tar entries as raw blocks: what is not to be changed passes on byte for byte, attributes and odd names included.
import { byteReader } from "../../../base/byte-reader.ts"
import { failure } from "../../../base/errors.ts"

const block = 512

export interface RawEntry {
  /** Its blocks as they were read: extended headers, then the header. */
  readonly blocks: Uint8Array
  readonly header: Uint8Array
  /** Pax records by key; Latin-1 of the bytes, as all text here. */
  readonly records: ReadonlyMap<string, string>
  /** "0" file, "1" hard link, "2" symbolic link, "5" directory … */
  readonly kind: string
  readonly name: string
  readonly link: string
  readonly size: number
  /** Offset of the first body byte in the archive. */
  readonly offset: number
  readonly body: AsyncIterable<Uint8Array>
}

const latin1 = (bytes: Uint8Array): string => Buffer.from(bytes).toString("latin1")
const textOf = (field: Uint8Array): string => {
  const end = field.indexOf(0)
  return latin1(end < 0 ? field : field.subarray(0, end))
}
const gap = (size: number): number => (block - (size % block)) % block

const damaged = (why: string) => failure("invalid", `a layer's tar is damaged: ${why}`)

/** Octal, or big endian with the first bit set. */
const number = (field: Uint8Array): number => {
  if (((field[0] ?? 0) & 0x80) !== 0) {
    let value = (field[0] ?? 0) & 0x3f
    for (const byte of field.subarray(1)) value = value * 256 + byte
    return value
  }
  const digits = latin1(field)
    .replace(/[\0 ]+$/, "")
    .trim()
  if (!/^[0-7]*$/.test(digits)) throw damaged("a header holds a malformed number")
  return digits === "" ? 0 : Number.parseInt(digits, 8)
}

const recordsOf = (bytes: Uint8Array): Map<string, string> => {
  const records = new Map<string, string>()
  for (let at = 0; at < bytes.length && bytes[at] !== 0; ) {
    const space = bytes.indexOf(0x20, at)
    const length = Number(latin1(bytes.subarray(at, Math.max(space, at))))
    const record = latin1(bytes.subarray(space + 1, at + length - 1))
    const equals = record.indexOf("=")
    if (!Number.isSafeInteger(length) || length < 5 || at + length > bytes.length || equals < 1)
      throw damaged("a pax record is malformed")
    records.set(record.slice(0, equals), record.slice(equals + 1))
    at += length
  }
  return records
}

/** Bytes of extended headers that are accepted for one entry. */
const largestExtended = 16 << 20

/** Entries of a tar; a body that is not read when the next is asked for is skipped. Throws "invalid". */
export async function* readRawTar(source: AsyncIterable<Uint8Array>): AsyncGenerator<RawEntry> {
  const reader = byteReader(source)
  let offset = 0
  const take = async (length: number): Promise<Uint8Array> => {
    const bytes = await reader.take(length)
    if (bytes.length < length) throw damaged("it ends too early")
    offset += length
    return bytes
  }
  try {
    let before: Uint8Array[] = []
    let extended = 0
    let records = new Map<string, string>()
    for (;;) {
      const first = await reader.take(block)
      if (first.length === 0) return
      if (first.length < block) throw damaged("it ends too early")
      offset += block
      if (first.every((byte) => byte === 0)) return
      const header = Buffer.from(first)
      const kind = String.fromCharCode(header[156] || 0x30)
      const announced = number(header.subarray(124, 136))
      if (kind === "x" || kind === "g" || kind === "L" || kind === "K") {
        const length = announced + gap(announced)
        extended += block + length
        if (extended > largestExtended) throw damaged("its extended headers are too large")
        const body = Buffer.from(await take(length))
        before.push(header, body)
        const content = body.subarray(0, announced)
        if (kind === "x") records = new Map([...records, ...recordsOf(content)])
        if (kind === "L") records.set("path", textOf(content))
        if (kind === "K") records.set("linkpath", textOf(content))
        continue
      }
      const posix = latin1(header.subarray(257, 263)) === "ustar\0"
      const prefix = posix ? textOf(header.subarray(345, 500)) : ""
      const short = textOf(header.subarray(0, 100))
      const hasBody = !/[1-6]/.test(kind)
      const size = hasBody ? Number(records.get("size") ?? announced) : 0
      if (!Number.isSafeInteger(size) || size < 0) throw damaged("a size is malformed")
      let left = size
      const body = async function* (): AsyncGenerator<Uint8Array> {
        while (left > 0) {
          const chunk = await reader.some(Math.min(left, 1 << 20))
          if (chunk === undefined) throw damaged("it ends too early")
          left -= chunk.length
          offset += chunk.length
          yield chunk
        }
      }
      yield {
        blocks: Buffer.concat([...before, header]),
        ...{ header, records, kind, size, offset },
        name: records.get("path") ?? (prefix === "" ? short : `${prefix}/${short}`),
        link: records.get("linkpath") ?? textOf(header.subarray(157, 257)),
        body: body(),
      }
      for await (const _ of body());
      await take(gap(size))
      before = []
      extended = 0
      records = new Map()
    }
  } finally {
    await reader.close()
  }
}

const paxRecord = (key: string, value: string): string => {
  const bare = key.length + value.length + 3
  let length = bare + String(bare).length
  if (bare + String(length).length !== length) length = bare + String(length).length
  return `${length} ${key}=${value}\n`
}

const octal = (header: Buffer, value: number, at: number, length: number): void => {
  header.write(value.toString(8).padStart(length - 1, "0"), at, length - 1, "latin1")
  header[at + length - 1] = 0
}

const sealed = (header: Buffer): Buffer => {
  header.fill(0x20, 148, 156)
  const sum = header.reduce((total, byte) => total + byte, 0)
  header.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, 8, "latin1")
  return header
}

const largestTime = 0o77777777777

/** What becomes different; text is Latin-1 of the bytes, times are whole seconds. */
export interface Change {
  readonly name?: string
  readonly link?: string
  readonly kind?: string
  readonly time?: number
}

/** Blocks of a changed entry; its body stays as it is. */
export const changedBlocks = (entry: RawEntry, change: Change): Uint8Array => {
  const header = Buffer.from(entry.header)
  const records = new Map(entry.records)
  const name = change.name ?? entry.name
  const link = change.link ?? entry.link
  header.fill(0, 0, 100)
  header.fill(0, 157, 257)
  header.fill(0, 345, 500)
  header.write(name, 0, 100, "latin1")
  header.write(link, 157, 100, "latin1")
  header.write("ustar\x0000", 257, 8, "latin1")
  for (const [key, text] of [
    ["path", name],
    ["linkpath", link],
  ] as const) {
    if (text.length > 100) records.set(key, text)
    else records.delete(key)
  }
  if (change.kind !== undefined) header.write(change.kind, 156, 1, "latin1")
  if (change.time !== undefined) {
    for (const key of ["mtime", "atime", "ctime"]) records.delete(key)
    const fits = change.time >= 0 && change.time <= largestTime
    octal(header, fits ? change.time : 0, 136, 12)
    if (!fits) records.set("mtime", String(change.time))
  }
  sealed(header)
  if (records.size === 0) return header
  const pax = Buffer.from([...records].map(([key, value]) => paxRecord(key, value)).join(""), "latin1")
  const extended = Buffer.alloc(block)
  extended.write("PaxHeaders.0/entry", 0, 100, "latin1")
  octal(extended, 0o644, 100, 8)
  octal(extended, 0, 108, 8)
  octal(extended, 0, 116, 8)
  octal(extended, pax.length, 124, 12)
  octal(extended, 0, 136, 12)
  extended.write("x", 156, 1, "latin1")
  extended.write("ustar\x0000", 257, 8, "latin1")
  return Buffer.concat([sealed(extended), pax, Buffer.alloc(gap(pax.length)), header])
}

/** Header and body of an entry with what follows it. */
export async function* entryBytes(
  blocks: Uint8Array,
  size: number,
  body: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  yield blocks
  yield* body
  if (gap(size) > 0) yield new Uint8Array(gap(size))
}

/** What closes a tar. */
export const tarEnd = new Uint8Array(2 * block)

/** Path from the root without slashes at its ends: "" is the root. */
export const plainPath = (name: string): string =>
  name
    .split("/")
    .filter((part) => part !== "" && part !== ".")
    .join("/")
