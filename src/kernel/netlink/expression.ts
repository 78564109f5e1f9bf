// nf_tables rule expressions: each a value that encodes to netlink and reads as a line of text.
import type { Attribute } from "./message.ts"
import { be32, bytes, nest, text } from "./message.ts"

/** A 32-bit register (0..15); the first four of them are one 128-bit register. */
export type Register = number

export type Verdict =
  | { readonly kind: "accept" | "drop" | "return" }
  | { readonly kind: "jump" | "goto"; readonly chain: string }

export type Expression =
  | { readonly kind: "meta"; readonly key: keyof typeof META_KEYS; readonly to: Register }
  | {
      readonly kind: "payload"
      readonly base: "network" | "transport"
      readonly offset: number
      readonly length: number
      readonly to: Register
    }
  | { readonly kind: "ct"; readonly key: keyof typeof CT_KEYS; readonly to: Register }
  | { readonly kind: "fib-type"; readonly of: "source" | "destination"; readonly to: Register }
  | {
      readonly kind: "compare"
      readonly equal: boolean
      readonly from: Register
      readonly value: Uint8Array
      /** Text of the value in dumps. */
      readonly shown?: string
    }
  /** Whether a value lies in a range, both ends included. */
  | {
      readonly kind: "within"
      readonly inverted: boolean
      readonly from: Register
      readonly first: Uint8Array
      readonly last: Uint8Array
    }
  | {
      readonly kind: "mask"
      readonly from: Register
      readonly to: Register
      readonly mask: Uint8Array
    }
  | {
      readonly kind: "lookup"
      readonly set: string
      readonly from: Register
      /** For maps: where the found value goes, "verdict" for a verdict map. A missing key ends the rule. */
      readonly to?: Register | "verdict"
      readonly inverted?: boolean
    }
  | {
      /** Puts bytes into a register. */
      readonly kind: "immediate"
      readonly to: Register
      readonly value: Uint8Array
      readonly shown?: string
    }
  | {
      /** Writes a register's bytes into the transport header; the Internet checksum at `checksum` follows. */
      readonly kind: "rewrite"
      readonly offset: number
      readonly length: number
      readonly from: Register
      readonly checksum: number
    }
  | {
      readonly kind: "dnat" | "snat"
      readonly family: number
      readonly address: Register
      /** Without one the port is kept. */
      readonly port?: Register
    }
  | { readonly kind: "masquerade" }
  | { readonly kind: "verdict"; readonly verdict: Verdict }
  | { readonly kind: "counter" }
  /** An expression of somebody else's rule, as it was read. */
  | { readonly kind: "foreign"; readonly name: string; readonly attributes: readonly Attribute[] }

const META_KEYS = { mark: 3, iifname: 6, oifname: 7, nfproto: 15, l4proto: 16 } as const
const CT_KEYS = { state: 0, direction: 1, status: 2 } as const
const PAYLOAD_BASES = { network: 1, transport: 2 } as const
const VERDICTS = { drop: 0, accept: 1, jump: -3, goto: -4, return: -5 } as const
const FIB_SOURCE = 1
const FIB_DESTINATION = 2
const FIB_RESULT_TYPE = 3
const LIST_ELEMENT = 1
const INTERNET_CHECKSUM = 1
/** Number of the first 32-bit register in messages; 0 is the verdict. */
const FIRST_REGISTER = 8
const VERDICT_REGISTER = 0

const register = (type: number, value: Register): Attribute => be32(type, FIRST_REGISTER + value)
/** Bytes as NFTA_DATA_VALUE. */
export const dataValue = (type: number, value: Uint8Array): Attribute => nest(type, bytes(1, value))
/** A verdict as NFTA_DATA_VERDICT. */
export const dataVerdict = (type: number, verdict: Verdict): Attribute =>
  nest(
    type,
    nest(2, be32(1, VERDICTS[verdict.kind]), ...("chain" in verdict ? [text(2, verdict.chain)] : [])),
  )

