// nf_tables objects: tables, chains, rules, sets, maps and their elements, in batches that take effect as one.
import { readAttributes } from "./decode.ts"
import type { Expression, Verdict } from "./expression.ts"
import { dataValue, dataVerdict, encodeExpression } from "./expression.ts"
import type { Attribute, Message } from "./message.ts"
import { ACK, APPEND, be32, bytes, CREATE, nest, text } from "./message.ts"

const SUBSYSTEM = 10
const BATCH_BEGIN = 16
const BATCH_END = 17
const NEW_TABLE = 0
const DELETE_TABLE = 2
const NEW_CHAIN = 3
const NEW_RULE = 6
const DELETE_RULE = 8
const NEW_SET = 9
const NEW_ELEMENT = 12
const DELETE_ELEMENT = 14
const LIST_ELEMENT = 1

const HOOKS = { prerouting: 0, input: 1, forward: 2, output: 3, postrouting: 4 } as const
const FLAG_INTERVAL = 0x4
const FLAG_MAP = 0x8
const FLAG_CONCATENATED = 0x80
const ELEMENT_INTERVAL_END = 1
const SET_BYTE_ORDER = 0
const HOST_ORDER = 1
const VERDICT_TYPE = 0xffffff00

/** nftables' own numbers of the types, which only matter to those who list our sets. */
const TYPES = { ipv4_addr: 7, ipv6_addr: 8, inet_proto: 12, inet_service: 13, mark: 19, ifname: 41 } as const
const LENGTHS = { ipv4_addr: 4, ipv6_addr: 16, inet_proto: 1, inet_service: 2, mark: 4, ifname: 16 } as const
export type FieldType = keyof typeof TYPES

/** A table: its family is 2 (ip), 10 (ip6) or 1 (inet). */
export interface TableName {
  readonly family: number
  readonly name: string
}
export interface Chain {
  readonly name: string
  /** Absent for a chain that is only jumped to. */
  readonly hook?: {
    readonly type: "filter" | "nat"
    readonly at: keyof typeof HOOKS
    readonly priority: number
    readonly policy: "accept" | "drop"
  }
}
export interface NamedSet {
  readonly name: string
  /** Several = a concatenation. */
  readonly key: readonly FieldType[]
  /** A map's values; "verdict" makes a verdict map. */
  readonly value?: readonly FieldType[] | "verdict"
  readonly interval?: boolean
}
export interface Element {
  /** Each field's bytes. */
  readonly key: readonly Uint8Array[]
  /** Last key of an interval (inclusive), fields as in key. */
  readonly last?: readonly Uint8Array[]
  readonly value?: readonly Uint8Array[] | Verdict
}

const struct = (family: number, resource = 0): Uint8Array =>
  Uint8Array.of(family, 0, resource >> 8, resource & 0xff)
const message = (
  table: TableName,
  type: number,
  flags: number,
  attributes: readonly Attribute[],
): Message => ({
  type: (SUBSYSTEM << 8) | type,
  flags: flags | ACK,
  struct: struct(table.family),
  attributes,
})

/** Wraps messages so that the kernel performs all of them or none. */
export const batch = (messages: readonly Message[]): Message[] => [
  { type: BATCH_BEGIN, flags: 0, struct: struct(0, SUBSYSTEM), attributes: [] },
  ...messages,
  { type: BATCH_END, flags: 0, struct: struct(0, SUBSYSTEM), attributes: [] },
]

/** Creates a table; one that exists is left as it is. */
export const createTable = (table: TableName): Message =>
  message(table, NEW_TABLE, CREATE, [text(1, table.name)])
/** Deletes a table with all that is in it. Fails with ENOENT. */
export const deleteTable = (table: TableName): Message =>
  message(table, DELETE_TABLE, 0, [text(1, table.name)])

export const createChain = (table: TableName, chain: Chain): Message =>
  message(table, NEW_CHAIN, CREATE, [
    text(1, table.name),
    text(3, chain.name),
    ...(chain.hook
      ? [
          nest(4, be32(1, HOOKS[chain.hook.at]), be32(2, chain.hook.priority)),
          be32(5, chain.hook.policy === "accept" ? 1 : 0),
          text(7, chain.hook.type),
        ]
      : []),
  ])

const be64 = (type: number, value: bigint): Attribute => {
  const out = Buffer.alloc(8)
  out.writeBigUInt64BE(value)
  return bytes(type, out)
}

