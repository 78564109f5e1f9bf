// Reads netlink replies: messages, their attributes, and the kernel's errors with their extended text.
import { failure } from "../../base/errors.ts"

const ERROR = 2
const DONE = 3
const HEADER = 16
const CAPPED = 0x100
const EXTENDED = 0x200

/** One decoded message: its type and everything after the header. */
export interface Reply {
  readonly type: number
  readonly body: Buffer
}

/** Attributes by type (the last one wins, as in the kernel). */
export type Attributes = ReadonlyMap<number, Buffer>

/** Splits a run of attributes; none when there is none. Malformed tails end the reading; the kernel never sends them. */
export const readAttributes = (bytes: Buffer | undefined): Attributes => {
  const found = new Map<number, Buffer>()
  if (!bytes) return found
  for (const [type, value] of readAttributeList(bytes)) found.set(type, value)
  return found
}

/** Attributes in order, for lists whose entries share a type. */
export const readAttributeList = (bytes: Buffer): [type: number, value: Buffer][] => {
  const found: [number, Buffer][] = []
  for (let at = 0; at + 4 <= bytes.length; ) {
    const length = bytes.readUInt16LE(at)
    if (length < 4 || at + length > bytes.length) break
    found.push([bytes.readUInt16LE(at + 2) & 0x3fff, bytes.subarray(at + 4, at + length)])
    at += (length + 3) & ~3
  }
  return found
}

/** NUL-terminated text of an attribute, "" when it is missing. */
export const readText = (value: Buffer | undefined): string => {
  if (!value) return ""
  const end = value.indexOf(0)
  return value.toString("utf8", 0, end < 0 ? value.length : end)
}

/** What an NLMSG_ERROR message says: errno (positive, 0 = acknowledged) and the kernel's own sentence if it gave one. */
const readError = (reply: Buffer, flags: number): { errno: number; message: string } => {
  const errno = -reply.readInt32LE(0)
  if ((flags & EXTENDED) === 0 || reply.length < 20) return { errno, message: "" }
  const echoed = reply.readUInt32LE(4)
  const start = 4 + (flags & CAPPED ? HEADER : (echoed + 3) & ~3)
  return { errno, message: readText(readAttributes(reply.subarray(start)).get(1)) }
}

/**
 * Splits replies into messages; acknowledgements and ends of dumps are left out.
 * Throws Failure "internal" with the kernel's text when one of them is an error.
 */
export const readReplies = (bytes: Buffer): Reply[] => {
  const replies: Reply[] = []
  for (let at = 0; at + HEADER <= bytes.length; ) {
    const length = bytes.readUInt32LE(at)
    if (length < HEADER || at + length > bytes.length) break
    const type = bytes.readUInt16LE(at + 4)
    const body = bytes.subarray(at + HEADER, at + length)
    if (type === ERROR && body.length >= 4) {
      const { errno, message } = readError(body, bytes.readUInt16LE(at + 6))
      if (errno !== 0)
        throw failure("internal", `The kernel refused a netlink request: ${message || `errno ${errno}`}`)
    } else if (type !== DONE) replies.push({ type, body })
    at += (length + 3) & ~3
  }
  return replies
}
