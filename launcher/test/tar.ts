// Tar archives for the launcher's tests: written with every field under the test's control, and read back.

export interface TarEntry {
  readonly name: string
  /** ustar's type flag; "0" when absent. */
  readonly kind?: string
  readonly mode?: number
  readonly uid?: number
  readonly gid?: number
  /** Modification time in nanoseconds since 1970. */
  readonly mtime?: bigint
  readonly link?: string
  readonly body?: Uint8Array
  readonly device?: readonly [number, number]
  readonly xattrs?: Readonly<Record<string, string>>
  /** Further pax records; they win over what the fields above would give. */
  readonly pax?: Readonly<Record<string, string>>
}

const latin = (text: string) => Buffer.from(text, "latin1")

function octal(header: Buffer, at: number, size: number, value: number): void {
  header.write(value.toString(8).padStart(size - 1, "0"), at, "latin1")
}

/** One header block; size counts the body that follows. */
export function tarHeader(entry: TarEntry, size: number): Buffer {
  const header = Buffer.alloc(512)
  latin(entry.name).copy(header, 0, 0, 100)
  octal(header, 100, 8, entry.mode ?? 0o644)
  octal(header, 108, 8, Math.min(entry.uid ?? 0, 0o7777777))
  octal(header, 116, 8, Math.min(entry.gid ?? 0, 0o7777777))
  octal(header, 124, 12, size)
  octal(header, 136, 12, Math.max(0, Number((entry.mtime ?? 0n) / 1_000_000_000n)))
  header.write(entry.kind ?? "0", 156, "latin1")
  latin(entry.link ?? "").copy(header, 157, 0, 100)
  header.write("ustar\x0000", 257, "latin1")
  octal(header, 329, 8, entry.device?.[0] ?? 0)
  octal(header, 337, 8, entry.device?.[1] ?? 0)
  return sealHeader(header)
}

/** Sets the checksum of a header, in place. */
export function sealHeader(header: Buffer): Buffer {
  header.fill(" ", 148, 156)
  const sum = header.reduce((total, byte) => total + byte, 0)
  header.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1")
  return header
}

/** Keys and values are latin1: each character is one byte. */
function paxRecords(records: Readonly<Record<string, string>>): Buffer {
  const lines = Object.entries(records).map(([key, value]) => {
    const body = ` ${key}=${value}\n`
    let length = body.length + 1
    while (String(length).length + body.length !== length) length = String(length).length + body.length
    return `${length}${body}`
  })
  return latin(lines.join(""))
}

export const padded = (body: Uint8Array): Buffer =>
  Buffer.concat([body, Buffer.alloc((512 - (body.length % 512)) % 512)])

function recordsOf(entry: TarEntry): Record<string, string> {
  const records: Record<string, string> = {}
  const mtime = entry.mtime ?? 0n
  if (entry.name.length > 100) records.path = entry.name
  if ((entry.link ?? "").length > 100) records.linkpath = entry.link ?? ""
  if ((entry.uid ?? 0) > 0o7777777) records.uid = String(entry.uid)
  if ((entry.gid ?? 0) > 0o7777777) records.gid = String(entry.gid)
  if (mtime < 0n || mtime % 1_000_000_000n !== 0n) {
    const size = mtime < 0n ? -mtime : mtime
    const fraction = String(size % 1_000_000_000n).padStart(9, "0")
    records.mtime = `${mtime < 0n ? "-" : ""}${size / 1_000_000_000n}.${fraction}`
  }
  for (const [key, value] of Object.entries(entry.xattrs ?? {})) records[`SCHILY.xattr.${key}`] = value
  return { ...records, ...entry.pax }
}

/** One entry with the pax header that it needs. */
export function tarEntry(entry: TarEntry): Buffer {
  const records = paxRecords(recordsOf(entry))
  const body = entry.body ?? Buffer.alloc(0)
  const before = records.length
    ? [tarHeader({ name: "PaxHeaders/x", kind: "x" }, records.length), padded(records)]
    : []
  return Buffer.concat([...before, tarHeader(entry, body.length), padded(body)])
}

export const tarEnd = Buffer.alloc(1024)

/** A whole archive. */
export const tarOf = (...entries: readonly TarEntry[]): Buffer =>
  Buffer.concat([...entries.map(tarEntry), tarEnd])

const text = (bytes: Buffer): string => bytes.toString("latin1").replace(/\0.*$/s, "")
const number = (bytes: Buffer): number => Number.parseInt(text(bytes).trim() || "0", 8)

function readRecords(bytes: Buffer): Map<string, string> {
  const records = new Map<string, string>()
  for (let at = 0; at < bytes.length; ) {
    const space = bytes.indexOf(32, at)
    const length = Number(bytes.subarray(at, space).toString("latin1"))
    const line = bytes.subarray(space + 1, at + length - 1).toString("latin1")
    const equals = line.indexOf("=")
    records.set(line.slice(0, equals), line.slice(equals + 1))
    at += length
  }
  return records
}

function paxTime(value: string): bigint {
  const [, sign, seconds = "0", fraction = ""] = /^(-?)(\d+)\.?(\d*)$/.exec(value) ?? []
  const size = BigInt(seconds) * 1_000_000_000n + BigInt(fraction.padEnd(9, "0").slice(0, 9))
  return sign ? -size : size
}

function readEntry(header: Buffer, body: Buffer, records: ReadonlyMap<string, string>): TarEntry {
  const prefix = text(header.subarray(345, 500))
  const short = text(header.subarray(0, 100))
  const xattrs: Record<string, string> = {}
  for (const [key, value] of records) if (key.startsWith("SCHILY.xattr.")) xattrs[key.slice(13)] = value
  const time = records.get("mtime")
  return {
    name: records.get("path") ?? (prefix ? `${prefix}/${short}` : short),
    kind: header.toString("latin1", 156, 157),
    mode: number(header.subarray(100, 108)),
    uid: Number(records.get("uid") ?? number(header.subarray(108, 116))),
    gid: Number(records.get("gid") ?? number(header.subarray(116, 124))),
    mtime: time === undefined ? BigInt(number(header.subarray(136, 148))) * 1_000_000_000n : paxTime(time),
    link: records.get("linkpath") ?? text(header.subarray(157, 257)),
    body,
    device: [number(header.subarray(329, 337)), number(header.subarray(337, 345))],
    xattrs,
  }
}

/** All entries of a ustar or pax archive. Throws on a wrong checksum. */
export function readTar(archive: Buffer): TarEntry[] {
  const entries: TarEntry[] = []
  let records = new Map<string, string>()
  for (let at = 0; at + 512 <= archive.length; ) {
    const header = archive.subarray(at, at + 512)
    if (header.every((byte) => byte === 0)) return entries
    if (!sealHeader(Buffer.from(header)).equals(header)) throw new Error(`wrong checksum at ${at}`)
    const size = Number(records.get("size") ?? number(header.subarray(124, 136)))
    const body = archive.subarray(at + 512, at + 512 + size)
    at += 512 + Math.ceil(size / 512) * 512
    if (header[156] === 0x78) records = readRecords(body)
    else {
      entries.push(readEntry(header, body, records))
      records = new Map()
    }
  }
  throw new Error("the archive has no end")
}
