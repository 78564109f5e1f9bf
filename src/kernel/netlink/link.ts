// rtnetlink links: bridges, veth pairs, changes, and what the kernel tells about them.
import { FAMILY_IPV6, macBytes, macText } from "./address.ts"
import { readAttributes, readReplies, readText } from "./decode.ts"
import type { Attribute, Message } from "./message.ts"
import { ACK, bytes, CREATE, DUMP, EXCLUSIVE, nest, text, u8, u16, u32 } from "./message.ts"

const NEW_LINK = 16
const DELETE_LINK = 17
const GET_LINK = 18
const SET_LINK = 19
const UP = 1

const IFLA_ADDRESS = 1
const IFLA_IFNAME = 3
const IFLA_MTU = 4
const IFLA_LINK = 5
const IFLA_MASTER = 10
const IFLA_LINKINFO = 18
const IFLA_ALIAS = 20
const IFLA_STATS64 = 23
const IFLA_AF_SPEC = 26
const IFLA_GROUP = 27
const IFLA_NET_NS_FD = 28
const INFO_KIND = 1
const INFO_DATA = 2
const INFO_SLAVE_KIND = 4
const INFO_SLAVE_DATA = 5
const VETH_PEER = 1
const BRIDGE_PORT_STATE = 1
const PORT_DISABLED = 0
const BRIDGE_PORT_HAIRPIN = 4
const BRIDGE_PORT_ISOLATED = 33
const MACVLAN_MODE = 1
const VLAN_ID = 1
const IPVLAN_MODE = 1
const IPVLAN_FLAGS = 2
const INET6_ADDRESS_GENERATION = 8
const GENERATE_NONE = 1

/** How a link is to be found: by index, or by name when index is 0. */
export interface LinkReference {
  readonly index?: number
  readonly name?: string
}

const struct = (index: number, flags = 0, change = 0): Buffer => {
  const out = Buffer.alloc(16)
  out.writeInt32LE(index, 4)
  out.writeUInt32LE(flags, 8)
  out.writeUInt32LE(change, 12)
  return out
}
const named = (link: LinkReference): Attribute[] =>
  link.name === undefined ? [] : [text(IFLA_IFNAME, link.name)]

/** Creates a bridge. It is left down, so that what must precede it being up can follow. Fails with EEXIST. */
export const createBridge = (name: string, mtu: number, macAddress: string): Message => ({
  type: NEW_LINK,
  flags: ACK | CREATE | EXCLUSIVE,
  struct: struct(0),
  attributes: [
    text(IFLA_IFNAME, name),
    u32(IFLA_MTU, mtu),
    bytes(IFLA_ADDRESS, macBytes(macAddress)),
    nest(IFLA_LINKINFO, text(INFO_KIND, "bridge")),
  ],
})

export interface VethRequest {
  readonly name: string
  /** Index of the bridge that takes the host's end. */
  readonly master: number
  readonly mtu: number
  readonly peerName: string
  readonly peerMacAddress: string
}

/** Creates a veth pair, both ends down: the host's end on its bridge, the peer in the inside namespace. */
export const createVeth = (request: VethRequest): Message => ({
  type: NEW_LINK,
  flags: ACK | CREATE | EXCLUSIVE,
  struct: struct(0),
  attributes: [
    text(IFLA_IFNAME, request.name),
    u32(IFLA_MTU, request.mtu),
    u32(IFLA_MASTER, request.master),
    nest(
      IFLA_LINKINFO,
      text(INFO_KIND, "veth"),
      nest(INFO_DATA, {
        type: VETH_PEER,
        struct: struct(0),
        nested: [
          text(IFLA_IFNAME, request.peerName),
          u32(IFLA_MTU, request.mtu),
          bytes(IFLA_ADDRESS, macBytes(request.peerMacAddress)),
          { type: IFLA_NET_NS_FD, descriptor: "inside-fd" },
        ],
      }),
    ),
  ],
})

const create = (name: string, ...attributes: readonly Attribute[]): Message => ({
  type: NEW_LINK,
  flags: ACK | CREATE | EXCLUSIVE,
  struct: struct(0),
  attributes: [text(IFLA_IFNAME, name), ...attributes],
})

