// rtnetlink addresses and routes: encoders and decoders.
import { FAMILY_IPV4, familyOf, ipBytes, ipText } from "./address.ts"
import { readAttributes, readReplies } from "./decode.ts"
import type { Message } from "./message.ts"
import { ACK, bytes, CREATE, DUMP, EXCLUSIVE, REPLACE, u32 } from "./message.ts"

const NEW_ADDRESS = 20
const DELETE_ADDRESS = 21
const GET_ADDRESS = 22
const NEW_ROUTE = 24
const GET_ROUTE = 26

const IFA_ADDRESS = 1
const IFA_LOCAL = 2
const IFA_BROADCAST = 4
/** No search for others that have the address: it is ours to give. */
const IFA_F_NODAD = 2
const RTA_DESTINATION = 1
const RTA_OUTPUT = 4
const RTA_GATEWAY = 5
const RTA_PRIORITY = 6
const RTA_TABLE = 15

const TABLE_MAIN = 254
const TABLE_LOCAL = 255
const PROTOCOL_BOOT = 3
const SCOPE_LINK = 253
const TYPE_UNICAST = 1
const TYPE_LOCAL = 2

/** An address on a link. */
export interface LinkAddress {
  readonly link: number
  readonly address: string
  readonly prefixLength: number
}

const addressMessage = (
  type: number,
  flags: number,
  { link, address, prefixLength }: LinkAddress,
): Message => {
  const family = familyOf(address)
  const struct = Buffer.alloc(8)
  // The kernel keeps fe80::/10 to the link.
  const scope = /^fe[89ab]/i.test(address) ? SCOPE_LINK : 0
  struct.set([family, prefixLength, family === FAMILY_IPV4 ? 0 : IFA_F_NODAD, scope])
  struct.writeUInt32LE(link, 4)
  const raw = ipBytes(address)
  const attributes = [bytes(IFA_LOCAL, raw), bytes(IFA_ADDRESS, raw)]
  if (family === FAMILY_IPV4 && prefixLength < 31) {
    const host = 0xffffffff >>> prefixLength
    const broadcast = Buffer.alloc(4)
    broadcast.writeUInt32BE((raw.readUInt32BE() | host) >>> 0)
    attributes.push(bytes(IFA_BROADCAST, broadcast))
  }
  return { type, flags, struct, attributes }
}

/** Gives a link an address, with its broadcast address for IPv4. Fails with EEXIST. */
export const addAddress = (address: LinkAddress): Message =>
  addressMessage(NEW_ADDRESS, ACK | CREATE | EXCLUSIVE, address)
export const deleteAddress = (address: LinkAddress): Message => addressMessage(DELETE_ADDRESS, ACK, address)

/** Asks for every address of a family (2 = IPv4, 10 = IPv6). */
export const listAddresses = (family: number): Message => ({
  type: GET_ADDRESS,
  flags: DUMP,
  struct: Uint8Array.of(family, 0, 0, 0, 0, 0, 0, 0),
  attributes: [],
})

/** Addresses among replies. */
export const readAddresses = (replies: Buffer): LinkAddress[] =>
  readReplies(replies)
    .filter((reply) => reply.type === NEW_ADDRESS)
    .map(({ body }) => {
      const attributes = readAttributes(body.subarray(8))
      const raw = attributes.get(IFA_LOCAL) ?? attributes.get(IFA_ADDRESS) ?? Buffer.alloc(4)
      return { link: body.readUInt32LE(4), address: ipText(raw), prefixLength: body[1] ?? 0 }
    })

/** A route of the main table. No destination = default route; no gateway = directly on the link. */
export interface Route {
  /** 2 (IPv4) or 10 (IPv6); needed where no address tells it. */
  readonly family?: number
  readonly destination?: string
  readonly prefixLength: number
  readonly gateway?: string
  readonly link: number
}

const routeMessage = (type: number, flags: number, route: Route): Message => {
  const family = route.family ?? familyOf(route.destination ?? route.gateway ?? "0.0.0.0")
  const scope = route.gateway === undefined ? SCOPE_LINK : 0
  const flagBytes = [0, 0, 0, 0]
  const struct = Uint8Array.of(
    ...[family, route.prefixLength, 0, 0, TABLE_MAIN, PROTOCOL_BOOT, scope, TYPE_UNICAST],
    ...flagBytes,
  )
  return {
    type,
    flags,
    struct,
    attributes: [
      ...(route.destination === undefined ? [] : [bytes(RTA_DESTINATION, ipBytes(route.destination))]),
      ...(route.gateway === undefined ? [] : [bytes(RTA_GATEWAY, ipBytes(route.gateway))]),
      u32(RTA_OUTPUT, route.link),
    ],
  }
}

/** Adds a route. Fails with EEXIST. */
export const addRoute = (route: Route): Message => routeMessage(NEW_ROUTE, ACK | CREATE | EXCLUSIVE, route)
/** Puts a route in place of another to the same destination; adds it where there is none. */
export const replaceRoute = (route: Route): Message => routeMessage(NEW_ROUTE, ACK | CREATE | REPLACE, route)

/** Takes what comes by a link for one address as addressed to this host; the same route once more changes nothing. */
export const localRoute = (address: string, link: number, metric: number): Message => {
  const raw = ipBytes(address)
  const bits = raw.length * 8
  return {
    type: NEW_ROUTE,
    flags: ACK | CREATE | REPLACE,
    struct: Uint8Array.of(
      familyOf(address),
      bits,
      0,
      0,
      TABLE_LOCAL,
      PROTOCOL_BOOT,
      0,
      TYPE_LOCAL,
      0,
      0,
      0,
      0,
    ),
    attributes: [bytes(RTA_DESTINATION, raw), u32(RTA_PRIORITY, metric), u32(RTA_OUTPUT, link)],
  }
}

/** Asks for every route of a family, of all tables. */
export const listRoutes = (family: number): Message => ({
  type: GET_ROUTE,
  flags: DUMP,
  struct: Uint8Array.of(family, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0),
  attributes: [],
})

/** Routes of the main table among replies (local, broadcast and other tables' ones are left out). */
export const readRoutes = (replies: Buffer): Route[] =>
  readReplies(replies)
    .filter(({ type, body }) => type === NEW_ROUTE && body[7] === TYPE_UNICAST)
    .flatMap(({ body }) => {
      const attributes = readAttributes(body.subarray(12))
      if ((attributes.get(RTA_TABLE)?.readUInt32LE() ?? body[4]) !== TABLE_MAIN) return []
      const destination = attributes.get(RTA_DESTINATION)
      const gateway = attributes.get(RTA_GATEWAY)
      return [
        {
          ...(destination ? { destination: ipText(destination) } : {}),
          prefixLength: body[1] ?? 0,
          ...(gateway ? { gateway: ipText(gateway) } : {}),
          link: attributes.get(RTA_OUTPUT)?.readUInt32LE() ?? 0,
        },
      ]
    })
