// Expressions of other tables' rules: what they look up, where they lead, and whether they can be copied as they are.
import type { Attribute, Expression, ListedExpression, ListedRule } from "../../../kernel/netlink/netlink.ts"
import { readAttributes, readText } from "../../../kernel/netlink/netlink.ts"

const NESTED = 0x8000
const CHAIN = 2
const VERDICT = 2
const VERDICT_CODES = new Map([
  [0, "drop"],
  [1, "accept"],
  [-1, "continue"],
  [-3, "jump"],
  [-4, "goto"],
  [-5, "return"],
] as const)
type VerdictKind = typeof VERDICT_CODES extends Map<number, infer Kind> ? Kind : never
export interface ForeignVerdict {
  readonly kind: VerdictKind | "other"
  readonly chain?: string
}

type Attributes = ReadonlyMap<number, Buffer>

/** The verdict of NFTA_SET_ELEM_DATA or NFTA_IMMEDIATE_DATA; undefined for plain data. */
export const verdictOfData = (data: Attributes): ForeignVerdict | undefined => {
  const nested = data.get(VERDICT)
  if (!nested) return undefined
  const verdict = readAttributes(nested)
  const chain = verdict.get(CHAIN)
  return {
    kind: VERDICT_CODES.get((verdict.get(1)?.readInt32BE() ?? 0) as 0) ?? "other",
    ...(chain ? { chain: readText(chain) } : {}),
  }
}

/** Undefined for an expression that gives no verdict. */
export const verdictOf = ({ name, data }: ListedExpression): ForeignVerdict | undefined =>
  name === "immediate" ? verdictOfData(readAttributes(readAttributes(data).get(2))) : undefined
export const verdictOfRule = (rule: ListedRule): ForeignVerdict | undefined =>
  rule.expressions.map(verdictOf).find((verdict) => verdict !== undefined)

/** Name of the set that an expression looks something up in. */
export const lookupSet = ({ name, data }: ListedExpression): string | undefined =>
  name === "lookup" ? readText(readAttributes(data).get(1)) : undefined

/** Attributes as they were read, each nested one marked again. */
export const rawAttributes = (data: Buffer): Attribute[] =>
  [...readAttributes(data)].map(([type, bytes]) => ({ type, bytes }))
const nestedTypes: Readonly<Record<string, readonly number[]>> = {
  cmp: [3],
  bitwise: [4, 5, 7],
  range: [3, 4],
  immediate: [2],
}

/** Does nothing to the packet that a copy should do once more, nor decides anything. */
const SILENT: readonly string[] = ["counter", "log", "notrack", "last"]
/** Compare, compute and load; what they need is there before the destination is translated too. */
const PLAIN: readonly string[] = [
  "bitwise",
  "byteorder",
  "cmp",
  "exthdr",
  "fib",
  "hash",
  "limit",
  "numgen",
  "range",
  "reject",
]
/** Attribute that makes these write instead of read. */
const WRITES: Readonly<Record<string, number>> = { meta: 3, payload: 5, ct: 4, exthdr: 7 }
/** Keys of meta that only a packet with a socket has. */
const OF_SOCKETS: readonly number[] = [10, 11, 23]

const copy = ({ name, data }: ListedExpression): Expression => ({
  kind: "foreign",
  name,
  attributes: rawAttributes(data).map((attribute) =>
    nestedTypes[name]?.includes(attribute.type) ? { ...attribute, type: attribute.type | NESTED } : attribute,
  ),
})

/**
 * What a copy of an expression is: "silent" when it can be left out, "unknown" when nobody can tell what the rule does
 * without it. Lookups, verdicts and extensions of iptables are not for here.
 */
export const copyPlain = (expression: ListedExpression): Expression | "silent" | "unknown" => {
  const { name, data } = expression
  if (SILENT.includes(name)) return "silent"
  const attributes = readAttributes(data)
  const writes = WRITES[name]
  if (writes !== undefined && attributes.has(writes)) return "unknown"
  if (name === "meta" && OF_SOCKETS.includes(attributes.get(2)?.readUInt32BE() ?? 0)) return "unknown"
  if (name === "meta" || name === "payload" || name === "ct" || name === "immediate") return copy(expression)
  return PLAIN.includes(name) ? copy(expression) : "unknown"
}
