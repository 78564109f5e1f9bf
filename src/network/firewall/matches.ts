// Parts of rules: each is nft's words for it and the expressions that the kernel runs.
import type { Expression, Register, Verdict } from "../../kernel/netlink/netlink.ts"
import { FAMILY_IPV4, FAMILY_IPV6, ipBytes } from "../../kernel/netlink/netlink.ts"

/** A part of a rule. Every part uses registers from 0 on: none outlives its part. */
export interface Part {
  /** As `nft list` writes it. */
  readonly nft: string
  readonly expressions: readonly Expression[]
}
export type Version = 4 | 6

export const PROTOCOLS = { tcp: 6, udp: 17, sctp: 132 } as const
const DESTINATION_CHANGED = 1 << 5
const RELATED = 4
const NEW = 8
const REPLY = 1
const ROUTE_LOCAL = 2
const ICMP = { 4: 1, 6: 58 } as const
export const FAMILIES = { 4: FAMILY_IPV4, 6: FAMILY_IPV6 } as const
const ADDRESSES = {
  4: { word: "ip", length: 4, saddr: 12, daddr: 16 },
  6: { word: "ip6", length: 16, saddr: 8, daddr: 24 },
} as const
const PORTS = { sport: 0, dport: 2 } as const
type End = "saddr" | "daddr"

const number32 = (value: number): Buffer => {
  const out = Buffer.alloc(4)
  out.writeUInt32LE(value)
  return out
}
export const interfaceName = (name: string): Buffer => {
  const out = Buffer.alloc(16)
  out.write(name)
  return out
}
const is = (value: Uint8Array): Expression => ({ kind: "compare", equal: true, from: 0, value })
const inSet = (set: string): Expression => ({ kind: "lookup", set, from: 0 })
const nfproto = (version: Version): Expression[] => [
  { kind: "meta", key: "nfproto", to: 0 },
  is(Uint8Array.of(FAMILIES[version])),
]
const address = (version: Version, end: End, to: Register = 0): Expression => ({
  kind: "payload",
  base: "network",
  offset: ADDRESSES[version][end],
  length: ADDRESSES[version].length,
  to,
})
const registersOf = (version: Version): number => ADDRESSES[version].length / 4
/** Address, protocol and port side by side, as the keys of the maps are. */
const socket = (version: Version, end: End): Expression[] => {
  const next = registersOf(version)
  return [
    address(version, end),
    { kind: "meta", key: "l4proto", to: next },
    {
      kind: "payload",
      base: "transport",
      offset: PORTS[end === "saddr" ? "sport" : "dport"],
      length: 2,
      to: next + 1,
    },
  ]
}
const socketWords = (version: Version, end: End): string =>
  `${ADDRESSES[version].word} ${end} . meta l4proto . th ${end === "saddr" ? "sport" : "dport"}`

export const interfaceIn = (key: "iifname" | "oifname", set: string, not = false): Part => ({
  nft: `${key} ${not ? "!= " : ""}@${set}`,
  expressions: [
    { kind: "meta", key, to: 0 },
    { kind: "lookup", set, from: 0, ...(not ? { inverted: true } : {}) },
  ],
})
export const interfaceIs = (key: "iifname" | "oifname", name: string): Part => ({
  nft: `${key} "${name}"`,
  expressions: [{ kind: "meta", key, to: 0 }, is(interfaceName(name))],
})
export const interfaceIsNot = (key: "iifname" | "oifname", name: string): Part => ({
  nft: `${key} != "${name}"`,
  expressions: [
    { kind: "meta", key, to: 0 },
    { kind: "compare", equal: false, from: 0, value: interfaceName(name), shown: name },
  ],
})
/** The verdict that a map holds for an interface; a missing one goes on to the next rule. */
export const verdictOf = (key: "iifname" | "oifname", map: string): Part => ({
  nft: `${key} vmap @${map}`,
  expressions: [
    { kind: "meta", key, to: 0 },
    { kind: "lookup", set: map, from: 0, to: "verdict" },
  ],
})
export const interfacesIn = (set: string): Part => ({
  nft: `iifname . oifname @${set}`,
  expressions: [{ kind: "meta", key: "iifname", to: 0 }, { kind: "meta", key: "oifname", to: 4 }, inSet(set)],
})
export const addressIn = (version: Version, end: End, set: string): Part => ({
  nft: `${ADDRESSES[version].word} ${end} @${set}`,
  expressions: [...nfproto(version), address(version, end), inSet(set)],
})
export const addressesIn = (version: Version, set: string): Part => ({
  nft: `${ADDRESSES[version].word} saddr . ${ADDRESSES[version].word} daddr @${set}`,
  expressions: [
    ...nfproto(version),
    address(version, "saddr"),
    address(version, "daddr", registersOf(version)),
    inSet(set),
  ],
})
/** This host's loopback addresses: 127.0.0.0/8 or ::1. */
export const loopback = (version: Version, end: End): Part =>
  version === 4
    ? {
        nft: `ip ${end} 127.0.0.0/8`,
        expressions: [
          ...nfproto(4),
          { kind: "payload", base: "network", offset: ADDRESSES[4][end], length: 1, to: 0 },
          is(Uint8Array.of(127)),
        ],
      }
    : { nft: `ip6 ${end} ::1`, expressions: [...nfproto(6), address(6, end), is(ipBytes("::1"))] }