const MACVLAN_MODES = { private: 1, vepa: 2, bridge: 4, passthru: 8 } as const
export type MacvlanMode = keyof typeof MACVLAN_MODES
const IPVLAN_MODES = { l2: 0, l3: 1, l3s: 2 } as const
export type IpvlanMode = keyof typeof IPVLAN_MODES
const IPVLAN_FLAG_BITS = { bridge: 0, private: 1, vepa: 2 } as const
export type IpvlanFlag = keyof typeof IPVLAN_FLAG_BITS

/** A link of the inside namespace that shares a parent of the host. */
export interface InsideLinkRequest {
  readonly name: string
  /** Index of the parent in the host's namespace. */
  readonly parent: number
}

/** Creates a macvlan link, down, in the inside namespace. Send it in the host's. */
export const createMacvlan = (
  request: InsideLinkRequest & { readonly macAddress: string; readonly mode: MacvlanMode },
): Message =>
  create(
    request.name,
    u32(IFLA_LINK, request.parent),
    bytes(IFLA_ADDRESS, macBytes(request.macAddress)),
    { type: IFLA_NET_NS_FD, descriptor: "inside-fd" },
    nest(
      IFLA_LINKINFO,
      text(INFO_KIND, "macvlan"),
      nest(INFO_DATA, u32(MACVLAN_MODE, MACVLAN_MODES[request.mode])),
    ),
  )

/** Creates an ipvlan link, down, in the inside namespace. Fails with EOPNOTSUPP where the kernel has none. */
export const createIpvlan = (
  request: InsideLinkRequest & { readonly mode: IpvlanMode; readonly flag: IpvlanFlag },
): Message =>
  create(
    request.name,
    u32(IFLA_LINK, request.parent),
    { type: IFLA_NET_NS_FD, descriptor: "inside-fd" },
    nest(
      IFLA_LINKINFO,
      text(INFO_KIND, "ipvlan"),
      nest(
        INFO_DATA,
        u16(IPVLAN_MODE, IPVLAN_MODES[request.mode]),
        u16(IPVLAN_FLAGS, IPVLAN_FLAG_BITS[request.flag]),
      ),
    ),
  )

/** Creates a link for what a parent carries with a VLAN tag. */
export const createVlan = (name: string, parent: number, id: number): Message =>
  create(
    name,
    u32(IFLA_LINK, parent),
    nest(IFLA_LINKINFO, text(INFO_KIND, "vlan"), nest(INFO_DATA, u16(VLAN_ID, id))),
  )

/** Creates a link that leads nowhere. */
export const createDummy = (name: string): Message =>
  create(name, nest(IFLA_LINKINFO, text(INFO_KIND, "dummy")))

/** Writes a note for people and for ourselves on a link. */
export const setAlias = (link: LinkReference, alias: string): Message => ({
  type: SET_LINK,
  flags: ACK,
  struct: struct(link.index ?? 0),
  attributes: [...named(link), text(IFLA_ALIAS, alias)],
})

/** Gives the link with an index another name. */
export const renameLink = (index: number, name: string): Message => ({
  type: SET_LINK,
  flags: ACK,
  struct: struct(index),
  attributes: [text(IFLA_IFNAME, name)],
})

/** Makes a link a port of a bridge. */
export const setMaster = (link: LinkReference, master: number): Message => ({
  type: SET_LINK,
  flags: ACK,
  struct: struct(link.index ?? 0),
  attributes: [...named(link), u32(IFLA_MASTER, master)],
})

/** Sets a link up. */
export const setUp = (link: LinkReference): Message => ({
  type: SET_LINK,
  flags: ACK,
  struct: struct(link.index ?? 0, UP, UP),
  attributes: named(link),
})

/** Keeps the kernel from giving a link an IPv6 address by itself. Must precede the link being up. */
export const withoutIpv6 = (link: LinkReference): Message => ({
  type: SET_LINK,
  flags: ACK,
  struct: struct(link.index ?? 0),
  attributes: [
    ...named(link),
    nest(IFLA_AF_SPEC, nest(FAMILY_IPV6, u8(INET6_ADDRESS_GENERATION, GENERATE_NONE))),
  ],
})

