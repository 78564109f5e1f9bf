// A ruleset as text: for golden tests and documents.
import type { RuledChain, RuledSet, Ruleset } from "./ruleset.ts"

const setLines = ({ name, key, value, interval, purpose }: RuledSet): string[] => {
  const target = value === undefined ? "" : ` : ${typeof value === "string" ? value : value.join(" . ")}`
  return [
    `  # ${purpose}`,
    `  ${value ? "map" : "set"} ${name} { type ${key.join(" . ")}${target};${interval ? " flags interval;" : ""} }`,
  ]
}

const chainLines = ({ chain, rules }: RuledChain): string[] => {
  const { hook } = chain
  return [
    "",
    `  chain ${chain.name} {`,
    ...(hook
      ? [`    type ${hook.type} hook ${hook.at} priority ${hook.priority}; policy ${hook.policy};`]
      : []),
    ...rules.flatMap(({ purpose, parts }) => [
      `    # ${purpose}`,
      `    ${parts.map(({ nft }) => nft).join(" ")}`,
    ]),
    "  }",
  ]
}

/** As nft writes rules, each below its purpose. */
export const describeRuleset = (rules: Ruleset): string =>
  `${[
    `table inet ${rules.table.name} {`,
    ...rules.sets.flatMap(setLines),
    ...rules.chains.flatMap(chainLines),
    "}",
  ].join("\n")}\n`