/** Longest comment in bytes that listing tools take. */
const COMMENT_BYTES = 127
/** A comment as nft and its library keep it: a list of type, length and NUL-terminated text. */
const commentData = (type: number, comment: string): Attribute => {
  const value = Buffer.from(`${comment.slice(0, COMMENT_BYTES)}\0`)
  return bytes(type, Buffer.concat([Uint8Array.of(0, value.length), value]))
}

/**
 * Appends a rule, or puts it right before the one with the handle `before`. Its comment, of up to 127 ASCII characters, is for
 * those who list the table.
 */
export const addRule = (
  table: TableName,
  chain: string,
  expressions: readonly Expression[],
  comment?: string,
  before?: bigint,
): Message =>
  message(table, NEW_RULE, before === undefined ? CREATE | APPEND : CREATE, [
    text(1, table.name),
    text(2, chain),
    nest(4, ...expressions.map(encodeExpression)),
    ...(before === undefined ? [] : [be64(6, before)]),
    ...(comment === undefined ? [] : [commentData(7, comment)]),
  ])

/** Deletes the rule with a handle. Fails with ENOENT. */
export const deleteRule = (table: TableName, chain: string, handle: bigint): Message =>
  message(table, DELETE_RULE, 0, [text(1, table.name), text(2, chain), be64(3, handle)])

const padded = (length: number): number => (length + 3) & ~3
const typeNumber = (fields: readonly FieldType[]): number =>
  fields.reduce((number, field) => (number << 6) | TYPES[field], 0)
const keyLength = (fields: readonly FieldType[]): number =>
  fields.length === 1
    ? LENGTHS[fields[0] ?? "mark"]
    : fields.reduce((sum, field) => sum + padded(LENGTHS[field]), 0)

/** Creates a set or map. `id` only has to differ within one batch. */
export const createSet = (table: TableName, set: NamedSet, id: number): Message => {
  const concatenated = set.key.length > 1
  const flags =
    (set.interval ? FLAG_INTERVAL | (concatenated ? FLAG_CONCATENATED : 0) : 0) | (set.value ? FLAG_MAP : 0)
  const value: Attribute[] =
    set.value === undefined
      ? []
      : set.value === "verdict"
        ? [be32(6, VERDICT_TYPE), be32(7, 0)]
        : [be32(6, typeNumber(set.value)), be32(7, keyLength(set.value))]
  const fields = set.key.map((field) => nest(LIST_ELEMENT, be32(1, padded(LENGTHS[field]))))
  return message(table, NEW_SET, CREATE, [
    text(1, table.name),
    text(2, set.name),
    be32(3, flags),
    be32(4, typeNumber(set.key)),
    be32(5, keyLength(set.key)),
    ...value,
    ...(concatenated && set.interval ? [nest(9, nest(2, ...fields))] : []),
    be32(10, id),
    // Without being told, nft takes names of interfaces for big-endian numbers and shows none.
    ...(set.key.includes("ifname") ? [bytes(13, Uint8Array.of(SET_BYTE_ORDER, 4, HOST_ORDER, 0, 0, 0))] : []),
  ])
}

/** Concatenated fields start at multiples of four bytes; a single one is as long as it is. */
const joinFields = (fields: readonly Uint8Array[]): Uint8Array => {
  if (fields.length === 1) return fields[0] ?? new Uint8Array()
  const out = new Uint8Array(fields.reduce((sum, field) => sum + padded(field.length), 0))
  let at = 0
  for (const field of fields) {
    out.set(field, at)
    at += padded(field.length)
  }
  return out
}

/** The key after `bytes`, which closes an interval of a set with one field. Undefined past the highest key. */
const following = (key: Uint8Array): Uint8Array | undefined => {
  const out = Uint8Array.from(key)
  for (let at = out.length - 1; at >= 0; at--) {
    out[at] = ((out[at] ?? 0) + 1) & 0xff
    if (out[at] !== 0) return out
  }
  return undefined
}

const encodeElement = (element: Element): Attribute[] => {
  const value =
    element.value === undefined
      ? []
      : "kind" in element.value
        ? [dataVerdict(2, element.value)]
        : [dataValue(2, joinFields(element.value))]
  const key = dataValue(1, joinFields(element.key))
  if (!element.last) return [nest(LIST_ELEMENT, key, ...value)]
  if (element.key.length > 1)
    return [nest(LIST_ELEMENT, key, dataValue(10, joinFields(element.last)), ...value)]
  const end = following(joinFields(element.last))
  return [
    nest(LIST_ELEMENT, key, ...value),
    ...(end ? [nest(LIST_ELEMENT, dataValue(1, end), be32(3, ELEMENT_INTERVAL_END))] : []),
  ]
}

