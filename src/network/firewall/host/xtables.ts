// Extensions of iptables inside nf_tables rules, said in expressions of nf_tables. Layouts are the kernel's.
import type { Expression, ListedExpression } from "../../../kernel/netlink/netlink.ts"
import { readAttributes, readText } from "../../../kernel/netlink/netlink.ts"

/** A match that always holds is no expressions; "never" one that cannot hold; "ports" wants one of some port ranges. */
export type Translation =
  | { readonly kind: "expressions"; readonly expressions: readonly Expression[] }
  | { readonly kind: "never" }
  | {
      readonly kind: "ports"
      readonly ranges: readonly (readonly [number, number])[]
      readonly offset: number
      readonly inverted: boolean
    }
  | { readonly kind: "drop" }
  | { readonly kind: "silent" }
  | { readonly kind: "unknown" }

const always: Translation = { kind: "expressions", expressions: [] }
const unknown: Translation = { kind: "unknown" }
const expressions = (...list: readonly Expression[]): Translation => ({
  kind: "expressions",
  expressions: list,
})

const SOURCE_PORT = 0
const DESTINATION_PORT = 2
const FLAGS_OFFSET = 13
const EVERY_PORT = 65535

const number32 = (value: number): Buffer => {
  const out = Buffer.alloc(4)
  out.writeUInt32LE(value)
  return out
}

/** struct xt_conntrack_mtinfo1 to 3: only states; their bits are those of nf_tables. */
const conntrack = (info: Buffer): Translation => {
  if (info.length < 152) return unknown
  const [matches, inverts, states] = [info.readUInt16LE(146), info.readUInt16LE(148), info.readUInt16LE(150)]
  if (matches !== 1 || states > 0xf) return unknown
  return expressions(
    { kind: "ct", key: "state", to: 0 },
    { kind: "mask", from: 0, to: 0, mask: number32(states) },
    { kind: "compare", equal: (inverts & 1) !== 0, from: 0, value: number32(0) },
  )
}

/** struct xt_multiport_v1. */
const multiport = (info: Buffer): Translation => {
  if (info.length < 48) return unknown
  const [which, count, inverted] = [info[0], info[1] ?? 0, info[47] !== 0]
  if ((which !== 0 && which !== 1) || count > 15) return unknown
  const ranges: [number, number][] = []
  for (let at = 0; at < count; at++) {
    const first = info.readUInt16LE(2 + at * 2)
    const isRange = info[32 + at] !== 0
    ranges.push([first, isRange ? info.readUInt16LE(2 + (at + 1) * 2) : first])
    if (isRange) at++
  }
  return { kind: "ports", ranges, offset: which === 0 ? SOURCE_PORT : DESTINATION_PORT, inverted }
}

const portBytes = (port: number): Uint8Array => Uint8Array.of(port >> 8, port & 0xff)
const portWithin = (offset: number, first: number, last: number, inverted: boolean): Expression[] =>
  first === 0 && last === EVERY_PORT && !inverted
    ? []
    : [
        { kind: "payload", base: "transport", offset, length: 2, to: 0 },
        { kind: "within", inverted, from: 0, first: portBytes(first), last: portBytes(last) },
      ]

/** struct xt_tcp and xt_udp: two ranges of ports; of tcp's flags too. */
const ports = (info: Buffer, tcp: boolean): Translation => {
  if (info.length < (tcp ? 12 : 9)) return unknown
  const inverts = info[tcp ? 11 : 8] ?? 0
  const list = [
    ...portWithin(SOURCE_PORT, info.readUInt16LE(0), info.readUInt16LE(2), (inverts & 1) !== 0),
    ...portWithin(DESTINATION_PORT, info.readUInt16LE(4), info.readUInt16LE(6), (inverts & 2) !== 0),
  ]
  if (tcp && info[8] !== 0) return unknown
  if (tcp && info[9] !== 0)
    list.push(
      { kind: "payload", base: "transport", offset: FLAGS_OFFSET, length: 1, to: 0 },
      { kind: "mask", from: 0, to: 0, mask: Uint8Array.of(info[9] ?? 0) },
      { kind: "compare", equal: (inverts & 4) === 0, from: 0, value: Uint8Array.of(info[10] ?? 0) },
    )
  return expressions(...list)
}

const UNICAST = 1 << 1
const LOCAL = 1 << 2
/** struct xt_addrtype_info_v1. What is asked comes from another host to this one. */
const addressType = (info: Buffer): Translation => {
  if (info.length < 8) return unknown
  const [source, destination, flags] = [info.readUInt16LE(0), info.readUInt16LE(2), info.readUInt32LE(4)]
  const fits = (mask: number, type: number, inverted: boolean): boolean =>
    mask === 0 || ((mask & type) !== 0) !== inverted
  return fits(source, UNICAST, (flags & 1) !== 0) && fits(destination, LOCAL, (flags & 2) !== 0)
    ? always
    : { kind: "never" }
}

/** What a "match" or "target" expression says. */
export const translate = (expression: ListedExpression): Translation => {
  const attributes = readAttributes(expression.data)
  const name = readText(attributes.get(1))
  const revision = attributes.get(2)?.readUInt32BE() ?? 0
  const info = attributes.get(3) ?? Buffer.alloc(0)
  if (expression.name === "target") {
    if (name === "REJECT") return { kind: "drop" }
    return name === "LOG" || name === "NFLOG" ? { kind: "silent" } : unknown
  }
  switch (name) {
    case "comment":
      return always
    // Published are ports, and these have none.
    case "icmp":
    case "icmp6":
      return { kind: "never" }
    case "conntrack":
      return revision >= 1 ? conntrack(info) : unknown
    case "multiport":
      return revision === 1 ? multiport(info) : unknown
    case "addrtype":
      return revision === 1 ? addressType(info) : unknown
    case "tcp":
    case "udp":
      return ports(info, name === "tcp")
    default:
      return unknown
  }
}

/** The extension's name, for people. */
export const extensionName = (expression: ListedExpression): string =>
  expression.name === "match" || expression.name === "target"
    ? readText(readAttributes(expression.data).get(1))
    : expression.name
