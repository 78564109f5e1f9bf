// DNS messages: what a query asks, and answers built from its own question. Every read is bounded by the packet.
import { type DecodedPacket, decode, type OptAnswer } from "dns-packet"

export const HEADER = 12
export const CODE = { ok: 0, formatError: 1, serverFailure: 2, noSuchName: 3, notImplemented: 4 } as const
export const TYPE = { a: 1, soa: 6, ptr: 12, mx: 15, aaaa: 28, srv: 33, opt: 41, any: 255 } as const
export const CLASS_IN = 1
const FLAG = {
  response: 0x8000,
  authoritative: 0x0400,
  truncated: 0x0200,
  recursionAvailable: 0x0080,
} as const
/** Bits that an answer repeats: operation, recursion desired, checking disabled. */
const REPEATED = 0x7910
/** Bits of a query that its upstream answer depends on: recursion desired, authentic data, checking disabled. */
export const ASKED = 0x0130
/** What a resolver takes by UDP that says nothing of its own. */
const PLAIN_SIZE = 512
/** The most that is answered by UDP, whatever a client claims to take. */
const LARGEST_UDP = 4096
/** The most that travels over TCP. */
export const LARGEST = 65_535

/** One record of an answer; its owner is the question's name. */
export interface ResourceRecord {
  readonly type: number
  readonly ttl: number
  /** As it goes over the wire. */
  readonly data: Uint8Array
}

/** A query that is in order. */
export interface Query {
  readonly bytes: Buffer
  /** Lower case, no dot at the end; "" = the root. */
  readonly name: string
  readonly type: number
  readonly class: number
  /** Where the question ends. */
  readonly end: number
  readonly edns?: { readonly size: number; readonly dnssecOk: boolean }
  /** Bytes that the client takes. */
  readonly largest: number
}

/**
 * Reads a query. "drop" = not worth an answer (too short, an answer itself); a number = the code to answer with.
 * Never throws.
 */
export const readQuery = (bytes: Buffer, tcp: boolean): Query | "drop" | number => {
  if (bytes.length < HEADER || bytes.readUInt16BE(2) & FLAG.response) return "drop"
  if ((bytes.readUInt16BE(2) >> 11) & 15) return CODE.notImplemented
  // One question and at most EDNS and a signature after it: nothing else is decoded.
  const counts = [4, 6, 8, 10].map((at) => bytes.readUInt16BE(at))
  if (counts[0] !== 1 || counts[1] !== 0 || counts[2] !== 0 || (counts[3] ?? 0) > 2) return CODE.formatError
  const end = questionEnd(bytes)
  if (end === undefined) return CODE.formatError
  let packet: DecodedPacket
  try {
    packet = decode(bytes)
  } catch {
    return CODE.formatError
  }
  const [question] = packet.questions ?? []
  if (!question) return CODE.formatError
  const option = packet.additionals?.find((record): record is OptAnswer => record.type === "OPT")
  const edns = option && { size: option.udpPayloadSize, dnssecOk: option.flag_do }
  return {
    bytes,
    name: question.name === "." ? "" : question.name.toLowerCase(),
    type: bytes.readUInt16BE(end - 4),
    class: bytes.readUInt16BE(end - 2),
    end,
    ...(edns ? { edns } : {}),
    largest: tcp ? LARGEST : Math.min(Math.max(edns?.size ?? 0, PLAIN_SIZE), LARGEST_UDP),
  }
}

/** Where the first question of a packet ends; undefined when it is broken or compressed. */
const questionEnd = (bytes: Buffer): number | undefined => {
  const end = skipName(bytes, HEADER)
  return end === undefined || end + 4 > bytes.length || bytes[end - 1] !== 0 ? undefined : end + 4
}

/** Where the name at an offset ends in place, labels or a pointer; undefined when it leaves the packet. */
export const skipName = (bytes: Buffer, offset: number): number | undefined => {
  for (let at = offset; at < bytes.length && at - offset < 256; ) {
    const length = bytes[at] ?? 0
    if (length === 0) return at + 1
    if (length >= 0xc0) return at + 2 <= bytes.length ? at + 2 : undefined
    if (length >= 0x40) return undefined
    at += length + 1
  }
  return undefined
}

/** An answer with these records, or with as many as the client takes and the mark that there are more. */
export const writeAnswer = (query: Query, code: number, records: readonly ResourceRecord[] = []): Buffer => {
  const options = query.edns ? 11 : 0
  const room = query.largest - query.end - options
  let size = 0
  let fitting = 0
  for (const record of records) {
    if (size + HEADER + record.data.length > room) break
    size += HEADER + record.data.length
    fitting++
  }
  const out = Buffer.alloc(query.end + size + options)
  query.bytes.copy(out, 0, 0, query.end)
  const flags =
    FLAG.response | FLAG.recursionAvailable | (fitting < records.length ? FLAG.truncated : 0) | code
  out.writeUInt16BE((query.bytes.readUInt16BE(2) & REPEATED) | flags, 2)
  out.writeUInt16BE(fitting, 6)
  out.writeUInt16BE(0, 8)
  out.writeUInt16BE(options > 0 ? 1 : 0, 10)
  let at = query.end
  for (const { type, ttl, data } of records.slice(0, fitting)) {
    // The owner is a pointer to the question's name.
    out.writeUInt16BE(0xc000 | HEADER, at)
    out.writeUInt16BE(type, at + 2)
    out.writeUInt16BE(CLASS_IN, at + 4)
    out.writeUInt32BE(ttl, at + 6)
    out.writeUInt16BE(data.length, at + 10)
    out.set(data, at + HEADER)
    at += HEADER + data.length
  }
  if (query.edns) {
    out.writeUInt16BE(TYPE.opt, at + 1)
    out.writeUInt16BE(LARGEST_UDP, at + 3)
    out.writeUInt16BE(query.edns.dnssecOk ? 0x8000 : 0, at + 7)
  }
  return out
}

/** An answer to what could not be read: its header with a code, no question. */
export const refuse = (bytes: Buffer, code: number): Buffer => {
  const out = Buffer.alloc(HEADER)
  bytes.copy(out, 0, 0, 4)
  out.writeUInt16BE((bytes.readUInt16BE(2) & REPEATED) | FLAG.response | FLAG.recursionAvailable | code, 2)
  return out
}

export const isTruncated = (answer: Buffer): boolean => (answer.readUInt16BE(2) & FLAG.truncated) !== 0
export const codeOf = (answer: Buffer): number => answer.readUInt16BE(2) & 15
export const isResponse = (bytes: Buffer): boolean =>
  bytes.length >= HEADER && (bytes.readUInt16BE(2) & FLAG.response) !== 0

/** An answer without its records, marked as truncated: the client comes back by TCP. */
export const truncate = (answer: Buffer, query: Query): Buffer => {
  const out = writeAnswer(query, codeOf(answer))
  out.writeUInt16BE(out.readUInt16BE(2) | FLAG.truncated, 2)
  return out
}