const encodeBody = (expression: Expression): [name: string, ...Attribute[]] => {
  switch (expression.kind) {
    case "meta":
      return ["meta", be32(2, META_KEYS[expression.key]), register(1, expression.to)]
    case "payload":
      return [
        "payload",
        register(1, expression.to),
        be32(2, PAYLOAD_BASES[expression.base]),
        be32(3, expression.offset),
        be32(4, expression.length),
      ]
    case "ct":
      return ["ct", be32(2, CT_KEYS[expression.key]), register(1, expression.to)]
    case "fib-type":
      return [
        "fib",
        be32(3, expression.of === "source" ? FIB_SOURCE : FIB_DESTINATION),
        be32(2, FIB_RESULT_TYPE),
        register(1, expression.to),
      ]
    case "compare":
      return [
        "cmp",
        register(1, expression.from),
        be32(2, expression.equal ? 0 : 1),
        dataValue(3, expression.value),
      ]
    case "within":
      return [
        "range",
        register(1, expression.from),
        be32(2, expression.inverted ? 1 : 0),
        dataValue(3, expression.first),
        dataValue(4, expression.last),
      ]
    case "mask":
      return [
        "bitwise",
        register(1, expression.from),
        register(2, expression.to),
        be32(3, expression.mask.length),
        dataValue(4, expression.mask),
        dataValue(5, new Uint8Array(expression.mask.length)),
      ]
    case "lookup":
      return [
        "lookup",
        text(1, expression.set),
        register(2, expression.from),
        ...(expression.to === undefined
          ? []
          : [expression.to === "verdict" ? be32(3, VERDICT_REGISTER) : register(3, expression.to)]),
        ...(expression.inverted ? [be32(5, 1)] : []),
      ]
    case "immediate":
      return ["immediate", register(1, expression.to), dataValue(2, expression.value)]
    case "rewrite":
      return [
        "payload",
        be32(2, PAYLOAD_BASES.transport),
        be32(3, expression.offset),
        be32(4, expression.length),
        register(5, expression.from),
        be32(6, INTERNET_CHECKSUM),
        be32(7, expression.checksum),
      ]
    case "dnat":
    case "snat":
      return [
        "nat",
        be32(1, expression.kind === "dnat" ? 1 : 0),
        be32(2, expression.family),
        register(3, expression.address),
        ...(expression.port === undefined ? [] : [register(5, expression.port)]),
      ]
    case "masquerade":
      return ["masq"]
    case "verdict":
      return ["immediate", be32(1, 0), dataVerdict(2, expression.verdict)]
    case "counter":
      return ["counter"]
    case "foreign":
      return [expression.name, ...expression.attributes]
  }
}

/** One element of NFTA_RULE_EXPRESSIONS. */
export const encodeExpression = (expression: Expression): Attribute => {
  const [name, ...body] = encodeBody(expression)
  return nest(LIST_ELEMENT, text(1, name), nest(2, ...body))
}

/** One line for dumps and documents. */
export const describeExpression = (expression: Expression): string => {
  switch (expression.kind) {
    case "meta":
      return `r${expression.to} = meta ${expression.key}`
    case "payload":
      return `r${expression.to} = ${expression.base} header bytes ${expression.offset}..${expression.offset + expression.length - 1}`
    case "ct":
      return `r${expression.to} = connection ${expression.key}`
    case "fib-type":
      return `r${expression.to} = route type of the ${expression.of} address`
    case "compare":
      return `r${expression.from} ${expression.equal ? "==" : "!="} ${expression.shown ?? `0x${Buffer.from(expression.value).toString("hex")}`}`
    case "within":
      return `r${expression.from} ${expression.inverted ? "not " : ""}within 0x${Buffer.from(expression.first).toString("hex")}..${Buffer.from(expression.last).toString("hex")}`
    case "mask":
      return `r${expression.to} = r${expression.from} & 0x${Buffer.from(expression.mask).toString("hex")}`
    case "lookup":
      if (expression.to === undefined)
        return `r${expression.from} ${expression.inverted ? "not in" : "in"} @${expression.set}`
      return `${expression.to === "verdict" ? "verdict" : `r${expression.to}`} = @${expression.set}[r${expression.from}]`
    case "immediate":
      return `r${expression.to} = ${expression.shown ?? `0x${Buffer.from(expression.value).toString("hex")}`}`
    case "rewrite":
      return `transport header bytes ${expression.offset}..${expression.offset + expression.length - 1} = r${expression.from}`
    case "dnat":
    case "snat":
      return `${expression.kind} to r${expression.address}${expression.port === undefined ? "" : ` port r${expression.port}`}`
    case "masquerade":
      return "masquerade"
    case "verdict":
      return "chain" in expression.verdict
        ? `${expression.verdict.kind} ${expression.verdict.chain}`
        : expression.verdict.kind
    case "counter":
      return "count"
    case "foreign":
      return expression.name
  }
}
