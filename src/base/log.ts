// Structured logging, one line per event on stderr: time, level, room, message, then key=value fields.
import { writeSync } from "node:fs"

export type LogLevel = "debug" | "info" | "warn" | "error" | "silent"
export type LogFields = Readonly<Record<string, string | number | boolean | bigint | undefined>>

const ranks: Readonly<Record<LogLevel, number>> = { debug: 0, info: 1, warn: 2, error: 3, silent: 4 }
let threshold = ranks.info

/** Lines below this level are dropped; "silent" drops all. Default: info. */
export const setLogLevel = (level: LogLevel): void => {
  threshold = ranks[level]
}

const quoted = (text: string): string => (/^[\w./:@+,-]+$/.test(text) ? text : JSON.stringify(text))

/** One log line without its newline; pure. Undefined fields are left out, control characters are escaped. */
export const formatLogLine = (
  time: Date,
  level: LogLevel,
  room: string,
  message: string,
  fields: LogFields,
): string => {
  let line = `${time.toISOString()} ${level} ${room} ${quoted(message)}`
  for (const [key, value] of Object.entries(fields)) {
    if (value !== undefined) line += ` ${key}=${quoted(String(value))}`
  }
  return line
}

export interface Log {
  debug(message: string, fields?: LogFields): void
  info(message: string, fields?: LogFields): void
  warn(message: string, fields?: LogFields): void
  error(message: string, fields?: LogFields): void
}

/** A log whose lines carry the room's name. */
export const createLog = (room: string): Log => {
  const write = (level: LogLevel, message: string, fields: LogFields = {}) => {
    if (ranks[level] < threshold) return
    try {
      writeSync(2, `${formatLogLine(new Date(), level, room, message, fields)}\n`)
    } catch {
      // A closed or full stderr must never stop the engine.
    }
  }
  return {
    debug: (message, fields) => write("debug", message, fields),
    info: (message, fields) => write("info", message, fields),
    warn: (message, fields) => write("warn", message, fields),
    error: (message, fields) => write("error", message, fields),
  }
}
