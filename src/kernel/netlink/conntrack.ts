// Connection tracking: listing flows and making the kernel forget some of them.
import { FAMILY_IPV6, familyOf, ipBytes, ipText } from "./address.ts"
import type { Attributes } from "./decode.ts"
import { readAttributes, readReplies } from "./decode.ts"
import type { Attribute, Message } from "./message.ts"
import { ACK, bytes, DUMP, nest, u8 } from "./message.ts"

const SUBSYSTEM = 1
const NEW = 0
const GET = 1
const DELETE = 2
const ORIGINAL = 1
const ADDRESSES = 1
const PROTOCOL = 2

/** A flow as its first packet had it, before any translation. */
export interface Flow {
  readonly protocol: number
  readonly source: string
  readonly sourcePort: number
  readonly destination: string
  readonly destinationPort: number
}

const port = (type: number, value: number) => bytes(type, Uint8Array.of(value >> 8, value & 0xff))
const struct = (family: number): Uint8Array => Uint8Array.of(family, 0, 0, 0)

/** Asks for every flow of a family. */
export const listFlows = (family: number): Message => ({
  type: (SUBSYSTEM << 8) | GET,
  flags: DUMP,
  struct: struct(family),
  attributes: [],
})

/** Makes the kernel forget one flow: its next packet is looked at anew. Fails with ENOENT. */
export const deleteFlow = (flow: Flow): Message => ({
  type: (SUBSYSTEM << 8) | DELETE,
  flags: ACK,
  struct: struct(familyOf(flow.source)),
  attributes: [
    nest(
      ORIGINAL,
      addresses(flow),
      nest(PROTOCOL, u8(1, flow.protocol), port(2, flow.sourcePort), port(3, flow.destinationPort)),
    ),
  ],
})

const isIpv6 = (flow: Flow): boolean => familyOf(flow.source) === FAMILY_IPV6
/** IPv4 addresses are attributes 1 and 2, IPv6 ones 3 and 4. */
const addresses = (flow: Flow): Attribute =>
  nest(
    ADDRESSES,
    bytes(isIpv6(flow) ? 3 : 1, ipBytes(flow.source)),
    bytes(isIpv6(flow) ? 4 : 2, ipBytes(flow.destination)),
  )

const nested = (attributes: Attributes, type: number): Attributes =>
  readAttributes(attributes.get(type) ?? Buffer.alloc(0))

/** Flows with ports among replies. */
export const readFlows = (replies: Buffer): Flow[] =>
  readReplies(replies)
    .filter(({ type }) => type === ((SUBSYSTEM << 8) | NEW))
    .flatMap(({ body }) => {
      const original = nested(readAttributes(body.subarray(4)), ORIGINAL)
      const addresses = nested(original, ADDRESSES)
      const protocol = nested(original, PROTOCOL)
      const [source, destination] = [
        addresses.get(1) ?? addresses.get(3),
        addresses.get(2) ?? addresses.get(4),
      ]
      const [sourcePort, destinationPort] = [protocol.get(2), protocol.get(3)]
      if (!source || !destination || !sourcePort || !destinationPort) return []
      return [
        {
          protocol: protocol.get(1)?.[0] ?? 0,
          source: ipText(source),
          sourcePort: sourcePort.readUInt16BE(),
          destination: ipText(destination),
          destinationPort: destinationPort.readUInt16BE(),
        },
      ]
    })
