// The engine's nf_tables table, derived as a whole from what should be: bridges and published ports.
import type {
  Chain,
  Element,
  Expression,
  Message,
  NamedSet,
  TableName,
} from "../../kernel/netlink/netlink.ts"
import {
  addElements,
  addRule,
  batch,
  createChain,
  createSet,
  createTable,
  deleteTable,
  FAMILY_IPV4,
  ipBytes,
} from "../../kernel/netlink/netlink.ts"
import type { Subnet } from "../ipam/subnet.ts"
import { subnetText } from "../ipam/subnet.ts"

/** A bridge whose containers reach out by masquerade and are reached by published ports only. */
export interface GuardedBridge {
  readonly name: string
  readonly subnet: Subnet
}

/** A published port as the table knows it. An empty host address means every address of this host. */
export interface Publication {
  readonly protocol: "tcp" | "udp" | "sctp"
  readonly hostAddress: string
  readonly hostPort: number
  readonly address: string
  readonly port: number
}

/** One chain with its rules; each rule says in words what it is for. */
export interface RuledChain {
  readonly chain: Chain
  readonly rules: readonly { readonly purpose: string; readonly expressions: readonly Expression[] }[]
}
export interface Ruleset {
  readonly table: TableName
  readonly sets: readonly NamedSet[]
  readonly chains: readonly RuledChain[]
}

const PROTOCOLS = { tcp: 6, udp: 17, sctp: 132 } as const
const RAW = -300
const DESTINATION_NAT = -100
const FILTER = 0
const SOURCE_NAT = 100
const ESTABLISHED_OR_RELATED = 2 | 4
const DESTINATION_CHANGED = 1 << 5
const ROUTE_LOCAL = 2
const SOURCE_OFFSET = 12
const DESTINATION_OFFSET = 16

const number32 = (value: number): Buffer => {
  const out = Buffer.alloc(4)
  out.writeUInt32LE(value)
  return out
}
const interfaceIs = (key: "iifname" | "oifname", name: string, equal = true): Expression[] => {
  const value = Buffer.alloc(16)
  value.write(name)
  return [
    { kind: "meta", key, to: 0 },
    { kind: "compare", equal, from: 0, value, shown: JSON.stringify(name) },
  ]
}
const addressIn = (which: "source" | "destination", subnet: Subnet): Expression[] => {
  const value = Buffer.alloc(4)
  value.writeUInt32BE(subnet.base)
  const mask = Buffer.alloc(4)
  mask.writeUInt32BE(subnet.prefixLength === 0 ? 0 : (-1 << (32 - subnet.prefixLength)) >>> 0)
  const offset = which === "source" ? SOURCE_OFFSET : DESTINATION_OFFSET
  return [
    { kind: "payload", base: "network", offset, length: 4, to: 0 },
    { kind: "mask", from: 0, to: 0, mask },
    { kind: "compare", equal: true, from: 0, value, shown: subnetText(subnet) },
  ]
}
const connectionHas = (key: "state" | "status", bits: number, shown: string): Expression[] => [
  { kind: "ct", key, to: 0 },
  { kind: "mask", from: 0, to: 0, mask: number32(bits) },
  { kind: "compare", equal: false, from: 0, value: number32(0), shown: `0 (${shown})` },
]
const verdict = (kind: "accept" | "drop" | "return"): Expression => ({ kind: "verdict", verdict: { kind } })
const loopback: Subnet = { base: 0x7f000000, prefixLength: 8 }

const publishedRules = [
  {
    purpose: "a port published on one host address goes to its container",
    expressions: [
      { kind: "payload", base: "network", offset: DESTINATION_OFFSET, length: 4, to: 0 },
      { kind: "meta", key: "l4proto", to: 1 },
      { kind: "payload", base: "transport", offset: 2, length: 2, to: 2 },
      { kind: "lookup", set: "published", from: 0, to: 0 },
      { kind: "dnat", family: FAMILY_IPV4, address: 0, port: 1 },
    ],
  },
  {
    purpose: "a port published on every address of this host goes to its container",
    expressions: [
      { kind: "fib-type", of: "destination", to: 0 },
      { kind: "compare", equal: true, from: 0, value: number32(ROUTE_LOCAL), shown: "local" },
      { kind: "meta", key: "l4proto", to: 0 },
      { kind: "payload", base: "transport", offset: 2, length: 2, to: 1 },
      { kind: "lookup", set: "published_everywhere", from: 0, to: 0 },
      { kind: "dnat", family: FAMILY_IPV4, address: 0, port: 1 },
    ],
  },
] satisfies RuledChain["rules"]

const forwardRules = ({ name }: GuardedBridge): RuledChain["rules"] => [
  {
    purpose: `answers reach the containers of ${name}`,
    expressions: [
      ...interfaceIs("oifname", name),
      ...connectionHas("state", ESTABLISHED_OR_RELATED, "established or related"),
      verdict("accept"),
    ],
  },
  {
    purpose: `containers of ${name} reach each other`,
    expressions: [...interfaceIs("oifname", name), ...interfaceIs("iifname", name), verdict("accept")],
  },
  {
    purpose: `published ports of ${name} are reached from outside`,
    expressions: [
      ...interfaceIs("oifname", name),
      ...connectionHas("status", DESTINATION_CHANGED, "destination was translated"),
      verdict("accept"),
    ],
  },
  {
    purpose: `nothing else reaches ${name} from outside`,
    expressions: [...interfaceIs("oifname", name), verdict("drop")],
  },
]

