// Builds netlink messages: a header, a fixed struct, and attributes that may nest. Knows no protocol.
import type { Operation } from "../kernel.ts"

/** Which namespace's descriptor the launcher writes into a message before it sends it. */
export type Descriptor = "inside-fd" | "host-fd"

/** One attribute: raw bytes, nested attributes (after an optional fixed struct), or a descriptor patched in later. */
export type Attribute =
  | { readonly type: number; readonly bytes: Uint8Array }
  | { readonly type: number; readonly struct?: Uint8Array; readonly nested: readonly Attribute[] }
  | { readonly type: number; readonly descriptor: Descriptor }

/** One message without its header's length and sequence number, which encoding fills in. */
export interface Message {
  readonly type: number
  readonly flags: number
  /** The protocol's fixed struct (ifinfomsg, nfgenmsg …). */
  readonly struct: Uint8Array
  readonly attributes: readonly Attribute[]
}

export const REQUEST = 0x1
export const ACK = 0x4
export const DUMP = 0x300
export const REPLACE = 0x100
export const EXCLUSIVE = 0x200
export const CREATE = 0x400
export const APPEND = 0x800

const HEADER = 16
const NESTED = 0x8000
const align = (length: number): number => (length + 3) & ~3

export const u8 = (type: number, value: number): Attribute => ({ type, bytes: Uint8Array.of(value) })
export const u16 = (type: number, value: number): Attribute => {
  const bytes = Buffer.alloc(2)
  bytes.writeUInt16LE(value)
  return { type, bytes }
}
export const u32 = (type: number, value: number): Attribute => {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(value >>> 0)
  return { type, bytes }
}
/** Network byte order, as all of nf_tables wants its numbers; negative values as two's complement. */
export const be32 = (type: number, value: number): Attribute => {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value >>> 0)
  return { type, bytes }
}
/** NUL-terminated text. */
export const text = (type: number, value: string): Attribute => ({ type, bytes: Buffer.from(`${value}\0`) })
export const bytes = (type: number, value: Uint8Array): Attribute => ({ type, bytes: value })
export const nest = (type: number, ...nested: readonly Attribute[]): Attribute => ({ type, nested })

const sizeOf = (attribute: Attribute): number => {
  if ("descriptor" in attribute) return 8
  if ("bytes" in attribute) return 4 + attribute.bytes.length
  return (
    4 +
    align(attribute.struct?.length ?? 0) +
    attribute.nested.reduce((sum, inner) => sum + align(sizeOf(inner)), 0)
  )
}

/** What encoding yields: the bytes of all messages, and where the launcher has to write descriptors. */
export interface Encoded {
  readonly bytes: Buffer
  readonly patches: readonly { readonly offset: number; readonly descriptor: Descriptor }[]
}

/** Encodes messages back to back, numbered from 1. */
export const encode = (messages: readonly Message[]): Encoded => {
  const sizes = messages.map(
    (message) =>
      HEADER +
      align(message.struct.length) +
      message.attributes.reduce((sum, attribute) => sum + align(sizeOf(attribute)), 0),
  )
  const out = Buffer.alloc(sizes.reduce((sum, size) => sum + size, 0))
  const patches: { offset: number; descriptor: Descriptor }[] = []
  let at = 0
  const write = (attribute: Attribute): void => {
    out.writeUInt16LE(sizeOf(attribute), at)
    out.writeUInt16LE("nested" in attribute ? attribute.type | NESTED : attribute.type, at + 2)
    at += 4
    if ("descriptor" in attribute) {
      patches.push({ offset: at, descriptor: attribute.descriptor })
      at += 4
    } else if ("bytes" in attribute) {
      out.set(attribute.bytes, at)
      at = align(at + attribute.bytes.length)
    } else {
      if (attribute.struct) {
        out.set(attribute.struct, at)
        at = align(at + attribute.struct.length)
      }
      for (const inner of attribute.nested) write(inner)
    }
  }
  messages.forEach((message, index) => {
    out.writeUInt32LE(sizes[index] ?? 0, at)
    out.writeUInt16LE(message.type, at + 4)
    out.writeUInt16LE(message.flags | REQUEST, at + 6)
    out.writeUInt32LE(index + 1, at + 8)
    at += HEADER
    out.set(message.struct, at)
    at = align(at + message.struct.length)
    for (const attribute of message.attributes) write(attribute)
  })
  return { bytes: out, patches }
}

/** The launcher's `netlink` operation for these messages, sent in the host's or the inside namespace. */
export const netlinkOperation = (
  where: "host" | "inside",
  protocol: "route" | "netfilter",
  messages: readonly Message[],
): Operation => {
  const encoded = encode(messages)
  return [
    "netlink",
    where,
    protocol,
    encoded.bytes.toString("hex"),
    ...encoded.patches.flatMap((patch) => [String(patch.offset), "4", patch.descriptor]),
  ]
}
