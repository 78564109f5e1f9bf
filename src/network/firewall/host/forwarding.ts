// Exceptions for containers at the end of other tables' forward chains that drop whatever they do not know.
import type { ListedRule, Message, TableName } from "../../../kernel/netlink/netlink.ts"
import { addRule, deleteRule } from "../../../kernel/netlink/netlink.ts"
import { interfaceIs, verdict } from "../matches.ts"
import { copyPlain, verdictOf } from "./foreign-expression.ts"
import type { HostRules } from "./host-rules.ts"
import { translate } from "./xtables.ts"

type Forward = HostRules["forwards"][number]

/** A rule that drops or rejects whatever comes to it. */
const isDropOfAll = (rule: ListedRule): boolean => {
  let drops = false
  for (const expression of rule.expressions) {
    if (expression.name === "reject" || verdictOf(expression)?.kind === "drop") drops = true
    else if (expression.name === "target" && translate(expression).kind === "drop") drops = true
    else if (copyPlain(expression) !== "silent") return false
  }
  return drops
}

/** The rule at a chain's end that drops everything, ours left out of account. */
const lastDrop = ({ rules }: Forward, tag: string): ListedRule | undefined => {
  const last = rules.findLast(({ comment }) => comment !== tag)
  return last && isDropOfAll(last) ? last : undefined
}
const shuts = (forward: Forward, tag: string): boolean =>
  forward.chain.policy === "drop" || lastDrop(forward, tag) !== undefined

/** Plain rules, one for each bridge and way: iptables shall be able to list them. */
const exceptions = (
  bridges: readonly string[],
): { readonly key: string; readonly parts: ReturnType<typeof interfaceIs>[] }[] =>
  bridges.flatMap((bridge) =>
    (["iifname", "oifname"] as const).map((key) => ({
      key: `${key} ${bridge}`,
      parts: [interfaceIs(key, bridge), verdict({ kind: "accept" })],
    })),
  )

/** Whether some chain drops what it does not know. */
export const shutsForwarding = ({ forwards }: HostRules, tag: string): boolean =>
  forwards.some((forward) => shuts(forward, tag))

/**
 * Messages that leave each such chain with exceptions for these bridges, right before what drops the rest, and others with
 * none. What the chain's own rules drop stays dropped. The rules are ours by their comment, the tag.
 */
export const forwardingMessages = (
  { forwards }: HostRules,
  bridges: readonly string[],
  tag: string,
): Message[] =>
  forwards.flatMap((forward) => {
    const { chain, rules } = forward
    const table: TableName = { family: chain.family, name: chain.table }
    const wanted = shuts(forward, tag) ? exceptions(bridges) : []
    const drop = lastDrop(forward, tag)
    const own = rules.filter(({ comment }) => comment === tag)
    const end = drop ? rules.indexOf(drop) : rules.length
    const place = rules.slice(end - own.length, end)
    // Where they stand says enough: nobody else writes our tag.
    if (own.length === wanted.length && place.every((rule) => own.includes(rule)) && sameBridges(own, wanted))
      return []
    return [
      ...own.map(({ handle }) => deleteRule(table, chain.name, handle)),
      ...wanted.map(({ parts }) =>
        addRule(
          table,
          chain.name,
          parts.flatMap(({ expressions }) => expressions),
          tag,
          drop?.handle,
        ),
      ),
    ]
  })

/** Each of our rules compares one interface's name. */
const sameBridges = (own: readonly ListedRule[], wanted: readonly { readonly key: string }[]): boolean =>
  wanted.every(({ key }, index) => {
    const [, bridge = ""] = key.split(" ")
    return own[index]?.expressions.some(
      ({ name, data }) => name === "cmp" && data.includes(Buffer.from(`${bridge}\0`)),
    )
  })
