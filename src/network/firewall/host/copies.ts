// The host's input rules once more, in our table, asked of packets to published ports before they are translated.
import type {
  Element,
  Expression,
  ListedElement,
  ListedExpression,
  ListedRule,
  Message,
  TableName,
} from "../../../kernel/netlink/netlink.ts"
import {
  addElements,
  addRule,
  copyElements,
  copySet,
  createChain,
  createSet,
  readAttributes,
} from "../../../kernel/netlink/netlink.ts"
import type { Part, Version } from "../matches.ts"
import { interfaceIn, notBeginning, portKnown, socketKnown, toThisHost, verdict } from "../matches.ts"
import { DESTINATION_NAT } from "../ruleset.ts"
import type { ForeignVerdict } from "./foreign-expression.ts"
import { copyPlain, lookupSet, rawAttributes, verdictOf, verdictOfData } from "./foreign-expression.ts"
import type { HostRules, HostTable } from "./host-rules.ts"
import { MOST_ELEMENTS } from "./host-rules.ts"
import type { Translation } from "./xtables.ts"
import { extensionName, translate } from "./xtables.ts"

const FAMILY_WORDS = new Map([
  [1, "inet"],
  [2, "ip"],
  [10, "ip6"],
])
const VERSIONS = new Map<number, readonly Version[]>([
  [1, [4, 6]],
  [2, [4]],
  [10, [6]],
])
/** After connection tracking and marks, before any translation. */
const PRIORITY = DESTINATION_NAT - 10
const DATA = 2

/** Messages that add the copies to our table in the same batch that makes it, and what could not be copied. */
export interface Copies {
  readonly messages: readonly Message[]
  readonly warnings: readonly string[]
}

export const copyHostRules = (rules: HostRules, table: TableName): Copies => {
  const copier = new Copier(table)
  for (const one of rules.tables) copier.copyTable(one)
  return { messages: copier.messages(), warnings: copier.warnings }
}

const wordOf = (family: number): string => FAMILY_WORDS.get(family) ?? String(family)

class Copier {
  readonly warnings: string[] = []
  readonly #table: TableName
  readonly #sets: Message[] = []
  readonly #chains: Message[] = []
  readonly #elements: Message[] = []
  readonly #rules: Message[] = []
  #serial = 0

  constructor(table: TableName) {
    this.#table = table
  }

  /** Each may name what comes before: elements lead to chains, rules to both and to sets. */
  messages(): Message[] {
    return [...this.#sets, ...this.#chains, ...this.#elements, ...this.#rules]
  }

  copyTable(table: HostTable): void {
    if (!canDrop(table)) return
    const prefix = `host-${wordOf(table.family)}-${table.name}-`
    for (const [name, { attributes, elements }] of table.sets) {
      if (!elements) continue
      const copied = `${prefix}${name}`
      this.#sets.push(copySet(this.#table, copied, attributes, this.#nextId()))
      const list = elements.map((element) => renamed(element, prefix))
      this.#elements.push(...copyElements(this.#table, copied, list))
    }
    for (const [name, rules] of table.chains) {
      this.#chains.push(createChain(this.#table, { name: `${prefix}${name}` }))
      for (const rule of rules) this.#copyRule(rule, table, prefix)
    }
    for (const { name, policy = "accept" } of table.inputs) this.#ask(table, name, policy, prefix)
  }

  #nextId(): number {
    this.#serial++
    return 1000 + this.#serial
  }
  #add(chain: string, ...parts: readonly Part[]): void {
    this.#rules.push(
      addRule(
        this.#table,
        chain,
        parts.flatMap((part) => part.expressions),
      ),
    )
  }

  /** A base chain of our own that leads what would reach a published port through a copy of one of the host's. */
  #ask(table: HostTable, name: string, policy: "accept" | "drop", prefix: string): void {
    const chain = `ask-${prefix}${name}`
    const accept = verdict({ kind: "accept" })
    const ask = verdict({ kind: "goto", chain: `${prefix}${name}` })
    this.#chains.push(
      createChain(this.#table, {
        name: chain,
        hook: { type: "filter", at: "prerouting", priority: PRIORITY, policy },
      }),
    )
    this.#add(chain, notBeginning, accept)
    this.#add(chain, interfaceIn("iifname", "bridges"), accept)
    for (const version of VERSIONS.get(table.family) ?? []) {
      this.#add(chain, socketKnown(version, `published${version}`), ask)
      this.#add(chain, toThisHost, portKnown(version, `everywhere${version}`), ask)
      this.#add(chain, toThisHost, socketKnown(version, `ranges${version}`), ask)
    }
    this.#add(chain, accept)
  }

  /** A rule that is not understood is left out: it neither opens nor shuts what the others leave as it is. */
  #copyRule(rule: ListedRule, table: HostTable, prefix: string): void {
    if (!decides(rule)) return
    const copied: Expression[] = []
    for (const expression of rule.expressions) {
      const part = this.#copyExpression(expression, table, prefix)
      if (part === "never") return
      if (part === "unknown") {
        this.#warn(rule, expression)
        return
      }
      copied.push(...part)
    }
    if (copied.length > 0) this.#rules.push(addRule(this.#table, `${prefix}${rule.chain}`, copied))
  }

  #warn(rule: ListedRule, expression: ListedExpression): void {
    this.warnings.push(
      `rule ${rule.handle} of chain ${rule.chain} in firewall table ${wordOf(rule.family)} ${rule.table} is not heeded ` +
        `for published ports: this engine does not know what ${JSON.stringify(extensionName(expression))} in it does`,
    )
  }

  #copyExpression(
    expression: ListedExpression,
    table: HostTable,
    prefix: string,
  ): readonly Expression[] | "unknown" | "never" {
    const set = lookupSet(expression)
    if (set !== undefined) {
      const elements = table.sets.get(set)?.elements
      if (!elements || elements.length > MOST_ELEMENTS) return "unknown"
      return [lookupIn(expression, `${prefix}${set}`)]
    }
    const given = verdictOf(expression)
    if (given) return copyVerdict(given, prefix)
    if (expression.name === "match" || expression.name === "target")
      return this.#translated(translate(expression), prefix)
    const plain = copyPlain(expression)
    if (plain === "silent") return []
    return plain === "unknown" ? "unknown" : [plain]
  }

  #translated(translation: Translation, prefix: string): readonly Expression[] | "unknown" | "never" {
    switch (translation.kind) {
      case "expressions":
        return translation.expressions
      case "silent":
        return []
      case "drop":
        return [{ kind: "verdict", verdict: { kind: "drop" } }]
      case "never":
      case "unknown":
        return translation.kind
      case "ports":
        return this.#portsIn(translation, prefix)
    }
  }

  #portsIn(
    { ranges, offset, inverted }: Extract<Translation, { kind: "ports" }>,
    prefix: string,
  ): readonly Expression[] {
    const id = this.#nextId()
    const name = `${prefix}ports-${id}`
    const bytes = (port: number): Uint8Array => Uint8Array.of(port >> 8, port & 0xff)
    const elements = merged(ranges).map(
      ([first, last]): Element => ({ key: [bytes(first)], last: [bytes(last)] }),
    )
    this.#sets.push(createSet(this.#table, { name, key: ["inet_service"], interval: true }, id))
    this.#elements.push(...addElements(this.#table, name, elements))
    return [
      { kind: "payload", base: "transport", offset, length: 2, to: 0 },
      { kind: "lookup", set: name, from: 0, ...(inverted ? { inverted } : {}) },
    ]
  }
}

