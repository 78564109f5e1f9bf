// One line of a json-file log: {"log":"…","stream":"stdout","time":"…"}.
import type { LogEntry } from "./logs.ts"

/** RFC 3339 with up to nine digits of fraction → unix nanoseconds; undefined when it is no such time. */
export const parseTime = (text: string): bigint | undefined => {
  const match = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)$/.exec(text)
  if (match === null) return undefined
  const seconds = Date.parse(`${match[1]}${match[3]}`)
  if (Number.isNaN(seconds)) return undefined
  return BigInt(seconds) * 1_000_000n + BigInt((match[2] ?? "").padEnd(9, "0"))
}

let lastText = ""
let lastTime: bigint | undefined

/** The monitor gives all lines that it read at once the same time: the one before is asked first. */
const timeOf = (text: string): bigint | undefined => {
  if (text !== lastText) {
    lastTime = parseTime(text)
    lastText = text
  }
  return lastTime
}

/** The entry of a whole line; undefined when it is damaged (a torn write). */
export const parseLine = (line: string): LogEntry | undefined => {
  let fields: unknown
  try {
    fields = JSON.parse(line)
  } catch {
    return undefined
  }
  if (typeof fields !== "object" || fields === null) return undefined
  const { log, stream, time } = fields as Readonly<Record<string, unknown>>
  if (typeof log !== "string" || typeof time !== "string" || (stream !== "stdout" && stream !== "stderr")) {
    return undefined
  }
  const timeNano = timeOf(time)
  return timeNano === undefined ? undefined : { stream, time, timeNano, line: Buffer.from(log) }
}