/** Attribute lengths are 16 bits wide, so that long lists travel as several messages of one batch. */
const ELEMENTS_PER_MESSAGE = 400
const elements = (
  table: TableName,
  type: number,
  flags: number,
  set: string,
  list: readonly Element[],
): Message[] => {
  const messages: Message[] = []
  for (let at = 0; at < list.length; at += ELEMENTS_PER_MESSAGE)
    messages.push(
      message(table, type, flags, [
        text(1, table.name),
        text(2, set),
        nest(3, ...list.slice(at, at + ELEMENTS_PER_MESSAGE).flatMap(encodeElement)),
      ]),
    )
  return messages
}

/** Adds elements. A key that is there with another value fails the batch. */
export const addElements = (table: TableName, set: string, list: readonly Element[]): Message[] =>
  elements(table, NEW_ELEMENT, CREATE, set, list)
/** Removes elements. A missing one fails the batch. */
export const removeElements = (table: TableName, set: string, list: readonly Element[]): Message[] =>
  elements(table, DELETE_ELEMENT, 0, set, list)

const SET_FLAGS = 3
/** Anonymous and constant sets, and those that packets change, become plain ones. */
const COPIED_SET_FLAGS = FLAG_INTERVAL | FLAG_MAP | FLAG_CONCATENATED | 0x10
/** Types, lengths, the parts of a key, timeouts and what listing tools keep there. */
const COPIED_SET = [4, 5, 6, 7, 9, 11, 12, 13]
const NESTED = 0x8000
const SET_DESCRIPTION = 9

/** Creates a set like one that was read (its attributes) under another name. */
export const copySet = (
  table: TableName,
  name: string,
  attributes: ReadonlyMap<number, Buffer>,
  id: number,
): Message =>
  message(table, NEW_SET, CREATE, [
    text(1, table.name),
    text(2, name),
    be32(SET_FLAGS, (attributes.get(SET_FLAGS)?.readUInt32BE() ?? 0) & COPIED_SET_FLAGS),
    ...COPIED_SET.flatMap((type) => {
      const value = attributes.get(type)
      return value ? [bytes(type === SET_DESCRIPTION ? type | NESTED : type, value)] : []
    }),
    be32(10, id),
  ])

/** An element as it was read; `chain` replaces the one that its verdict leads to. */
export interface CopiedElement {
  readonly attributes: ReadonlyMap<number, Buffer>
  readonly chain?: string
}
const KEY = 1
const DATA = 2
const FLAGS = 3
const KEY_END = 10
/** Keys, value, flags, timeout and what is left of it. */
const COPIED_ELEMENT = [KEY, FLAGS, 4, 5, KEY_END] as const
const NESTED_IN_ELEMENT: readonly number[] = [KEY, DATA, KEY_END]

/** Trees of intervals want ascending keys, an interval's end before the start of another at the same place. */
const inOrder = (one: CopiedElement, other: CopiedElement): number =>
  Buffer.compare(one.attributes.get(KEY) ?? Buffer.alloc(0), other.attributes.get(KEY) ?? Buffer.alloc(0)) ||
  (other.attributes.get(FLAGS)?.readUInt32BE() ?? 0) - (one.attributes.get(FLAGS)?.readUInt32BE() ?? 0)

const copiedData = ({ attributes, chain }: CopiedElement): Attribute[] => {
  const value = attributes.get(DATA)
  if (!value) return []
  if (chain === undefined) return [bytes(DATA | NESTED, value)]
  const code = readAttributes(readAttributes(value).get(2)).get(1)?.readInt32BE()
  return [dataVerdict(DATA, { kind: code === VERDICT_GOTO ? "goto" : "jump", chain })]
}
const VERDICT_GOTO = -4

/** Adds elements like those that were read. */
export const copyElements = (table: TableName, set: string, list: readonly CopiedElement[]): Message[] => {
  const sorted = list.toSorted(inOrder)
  const messages: Message[] = []
  for (let at = 0; at < sorted.length; at += ELEMENTS_PER_MESSAGE)
    messages.push(
      message(table, NEW_ELEMENT, CREATE, [
        text(1, table.name),
        text(2, set),
        nest(
          3,
          ...sorted.slice(at, at + ELEMENTS_PER_MESSAGE).map((element) =>
            nest(
              LIST_ELEMENT,
              ...COPIED_ELEMENT.flatMap((type) => {
                const value = element.attributes.get(type)
                return value ? [bytes(NESTED_IN_ELEMENT.includes(type) ? type | NESTED : type, value)] : []
              }),
              ...copiedData(element),
            ),
          ),
        ),
      ]),
    )
  return messages
}
