// The engine's nf_tables table: its rules never change, networks and published ports are elements of its sets and maps.
import type { Chain, Message, NamedSet, TableName } from "../../kernel/netlink/netlink.ts"
import {
  addElements,
  addRule,
  batch,
  createChain,
  createSet,
  createTable,
  deleteTable,
} from "../../kernel/netlink/netlink.ts"
import type { ElementsBySet } from "./elements.ts"
import type { Part, Version } from "./matches.ts"
import {
  addressesIn,
  addressIn,
  interfaceIn,
  interfaceIsNot,
  interfacesIn,
  isAnswer,
  isIcmp,
  loopback,
  masquerade,
  related,
  socketIn,
  toThisHost,
  translateByPort,
  translateBySocket,
  translated,
  translateSource,
  verdict,
  verdictOf,
} from "./matches.ts"

export interface Rule {
  /** What it is for, in at most 127 characters. */
  readonly purpose: string
  readonly parts: readonly Part[]
}
/** One chain with its rules; each rule says in words what it is for. */
export interface RuledChain {
  readonly chain: Chain
  readonly rules: readonly Rule[]
}
export interface RuledSet extends NamedSet {
  readonly purpose: string
}
export interface Ruleset {
  readonly table: TableName
  readonly sets: readonly RuledSet[]
  readonly chains: readonly RuledChain[]
}

/** Tables of the family inet see IPv4 and IPv6. */
const FAMILY_INET = 1
export const tableName = (name: string): TableName => ({ family: FAMILY_INET, name })

const RAW = -300
export const DESTINATION_NAT = -100
const FILTER = 0
const SOURCE_NAT = 100

const accept = verdict({ kind: "accept" })
const drop = verdict({ kind: "drop" })
const rule = (purpose: string, ...parts: Part[]): Rule => ({ purpose, parts })

const setsOf = (version: Version): RuledSet[] => {
  const address = version === 4 ? "ipv4_addr" : "ipv6_addr"
  const socket = [address, "inet_proto", "inet_service"] as const
  return [
    {
      name: `published${version}`,
      key: socket,
      value: [address, "inet_service"],
      purpose: "ports published on one address of this host",
    },
    {
      name: `everywhere${version}`,
      key: ["inet_proto", "inet_service"],
      value: [address, "inet_service"],
      purpose: "ports published on every address of this host",
    },
    {
      name: `ranges${version}`,
      key: socket,
      value: [address],
      interval: true,
      purpose: "published ranges whose ports are the same inside",
    },
    {
      name: `reachable${version}`,
      key: socket,
      interval: true,
      purpose: "published ports of routed networks, by the container's own address",
    },
    {
      name: `open${version}`,
      key: [address],
      interval: true,
      purpose: "subnets of nat-unprotected networks",
    },
    { name: `routed${version}`, key: [address], interval: true, purpose: "subnets of routed networks" },
    {
      name: `masqueraded${version}`,
      key: [address],
      interval: true,
      purpose: "subnets whose containers go out with this host's address",
    },
    {
      name: `sources${version}`,
      key: [address],
      value: [address],
      interval: true,
      purpose: "subnets whose containers go out with a certain address",
    },
    {
      name: `hairpin${version}`,
      key: [address, address],
      interval: true,
      purpose: "sources whose answers would not come back through this host, and for whom",
    },
  ]
}

const sets: readonly RuledSet[] = [
  { name: "bridges", key: ["ifname"], purpose: "every bridge of this engine" },
  {
    name: "toward",
    key: ["ifname"],
    value: "verdict",
    purpose: "what is asked of packets that leave to a bridge",
  },
  {
    name: "from",
    key: ["ifname"],
    value: "verdict",
    purpose: "bridges that nothing may leave: internal networks",
  },
  {
    name: "together",
    key: ["ifname", "ifname"],
    purpose:
      "bridges whose containers reach each other, and trusted interfaces with the bridges that they reach",
  },
  ...setsOf(4),
  ...setsOf(6),
]

const versions: readonly Version[] = [4, 6]

const published: RuledChain = {
  chain: { name: "published" },
  rules: versions.flatMap((version) => [
    rule(
      "a port published on one address goes to its container",
      translateBySocket(version, `published${version}`, true),
    ),
    rule(
      "a port published on every address goes to its container",
      toThisHost,
      translateByPort(version, `everywhere${version}`),
    ),
    rule(
      "a published range goes to its container, port for port",
      toThisHost,
      translateBySocket(version, `ranges${version}`, false),
    ),
  ]),
}

const goPublished = rule("published ports", verdict({ kind: "jump", chain: "published" }))