export const toThisHost: Part = {
  nft: "fib daddr type local",
  expressions: [{ kind: "fib-type", of: "destination", to: 0 }, is(number32(ROUTE_LOCAL))],
}
export const socketIn = (version: Version, end: End, set: string): Part => ({
  nft: `${socketWords(version, end)} @${set}`,
  expressions: [...nfproto(version), ...socket(version, end), inSet(set)],
})
/** The same for a map; what it holds is not looked at. */
export const socketKnown = (version: Version, map: string): Part => ({
  nft: `${socketWords(version, "daddr")} @${map}`,
  expressions: [
    ...nfproto(version),
    ...socket(version, "daddr"),
    { kind: "lookup", set: map, from: 0, to: 0 },
  ],
})
/** Whether a map from protocol and port has the packet's; what it holds is not looked at. */
export const portKnown = (version: Version, map: string): Part => ({
  nft: `meta l4proto . th dport @${map}`,
  expressions: [
    ...nfproto(version),
    { kind: "meta", key: "l4proto", to: 0 },
    { kind: "payload", base: "transport", offset: 2, length: 2, to: 1 },
    { kind: "lookup", set: map, from: 0, to: 0 },
  ],
})
export const isIcmp = (version: Version): Part => ({
  nft: `meta l4proto ${version === 4 ? "icmp" : "ipv6-icmp"}`,
  expressions: [{ kind: "meta", key: "l4proto", to: 0 }, is(Uint8Array.of(ICMP[version]))],
})

const connectionHas = (key: "state" | "status", bits: number, nft: string): Part => ({
  nft,
  expressions: [
    { kind: "ct", key, to: 0 },
    { kind: "mask", from: 0, to: 0, mask: number32(bits) },
    { kind: "compare", equal: false, from: 0, value: number32(0) },
  ],
})
export const translated = connectionHas("status", DESTINATION_CHANGED, "ct status dnat")
export const related = connectionHas("state", RELATED, "ct state related")
export const notBeginning: Part = {
  nft: "ct state & new == 0",
  expressions: [
    { kind: "ct", key: "state", to: 0 },
    { kind: "mask", from: 0, to: 0, mask: number32(NEW) },
    { kind: "compare", equal: true, from: 0, value: number32(0) },
  ],
}
export const isAnswer: Part = {
  nft: "ct direction reply",
  expressions: [{ kind: "ct", key: "direction", to: 0 }, is(Uint8Array.of(REPLY))],
}

/** Translates the destination by a map from address, protocol and port to address, and port if `withPort`. */
export const translateBySocket = (version: Version, map: string, withPort: boolean): Part => ({
  nft: `dnat ${ADDRESSES[version].word} to ${socketWords(version, "daddr")} map @${map}`,
  expressions: [
    ...nfproto(version),
    ...socket(version, "daddr"),
    { kind: "lookup", set: map, from: 0, to: 0 },
    {
      kind: "dnat",
      family: FAMILIES[version],
      address: 0,
      ...(withPort ? { port: registersOf(version) } : {}),
    },
  ],
})
/** Translates the destination by a map from protocol and port to address and port. */
export const translateByPort = (version: Version, map: string): Part => ({
  nft: `meta nfproto ipv${version} dnat ${ADDRESSES[version].word} to meta l4proto . th dport map @${map}`,
  expressions: [
    ...nfproto(version),
    { kind: "meta", key: "l4proto", to: 0 },
    { kind: "payload", base: "transport", offset: 2, length: 2, to: 1 },
    { kind: "lookup", set: map, from: 0, to: 0 },
    { kind: "dnat", family: FAMILIES[version], address: 0, port: registersOf(version) },
  ],
})
/** Translates the source by a map from source addresses. */
export const translateSource = (version: Version, map: string): Part => ({
  nft: `snat ${ADDRESSES[version].word} to ${ADDRESSES[version].word} saddr map @${map}`,
  expressions: [
    ...nfproto(version),
    address(version, "saddr"),
    { kind: "lookup", set: map, from: 0, to: 0 },
    { kind: "snat", family: FAMILIES[version], address: 0 },
  ],
})
export const masquerade: Part = { nft: "masquerade", expressions: [{ kind: "masquerade" }] }
export const verdict = (given: Verdict): Part => ({
  nft: "chain" in given ? `${given.kind} ${given.chain}` : given.kind,
  expressions: [{ kind: "verdict", verdict: given }],
})