/** Only "new link" heeds what concerns a master. */
const setPort = (link: LinkReference, type: number, value: number): Message => ({
  type: NEW_LINK,
  flags: ACK,
  struct: struct(link.index ?? 0),
  attributes: [
    ...named(link),
    nest(IFLA_LINKINFO, text(INFO_SLAVE_KIND, "bridge"), nest(INFO_SLAVE_DATA, u8(type, value))),
  ],
})

/** Lets a bridge send frames back out of the port that they came in by. */
export const setHairpin = (link: LinkReference): Message => setPort(link, BRIDGE_PORT_HAIRPIN, 1)
/** Keeps a bridge from passing frames between this port and others that are isolated too. */
export const setIsolated = (link: LinkReference): Message => setPort(link, BRIDGE_PORT_ISOLATED, 1)
/** Lets nothing more through a port of a bridge. Takes effect at once, unlike taking the link away. */
export const disablePort = (link: LinkReference): Message => setPort(link, BRIDGE_PORT_STATE, PORT_DISABLED)

export const deleteLink = (link: LinkReference): Message => ({
  type: DELETE_LINK,
  flags: ACK,
  struct: struct(link.index ?? 0),
  attributes: named(link),
})

/** Makes a link one of a group: a number that nobody else uses. */
export const setGroup = (link: LinkReference, group: number): Message => ({
  type: SET_LINK,
  flags: ACK,
  struct: struct(link.index ?? 0),
  attributes: [...named(link), u32(IFLA_GROUP, group)],
})

/** Deletes all links of a group together. Fails with ENODEV when there is none. */
export const deleteGroup = (group: number): Message => ({
  type: DELETE_LINK,
  flags: ACK,
  struct: struct(0),
  attributes: [u32(IFLA_GROUP, group)],
})

/** Asks for one link. */
export const getLink = (link: LinkReference): Message => ({
  type: GET_LINK,
  flags: ACK,
  struct: struct(link.index ?? 0),
  attributes: named(link),
})

/** Asks for every link. */
export const listLinks = (): Message => ({ type: GET_LINK, flags: DUMP, struct: struct(0), attributes: [] })

/** Counters of a link, from its own point of view. */
export interface LinkCounters {
  readonly rxPackets: number
  readonly txPackets: number
  readonly rxBytes: number
  readonly txBytes: number
  readonly rxErrors: number
  readonly txErrors: number
  readonly rxDropped: number
  readonly txDropped: number
}

export interface Link {
  readonly index: number
  readonly name: string
  readonly up: boolean
  readonly mtu: number
  readonly macAddress: string
  /** Index of the bridge it is a port of, 0 if none. */
  readonly master: number
  /** "bridge", "veth" …, "" for plain devices. */
  readonly kind: string
  /** The note on it, "" if there is none. */
  readonly alias: string
  readonly counters?: LinkCounters
}

const readCounters = (stats: Buffer | undefined): LinkCounters | undefined => {
  if (!stats || stats.length < 64) return undefined
  const at = (index: number): number => Number(stats.readBigUInt64LE(index * 8))
  return {
    rxPackets: at(0),
    txPackets: at(1),
    rxBytes: at(2),
    txBytes: at(3),
    rxErrors: at(4),
    txErrors: at(5),
    rxDropped: at(6),
    txDropped: at(7),
  }
}

/** Links among replies. */
export const readLinks = (replies: Buffer): Link[] =>
  readReplies(replies)
    .filter((reply) => reply.type === NEW_LINK)
    .map(({ body }) => {
      const attributes = readAttributes(body.subarray(16))
      const info = attributes.get(IFLA_LINKINFO)
      return {
        index: body.readInt32LE(4),
        name: readText(attributes.get(IFLA_IFNAME)),
        up: (body.readUInt32LE(8) & UP) !== 0,
        mtu: attributes.get(IFLA_MTU)?.readUInt32LE() ?? 0,
        macAddress: macText(attributes.get(IFLA_ADDRESS) ?? Buffer.alloc(0)),
        master: attributes.get(IFLA_MASTER)?.readUInt32LE() ?? 0,
        kind: info ? readText(readAttributes(info).get(INFO_KIND)) : "",
        alias: readText(attributes.get(IFLA_ALIAS)),
        counters: readCounters(attributes.get(IFLA_STATS64)),
      }
    })