/** Rules that only count or log decide nothing. */
const decides = (rule: ListedRule): boolean =>
  rule.expressions.some(
    (expression) =>
      ["lookup", "reject", "target"].includes(expression.name) ||
      verdictOf(expression) !== undefined ||
      copyPlain(expression) === "unknown",
  )

/** A table whose rules only ever accept need not be asked. */
const canDrop = (table: HostTable): boolean =>
  table.inputs.some(({ policy }) => policy === "drop") ||
  [...table.chains.values()].flat().some((rule) =>
    rule.expressions.some((expression) => {
      const given = verdictOf(expression)
      return given?.kind === "drop" || expression.name === "reject" || expression.name === "target"
    }),
  ) ||
  [...table.sets.values()].some((set) =>
    set.elements?.some(
      ({ attributes }) => verdictOfData(readAttributes(attributes.get(DATA)))?.kind === "drop",
    ),
  )

const copyVerdict = (given: ForeignVerdict, prefix: string): readonly Expression[] | "unknown" => {
  const { kind, chain = "" } = given
  switch (kind) {
    case "accept":
    case "drop":
    case "return":
      return [{ kind: "verdict", verdict: { kind } }]
    case "jump":
    case "goto":
      return [{ kind: "verdict", verdict: { kind, chain: `${prefix}${chain}` } }]
    case "continue":
      return []
    case "other":
      return "unknown"
  }
}

const SET_NAME = 1
const SET_ID = 4
const lookupIn = ({ data }: ListedExpression, set: string): Expression => ({
  kind: "foreign",
  name: "lookup",
  attributes: [
    { type: SET_NAME, bytes: Buffer.from(`${set}\0`) },
    ...rawAttributes(data).filter(({ type }) => type !== SET_NAME && type !== SET_ID),
  ],
})

/** The element with its verdict's chain renamed. */
const renamed = (element: ListedElement, prefix: string): ListedElement & { readonly chain?: string } => {
  const chain = verdictOfData(readAttributes(element.attributes.get(DATA)))?.chain
  return chain === undefined ? element : { ...element, chain: `${prefix}${chain}` }
}

/** Ranges in order, without overlaps. */
const merged = (ranges: readonly (readonly [number, number])[]): [number, number][] => {
  const out: [number, number][] = []
  for (const [first, last] of ranges.toSorted(([one], [other]) => one - other)) {
    const before = out.at(-1)
    if (before && first <= before[1] + 1) before[1] = Math.max(before[1], last)
    else out.push([first, last])
  }
  return out
}
