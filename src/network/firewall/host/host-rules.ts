// The rules of other tables that decide what reaches this host itself (hook input), with the sets that they use.
import type { Kernel } from "../../../kernel/kernel.ts"
import type {
  ListedChain,
  ListedElement,
  ListedRule,
  ListedSet,
  Message,
} from "../../../kernel/netlink/netlink.ts"
import {
  listChains,
  listElements,
  listRules,
  listSets,
  listTables,
  netlinkOperation,
  readAttributes,
  readChains,
  readElements,
  readRules,
  readSets,
  readTables,
} from "../../../kernel/netlink/netlink.ts"
import { collect } from "../../request.ts"
import { lookupSet, verdictOfData, verdictOfRule } from "./foreign-expression.ts"

/** A set with more elements than this is not copied. */
export const MOST_ELEMENTS = 20_000
const INET = 1
const FAMILIES: readonly number[] = [INET, 2, 10]
const DATA = 2

export interface HostSet extends ListedSet {
  /** Undefined when there are too many. */
  readonly elements?: readonly ListedElement[]
}
/** One table with a base chain at input, and what can be reached from there. */
export interface HostTable {
  readonly family: number
  readonly name: string
  /** Base chains at input, in the kernel's order. */
  readonly inputs: readonly ListedChain[]
  /** Chains that are reached, base chains included, with their rules in order. */
  readonly chains: ReadonlyMap<string, readonly ListedRule[]>
  readonly sets: ReadonlyMap<string, HostSet>
}
export interface HostRules {
  readonly tables: readonly HostTable[]
  /** Every base chain at forward, with its own rules. */
  readonly forwards: readonly { readonly chain: ListedChain; readonly rules: readonly ListedRule[] }[]
}

/** Each list in an operation of its own: the kernel writes one list at a time. */
const ask = async (kernel: Kernel, messages: readonly Message[]): Promise<Buffer> => {
  if (messages.length === 0) return Buffer.alloc(0)
  const operations = messages.map((message) => netlinkOperation("host", "netfilter", [message]))
  for (let tries = 1; ; tries++)
    try {
      return await collect(kernel, [["netlink"], ["namespace", "host"], ...operations])
    } catch (error) {
      const changed = error instanceof Error && "code" in error && error.code === "EINTR"
      // A table or set that went away between two lists leaves nothing to ask for.
      const gone = error instanceof Error && "errnoName" in error && error.errnoName === "ENOENT"
      if (tries === 20 || (!changed && !gone)) throw error
      if (gone) throw new TablesChanged()
    }
}
class TablesChanged extends Error {}

/** Reads what other tables decide about packets to this host. Throws what the kernel says. */
export const readHostRules = async (kernel: Kernel, ownTable: string): Promise<HostRules> => {
  for (let tries = 1; ; tries++)
    try {
      return await readOnce(kernel, ownTable)
    } catch (error) {
      if (!(error instanceof TablesChanged) || tries === 20) throw error
    }
}

interface InTable {
  readonly family: number
  readonly table: string
}
const isIn =
  ({ family, table }: InTable) =>
  (other: InTable): boolean =>
    other.family === family && other.table === table

const readOnce = async (kernel: Kernel, ownTable: string): Promise<HostRules> => {
  const overview = await ask(kernel, [listTables(0), listChains(0)])
  const awake = readTables(overview).filter(
    ({ family, table, dormant }) =>
      FAMILIES.includes(family) && !dormant && !(family === INET && table === ownTable),
  )
  const chains = readChains(overview).filter((chain) =>
    awake.some(({ family, table }) => family === chain.family && table === chain.table),
  )
  const inputs = chains.filter(({ hook, type }) => hook === "input" && type === "filter")
  const concerned = awake.filter((one) => inputs.some(isIn(one)))
  const forwards = chains.filter(({ hook, type }) => hook === "forward" && type === "filter")
  const details = await ask(kernel, [
    ...awake
      .filter((one) => [...inputs, ...forwards].some(isIn(one)))
      .map(({ family, table }) => listRules(family, table)),
    ...(concerned.length > 0 ? [listSets(0)] : []),
  ])
  const rules = readRules(details)
  const sets = readSets(details)
  const tables: HostTable[] = []
  for (const { family, table } of concerned) {
    const here = <T extends { readonly family: number; readonly table: string }>(list: readonly T[]): T[] =>
      list.filter((entry) => entry.family === family && entry.table === table)
    tables.push({
      family,
      name: table,
      inputs: here(inputs),
      ...(await reach(kernel, here(inputs), here(rules), here(sets))),
    })
  }
  return {
    tables,
    forwards: forwards.map((chain) => ({
      chain,
      rules: rules.filter((rule) => isIn(chain)(rule) && rule.chain === chain.name),
    })),
  }
}

/** Follows jumps, verdict maps included, from the base chains on. */
const reach = async (
  kernel: Kernel,
  inputs: readonly ListedChain[],
  rules: readonly ListedRule[],
  sets: readonly ListedSet[],
): Promise<Pick<HostTable, "chains" | "sets">> => {
  const chains = new Map<string, readonly ListedRule[]>()
  const found = new Map<string, HostSet>()
  let next = inputs.map(({ name }) => name)
  while (next.length > 0) {
    const fresh = next.filter((name) => !chains.has(name))
    const reached = fresh.map((name) => rules.filter(({ chain }) => chain === name))
    fresh.forEach((name, index) => {
      chains.set(name, reached[index] ?? [])
    })
    const expressions = reached.flat().flatMap((rule) => rule.expressions)
    const wanted = new Set(expressions.flatMap((one) => lookupSet(one) ?? []))
    const missing = sets.filter(({ name }) => wanted.has(name) && !found.has(name))
    const loaded = await load(kernel, missing)
    for (const set of loaded) found.set(set.name, set)
    next = [
      ...reached.flat().flatMap((rule) => verdictOfRule(rule)?.chain ?? []),
      ...loaded.flatMap((set) =>
        (set.elements ?? []).flatMap(
          ({ attributes }) => verdictOfData(readAttributes(attributes.get(DATA)))?.chain ?? [],
        ),
      ),
    ].filter((name) => !chains.has(name))
  }
  return { chains, sets: found }
}

const load = async (kernel: Kernel, sets: readonly ListedSet[]): Promise<HostSet[]> => {
  const replies = await ask(
    kernel,
    sets.map(({ family, table, name }) => listElements(family, table, name)),
  )
  const lists = readElements(replies)
  return sets.map((set) => {
    const elements = lists.filter((one) => one.set === set.name).flatMap((one) => one.elements)
    return { ...set, ...(elements.length > MOST_ELEMENTS ? {} : { elements }) }
  })
}
