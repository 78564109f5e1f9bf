// Docker's multiplexed stream: an 8-byte header (1 or 2, three zeros, length) before each piece of output.
import type { LogEntry } from "../../logs/logs.ts"

export const RAW_STREAM = "application/vnd.docker.raw-stream"
const MULTIPLEXED_STREAM = "application/vnd.docker.multiplexed-stream"

/** What a stream of this kind is called; clients before 1.42 know only one name. */
export const streamType = (tty: boolean, minor: number): string =>
  !tty && minor >= 42 ? MULTIPLEXED_STREAM : RAW_STREAM

/** One frame: header and payload in one buffer. */
export function frame(stream: LogEntry["stream"], payload: Uint8Array): Buffer {
  const bytes = Buffer.allocUnsafe(8 + payload.length)
  bytes.writeUInt32BE(stream === "stdout" ? 0x0100_0000 : 0x0200_0000, 0)
  bytes.writeUInt32BE(payload.length, 4)
  bytes.set(payload, 8)
  return bytes
}

const headerBytes = 8
const sharedFrames = new WeakMap<readonly LogEntry[], Buffer>()

/** All lines of `entries` as frames (bare ones for a terminal) in one buffer, made once for all who read the same log. */
export function frames(entries: readonly LogEntry[], tty: boolean): Buffer {
  const made = sharedFrames.get(entries)
  if (made !== undefined) return made
  const header = tty ? 0 : headerBytes
  const bytes = Buffer.allocUnsafeSlow(entries.reduce((sum, { line }) => sum + header + line.length, 0))
  let at = 0
  for (const { stream, line } of entries) {
    if (!tty) {
      bytes.writeUInt32BE(stream === "stdout" ? 0x0100_0000 : 0x0200_0000, at)
      bytes.writeUInt32BE(line.length, at + 4)
    }
    bytes.set(line, at + header)
    at += header + line.length
  }
  sharedFrames.set(entries, bytes)
  return bytes
}
