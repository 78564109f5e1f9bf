// What leads 127.0.0.11:53 in a container's network namespace to the sockets of its monitor, and their answers back.
import type { Operation } from "../../kernel/kernel.ts"
import type { Expression, Message, TableName } from "../../kernel/netlink/netlink.ts"
import {
  addRule,
  batch,
  createChain,
  createTable,
  deleteTable,
  FAMILY_IPV4,
  ipBytes,
  netlinkOperation,
} from "../../kernel/netlink/netlink.ts"

/** The name server's address as containers see it. */
export const NAME_SERVER_ADDRESS = "127.0.0.11"
/**
 * Where the monitor really listens (launcher/names.c has it too): outside the ephemeral ports, and not 53, so that a
 * name server of the user's own may take 0.0.0.0:53.
 */
export const NAME_SERVER_PORT = 61053

const TABLE: TableName = { family: FAMILY_IPV4, name: "sloop-names" }
/** Before connection tracking, which need not know of it. */
const RAW = -300
const SOURCE_ADDRESS = 12
const DESTINATION_ADDRESS = 16
const SOURCE_PORT = 0
const DESTINATION_PORT = 2
/** Number of the protocol and where its checksum is. */
const PROTOCOLS = [
  { number: 17, checksum: 6 },
  { number: 6, checksum: 16 },
] as const

const portBytes = (port: number): Uint8Array => Uint8Array.of(port >> 8, port & 0xff)

const when = (offset: number, chain: string): Expression[] => [
  { kind: "payload", base: "network", offset, length: 4, to: 0 },
  { kind: "compare", equal: true, from: 0, value: ipBytes(NAME_SERVER_ADDRESS), shown: NAME_SERVER_ADDRESS },
  { kind: "verdict", verdict: { kind: "goto", chain } },
]

const rewrites = (chain: string, offset: number, from: number, to: number): Message[] =>
  PROTOCOLS.map(({ number, checksum }) =>
    addRule(TABLE, chain, [
      { kind: "meta", key: "l4proto", to: 0 },
      { kind: "compare", equal: true, from: 0, value: Uint8Array.of(number) },
      { kind: "payload", base: "transport", offset, length: 2, to: 0 },
      { kind: "compare", equal: true, from: 0, value: portBytes(from), shown: String(from) },
      { kind: "immediate", to: 0, value: portBytes(to), shown: String(to) },
      { kind: "rewrite", offset, length: 2, from: 0, checksum },
    ]),
  )

/**
 * Netlink operations for the plan that makes a namespace (`netns-create`), or for `netlink` in a container's namespace
 * (`namespace /proc/PID/ns/net`). Ports are rewritten packet by packet, without translation of addresses or connection
 * tracking: nothing is kept per query, and other traffic pays two comparisons. `fresh` is for a namespace that has never
 * been led so: it saves the kernel's wait for what is removed (some 10 ms). Otherwise, done twice is the same as once.
 */
export const redirectOperations = ({ fresh = false } = {}): Operation[] => [
  netlinkOperation(
    "inside",
    "netfilter",
    batch([
      // Deleting a table that is missing fails the batch, creating one that exists does not.
      ...(fresh ? [] : [createTable(TABLE), deleteTable(TABLE)]),
      createTable(TABLE),
      createChain(TABLE, { name: "questions" }),
      createChain(TABLE, { name: "answers" }),
      createChain(TABLE, {
        name: "output",
        hook: { type: "filter", at: "output", priority: RAW, policy: "accept" },
      }),
      ...rewrites("questions", DESTINATION_PORT, 53, NAME_SERVER_PORT),
      ...rewrites("answers", SOURCE_PORT, NAME_SERVER_PORT, 53),
      addRule(TABLE, "output", when(DESTINATION_ADDRESS, "questions")),
      addRule(TABLE, "output", when(SOURCE_ADDRESS, "answers")),
    ]),
  ),
]
