// What the kernel tells of nf_tables: all tables, chains, rules, sets and elements, and what changes in them.
import { readAttributeList, readAttributes, readReplies, readText } from "./decode.ts"
import type { Message } from "./message.ts"
import { DUMP, text } from "./message.ts"

const SUBSYSTEM = 10
const NEW_TABLE = 0
const NEW_CHAIN = 3
const NEW_RULE = 6
const NEW_SET = 9
const NEW_ELEMENT = 12
const NEW_GENERATION = 15
const GET = { tables: 1, chains: 4, rules: 7, sets: 10, elements: 13 } as const
const NOTHING = 1
const OVERRUN = 4
const HEADER = 16
const DORMANT = 1

const kind = (command: number): number => (SUBSYSTEM << 8) | command
const list = (command: number, family: number, ...attributes: Message["attributes"]): Message => ({
  type: kind(command),
  flags: DUMP,
  struct: Uint8Array.of(family, 0, 0, 0),
  attributes,
})

/** Ask for all of a kind, of a family; 0 = of every family. */
export const listTables = (family: number): Message => list(GET.tables, family)
export const listChains = (family: number): Message => list(GET.chains, family)
export const listSets = (family: number): Message => list(GET.sets, family)
/** Asks for the rules of one table, chain by chain. */
export const listRules = (family: number, table: string): Message => list(GET.rules, family, text(1, table))
/** Asks for the elements of one set. */
export const listElements = (family: number, table: string, set: string): Message =>
  list(GET.elements, family, text(1, table), text(2, set))

const HOOKS = ["prerouting", "input", "forward", "output", "postrouting"] as const
/** Families by number: 1 = inet, 2 = ip, 10 = ip6. */
interface InTable {
  readonly family: number
  readonly table: string
}
export interface ListedTable extends InTable {
  /** Switched off: its chains see no packets. */
  readonly dormant: boolean
}
export interface ListedChain extends InTable {
  readonly name: string
  /** Base chains only. */
  readonly hook?: (typeof HOOKS)[number]
  readonly policy?: "accept" | "drop"
  readonly type?: string
}
/** An expression as it travels: its name and its attributes. */
export interface ListedExpression {
  readonly name: string
  readonly data: Buffer
}
export interface ListedRule extends InTable {
  readonly chain: string
  readonly handle: bigint
  /** "" when it has none. */
  readonly comment: string
  readonly expressions: readonly ListedExpression[]
}
export interface ListedSet extends InTable {
  readonly name: string
  readonly attributes: ReadonlyMap<number, Buffer>
}
export interface ListedElement {
  readonly attributes: ReadonlyMap<number, Buffer>
}

const listed = (
  replies: Buffer,
  command: number,
): (InTable & { readonly attributes: ReadonlyMap<number, Buffer> })[] =>
  readReplies(replies)
    .filter(({ type }) => type === kind(command))
    .map(({ body }) => {
      const attributes = readAttributes(body.subarray(4))
      return { family: body[0] ?? 0, table: readText(attributes.get(1)), attributes }
    })

/** Tables among replies. */
export const readTables = (replies: Buffer): ListedTable[] =>
  listed(replies, NEW_TABLE).map(({ family, table, attributes }) => ({
    family,
    table,
    dormant: ((attributes.get(2)?.readUInt32BE() ?? 0) & DORMANT) !== 0,
  }))

/** Chains among replies. */
export const readChains = (replies: Buffer): ListedChain[] =>
  listed(replies, NEW_CHAIN).map(({ family, table, attributes }) => {
    const hook = attributes.get(4)
    const number = hook ? readAttributes(hook).get(1)?.readUInt32BE() : undefined
    const policy = attributes.get(5)?.readUInt32BE()
    const type = attributes.get(7)
    return {
      family,
      table,
      name: readText(attributes.get(3)),
      ...(number === undefined ? {} : { hook: HOOKS[number] }),
      ...(policy === undefined ? {} : { policy: policy === 0 ? ("drop" as const) : ("accept" as const) }),
      ...(type ? { type: readText(type) } : {}),
    }
  })

/** User data is a list of type, length and value; a comment is of type 0. */
const readComment = (data: Buffer = Buffer.alloc(0)): string => {
  for (let at = 0; at + 2 <= data.length; at += 2 + (data[at + 1] ?? 0))
    if (data[at] === 0) return readText(data.subarray(at + 2, at + 2 + (data[at + 1] ?? 0)))
  return ""
}

/** Rules among replies, in order. */
export const readRules = (replies: Buffer): ListedRule[] =>
  listed(replies, NEW_RULE).map(({ family, table, attributes }) => ({
    family,
    table,
    chain: readText(attributes.get(2)),
    handle: attributes.get(3)?.readBigUInt64BE() ?? 0n,
    comment: readComment(attributes.get(7)),
    expressions: readAttributeList(attributes.get(4) ?? Buffer.alloc(0)).map(([, value]) => {
      const expression = readAttributes(value)
      return { name: readText(expression.get(1)), data: expression.get(2) ?? Buffer.alloc(0) }
    }),
  }))

/** Sets and maps among replies. */
export const readSets = (replies: Buffer): ListedSet[] =>
  listed(replies, NEW_SET).map(({ family, table, attributes }) => ({
    family,
    table,
    name: readText(attributes.get(2)),
    attributes,
  }))

/** Elements among replies, of whichever sets. */
export const readElements = (replies: Buffer): (InTable & { set: string; elements: ListedElement[] })[] =>
  listed(replies, NEW_ELEMENT).map(({ family, table, attributes }) => ({
    family,
    table,
    set: readText(attributes.get(2)),
    elements: readAttributeList(attributes.get(3) ?? Buffer.alloc(0)).map(([, value]) => ({
      attributes: readAttributes(value),
    })),
  }))

/** What a watch of nf_tables tells. */
export type TableEvent =
  /** From now on everything is told. */
  | { readonly kind: "listening" }
  /** Something was missed. */
  | { readonly kind: "lost" }
  | ({ readonly kind: "changed" } & InTable)
  /** The changes before it took effect, all at once; `by` is the name of the process that asked for them. */
  | { readonly kind: "done"; readonly by: string }

/** Number of the multicast group that tells of nf_tables. */
export const TABLES_GROUP = 7

/** Events among the bytes of a watch. */
export const readTableEvents = (bytes: Buffer): TableEvent[] => {
  const events: TableEvent[] = []
  for (let at = 0; at + HEADER <= bytes.length; ) {
    const length = bytes.readUInt32LE(at)
    if (length < HEADER || at + length > bytes.length) break
    const type = bytes.readUInt16LE(at + 4)
    const body = bytes.subarray(at + HEADER, at + length)
    at += (length + 3) & ~3
    if (type === NOTHING) events.push({ kind: "listening" })
    else if (type === OVERRUN) events.push({ kind: "lost" })
    else if (type >> 8 === SUBSYSTEM && body.length >= 4) {
      const attributes = readAttributes(body.subarray(4))
      events.push(
        type === kind(NEW_GENERATION)
          ? { kind: "done", by: readText(attributes.get(3)) }
          : { kind: "changed", family: body[0] ?? 0, table: readText(attributes.get(1)) },
      )
    }
  }
  return events
}