const masqueradeRules = ({ name, subnet }: GuardedBridge): RuledChain["rules"] => [
  {
    purpose: `containers of ${name} go out with this host's address`,
    expressions: [
      ...addressIn("source", subnet),
      ...interfaceIs("oifname", name, false),
      { kind: "masquerade" },
    ],
  },
  {
    purpose: `a container of ${name} that asks a published port of its own bridge gets its answer through this host`,
    expressions: [
      ...addressIn("source", subnet),
      ...interfaceIs("oifname", name),
      ...connectionHas("status", DESTINATION_CHANGED, "destination was translated"),
      { kind: "masquerade" },
    ],
  },
  {
    purpose: `this host's 127.0.0.1 reaches containers of ${name} with the bridge's address`,
    expressions: [...addressIn("source", loopback), ...interfaceIs("oifname", name), { kind: "masquerade" }],
  },
]

/**
 * The whole table for these bridges. What it accepts is accepted by this table alone: other tables' base chains are
 * asked too, so that a drop elsewhere (for example dockerd's FORWARD policy on the same machine) stays a drop.
 */
export const ruleset = (table: string, bridges: readonly GuardedBridge[]): Ruleset => ({
  table: { family: FAMILY_IPV4, name: table },
  sets: [
    {
      name: "published",
      key: ["ipv4_addr", "inet_proto", "inet_service"],
      value: ["ipv4_addr", "inet_service"],
    },
    {
      name: "published_everywhere",
      key: ["inet_proto", "inet_service"],
      value: ["ipv4_addr", "inet_service"],
    },
  ],
  chains: [
    {
      chain: {
        name: "guard",
        hook: { type: "filter", at: "prerouting", priority: RAW, policy: "accept" },
      },
      rules: bridges.flatMap(({ name }) =>
        (["destination", "source"] as const).map((which) => ({
          purpose: `route_localnet on ${name} must not let containers in at 127.0.0.0/8 (${which})`,
          expressions: [...interfaceIs("iifname", name), ...addressIn(which, loopback), verdict("drop")],
        })),
      ),
    },
    {
      chain: {
        name: "prerouting",
        hook: { type: "nat", at: "prerouting", priority: DESTINATION_NAT, policy: "accept" },
      },
      rules: [
        {
          purpose: "ports published on 127.0.0.0/8 are not for other hosts, whatever they write on the wire",
          expressions: [
            ...interfaceIs("iifname", "lo", false),
            ...addressIn("destination", loopback),
            verdict("return"),
          ],
        },
        ...publishedRules,
      ],
    },
    {
      chain: {
        name: "output",
        hook: { type: "nat", at: "output", priority: DESTINATION_NAT, policy: "accept" },
      },
      rules: publishedRules,
    },
    {
      chain: {
        name: "forward",
        hook: { type: "filter", at: "forward", priority: FILTER, policy: "accept" },
      },
      rules: bridges.flatMap(forwardRules),
    },
    {
      chain: {
        name: "postrouting",
        hook: { type: "nat", at: "postrouting", priority: SOURCE_NAT, policy: "accept" },
      },
      rules: bridges.flatMap(masqueradeRules),
    },
  ],
})

/** The map and element that publish a port. */
const publicationElement = (publication: Publication): { set: string; element: Element } => {
  const everywhere = publication.hostAddress === "" || publication.hostAddress === "0.0.0.0"
  const port = Buffer.alloc(2)
  port.writeUInt16BE(publication.hostPort)
  const target = Buffer.alloc(2)
  target.writeUInt16BE(publication.port)
  const key = [Uint8Array.of(PROTOCOLS[publication.protocol]), port]
  return {
    set: everywhere ? "published_everywhere" : "published",
    element: {
      key: everywhere ? key : [ipBytes(publication.hostAddress), ...key],
      value: [ipBytes(publication.address), target],
    },
  }
}

/** Groups publications by map: what one request adds or removes. */
export const elementsBySet = (publications: readonly Publication[]): Map<string, Element[]> => {
  const groups = new Map<string, Element[]>()
  for (const publication of publications) {
    const { set, element } = publicationElement(publication)
    groups.set(set, [...(groups.get(set) ?? []), element])
  }
  return groups
}

/** One batch that puts the whole table in place of whatever is there under its name. */
export const rebuildMessages = (rules: Ruleset, publications: readonly Publication[]): Message[] => {
  const { table } = rules
  return batch([
    // Deleting a table that is missing fails the batch, creating one that exists does not.
    createTable(table),
    deleteTable(table),
    createTable(table),
    ...rules.sets.map((set, index) => createSet(table, set, index + 1)),
    ...rules.chains.map(({ chain }) => createChain(table, chain)),
    ...rules.chains.flatMap(({ chain, rules: list }) =>
      list.map(({ expressions }) => addRule(table, chain.name, expressions)),
    ),
    ...[...elementsBySet(publications)].flatMap(([set, elements]) => addElements(table, set, elements)),
  ])
}
