// A ruleset as text: for golden tests and documents.
import { describeExpression } from "../../kernel/netlink/netlink.ts"
import type { Ruleset } from "./ruleset.ts"

export const describeRuleset = (rules: Ruleset): string => {
  const lines = [`table ip ${rules.table.name}`]
  for (const set of rules.sets) {
    const value =
      set.value === undefined
        ? ""
        : ` -> ${typeof set.value === "string" ? set.value : set.value.join(" . ")}`
    lines.push("", `  ${set.value ? "map" : "set"} ${set.name}: ${set.key.join(" . ")}${value}`)
  }
  for (const { chain, rules: list } of rules.chains) {
    const hook = chain.hook
    lines.push(
      "",
      `  chain ${chain.name}${hook ? ` (${hook.type} at ${hook.at}, priority ${hook.priority}, policy ${hook.policy})` : ""}`,
    )
    for (const { purpose, expressions } of list)
      lines.push(`    # ${purpose}`, `    ${expressions.map(describeExpression).join("; ")}`)
  }
  return `${lines.join("\n")}\n`
}
