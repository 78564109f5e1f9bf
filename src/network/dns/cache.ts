// Answers of upstream servers, kept for as long as their records live; bounded, the longest unused go first.
import { ASKED, CODE, codeOf, HEADER, isTruncated, type Query, skipName, TYPE } from "./message.ts"

/** Most answers that are kept, and bytes of one. */
const MOST = 10_000
const LARGEST_KEPT = 8192
/** Seconds that anything is kept at most; failures to find a name much less. */
const LONGEST = 86_400
const LONGEST_NEGATIVE = 900

interface Kept {
  readonly answer: Buffer
  /** Offsets of the records' times to live. */
  readonly times: readonly number[]
  /** Milliseconds of a steady clock. */
  readonly since: number
  readonly until: number
}

/** What two queries must have in common to have the same answer. */
export const cacheKey = (servers: string, query: Query): string =>
  `${servers}|${query.bytes.readUInt16BE(2) & ASKED}|${query.edns ? (query.edns.dnssecOk ? 2 : 1) : 0}|${query.type}|${query.class}|${query.name}`

/** The records' times to live of an answer, and how long it may be kept; undefined when the packet is broken. */
export const readTimes = (bytes: Buffer): { offsets: number[]; seconds: number } | undefined => {
  let at = HEADER
  for (let count = bytes.readUInt16BE(4); count > 0; count--) {
    const end = skipName(bytes, at)
    if (end === undefined || end + 4 > bytes.length) return undefined
    at = end + 4
  }
  const sections = [bytes.readUInt16BE(6), bytes.readUInt16BE(8), bytes.readUInt16BE(10)]
  const offsets: number[] = []
  let seconds = LONGEST
  let denial = 0
  for (const [section, records] of sections.entries())
    for (let count = records; count > 0; count--) {
      const end = skipName(bytes, at)
      if (end === undefined || end + 10 > bytes.length) return undefined
      const type = bytes.readUInt16BE(end)
      const length = bytes.readUInt16BE(end + 8)
      const next = end + 10 + length
      if (next > bytes.length) return undefined
      if (type !== TYPE.opt) {
        const ttl = bytes.readInt32BE(end + 4)
        offsets.push(end + 4)
        seconds = Math.min(seconds, Math.max(ttl, 0))
        // The last field of SOA says how long its denials may be kept.
        if (section === 1 && type === TYPE.soa && length >= 20)
          denial = Math.min(LONGEST_NEGATIVE, bytes.readUInt32BE(next - 4))
      }
      at = next
    }
  const negative = codeOf(bytes) !== CODE.ok || sections[0] === 0
  return { offsets, seconds: negative ? Math.min(seconds, denial) : seconds }
}

export class AnswerCache {
  readonly #kept = new Map<string, Kept>()
  readonly #now: () => number

  constructor(now: () => number = () => performance.now()) {
    this.#now = now
  }

  get size(): number {
    return this.#kept.size
  }

  /** Keeps an answer if its code and records allow that. */
  put(key: string, answer: Buffer): void {
    const code = codeOf(answer)
    if ((code !== CODE.ok && code !== CODE.noSuchName) || isTruncated(answer)) return
    const times = answer.length > LARGEST_KEPT ? undefined : readTimes(answer)
    if (!times || times.seconds === 0) return
    const since = this.#now()
    this.#kept.delete(key)
    this.#kept.set(key, { answer, times: times.offsets, since, until: since + times.seconds * 1000 })
    for (const oldest of this.#kept.keys()) {
      if (this.#kept.size <= MOST) break
      this.#kept.delete(oldest)
    }
  }

  /** A copy with what is left of the times to live. */
  find(key: string): Buffer | undefined {
    const kept = this.#kept.get(key)
    if (!kept) return undefined
    const now = this.#now()
    this.#kept.delete(key)
    if (now >= kept.until) return undefined
    this.#kept.set(key, kept)
    const copy = Buffer.from(kept.answer)
    const age = Math.floor((now - kept.since) / 1000)
    if (age > 0)
      for (const offset of kept.times) copy.writeUInt32BE(Math.max(0, copy.readInt32BE(offset) - age), offset)
    return copy
  }

  clear(): void {
    this.#kept.clear()
  }
}