const containers: RuledChain = {
  chain: { name: "to_containers" },
  rules: [
    rule("containers of one network, and trusted interfaces", interfacesIn("together"), accept),
    rule("an internal network reaches no other", verdictOf("iifname", "from")),
    rule("connections to published ports, both ways", translated, accept),
    ...versions.flatMap((version) => [
      rule("published ports of routed networks", socketIn(version, "daddr", `reachable${version}`), accept),
      rule("and their answers", isAnswer, socketIn(version, "saddr", `reachable${version}`), accept),
    ]),
    rule(
      "nothing else passes from network to network, begun or not",
      interfaceIn("iifname", "bridges"),
      drop,
    ),
    rule("answers to what containers asked", isAnswer, accept),
    rule("errors and helpers of connections that may pass", related, accept),
    ...versions.flatMap((version) => [
      rule("every port of nat-unprotected networks", addressIn(version, "daddr", `open${version}`), accept),
      rule(
        "ping of routed networks",
        addressIn(version, "daddr", `routed${version}`),
        isIcmp(version),
        accept,
      ),
    ]),
    rule("nothing else reaches a container by its own address", drop),
  ],
}

const internal: RuledChain = {
  chain: { name: "to_internal" },
  rules: [
    rule("containers of one network", interfacesIn("together"), accept),
    rule("nothing reaches an internal network from beyond its bridge", drop),
  ],
}

const guard: RuledChain = {
  chain: { name: "guard", hook: { type: "filter", at: "prerouting", priority: RAW, policy: "accept" } },
  rules: (["daddr", "saddr"] as const).map((end) =>
    rule(
      "route_localnet must not let containers in at this host's loopback",
      loopback(4, end),
      interfaceIn("iifname", "bridges"),
      drop,
    ),
  ),
}

const hooked = (
  name: "prerouting" | "output" | "forward" | "postrouting",
  type: "nat" | "filter",
  priority: number,
  rules: readonly Rule[],
): RuledChain => ({ chain: { name, hook: { type, at: name, priority, policy: "accept" } }, rules })

/**
 * The whole table. What it accepts is accepted by this table alone: other tables' base chains are asked too, so that a
 * drop elsewhere (for example dockerd's FORWARD policy on the same machine) stays a drop.
 */
export const ruleset = (table: string): Ruleset => ({
  table: tableName(table),
  sets,
  chains: [
    published,
    containers,
    internal,
    guard,
    hooked("prerouting", "nat", DESTINATION_NAT, [
      rule(
        "ports published on loopback are not for other hosts, whatever they write on the wire",
        interfaceIsNot("iifname", "lo"),
        loopback(4, "daddr"),
        verdict({ kind: "return" }),
      ),
      goPublished,
    ]),
    hooked("output", "nat", DESTINATION_NAT, [goPublished]),
    hooked("forward", "filter", FILTER, [
      rule("packets to a container", verdictOf("oifname", "toward")),
      rule("packets from an internal network to elsewhere", verdictOf("iifname", "from")),
    ]),
    hooked("postrouting", "nat", SOURCE_NAT, [
      ...versions.flatMap((version) => [
        rule(
          "whoever would be answered past this host is answered through it",
          addressesIn(version, `hairpin${version}`),
          translated,
          masquerade,
        ),
        rule(
          "this host's loopback reaches containers with the bridge's address",
          loopback(version, "saddr"),
          interfaceIn("oifname", "bridges"),
          masquerade,
        ),
      ]),
      rule(
        "containers see each other's own addresses",
        interfaceIn("oifname", "bridges"),
        verdict({ kind: "return" }),
      ),
      ...versions.flatMap((version) => [
        rule(
          "containers go out with the address chosen for them",
          translateSource(version, `sources${version}`),
        ),
        rule(
          "containers go out with this host's address",
          addressIn(version, "saddr", `masqueraded${version}`),
          masquerade,
        ),
      ]),
    ]),
  ],
})

/** One batch that puts the whole table, with what is `more` in it, in place of whatever is there under its name. */
export const rebuildMessages = (
  rules: Ruleset,
  elements: ElementsBySet,
  more: readonly Message[] = [],
): Message[] => {
  const { table } = rules
  return batch([
    // Deleting a table that is missing fails the batch, creating one that exists does not.
    createTable(table),
    deleteTable(table),
    createTable(table),
    ...rules.sets.map((set, index) => createSet(table, set, index + 1)),
    ...rules.chains.map(({ chain }) => createChain(table, chain)),
    ...rules.chains.flatMap(({ chain, rules: list }) =>
      list.map(({ purpose, parts }) =>
        addRule(
          table,
          chain.name,
          parts.flatMap(({ expressions }) => expressions),
          purpose,
        ),
      ),
    ),
    ...[...elements].flatMap(([set, list]) => addElements(table, set, list)),
    ...more,
  ])
}
