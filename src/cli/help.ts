// Usage texts: the list of verbs, a group's verbs, one verb's flags.
import { standardOutput } from "./context.ts"
import type { Flag } from "./flags.ts"
import type { Verb } from "./verb.ts"
import { groups, shortVerbs } from "./verbs.ts"

const common = [
  "run",
  "exec",
  "ps",
  "build",
  "pull",
  "push",
  "images",
  "login",
  "logs",
  "stop",
  "rm",
  "load",
  "import",
  "version",
  "info",
]

function columns(rows: readonly (readonly [string, string])[]): string {
  const width = Math.max(10, ...rows.map(([name]) => name.length + 1))
  return rows.map(([name, summary]) => `  ${name.padEnd(width)} ${summary}`).join("\n")
}

/** Prints the verbs, or those of one group. */
export function showGroups(words: readonly string[]): number {
  const group = groups[words[0] ?? ""]
  if (group) {
    const rows = Object.entries(group.verbs).map(([name, { summary }]) => [name, summary] as const)
    standardOutput.write(
      `Usage:  sloop ${words[0]} COMMAND\n\n${group.summary}\n\nCommands:\n${columns(rows)}\n\nRun 'sloop ${words[0]} COMMAND --help' for more information on a command.\n`,
    )
    return 0
  }
  const entries = Object.entries(shortVerbs).sort(([a], [b]) => (a < b ? -1 : 1))
  const first = common.map((name) => [name, shortVerbs[name]?.summary ?? ""] as const)
  const rest = entries
    .filter(([name]) => !common.includes(name))
    .map(([name, { summary }]) => [name, summary] as const)
  const managed = Object.entries(groups).map(([name, { summary }]) => [name, summary] as const)
  standardOutput.write(
    `Usage:  sloop [OPTIONS] COMMAND\n\nA container engine that starts in milliseconds\n\nCommon Commands:\n${columns(first)}\n\nManagement Commands:\n${columns(managed)}\n\nCommands:\n${columns([...rest, ["daemon", "Run the engine itself"]])}\n\nRun 'sloop COMMAND --help' for more information on a command.\n`,
  )
  return 0
}

const kindWord = ({ kind, value }: Flag) => value ?? (kind === "bool" ? "" : kind)

/** Prints a verb's usage and flags. */
export function showVerb(typed: string, verb: Verb): number {
  const rows = verb.flags
    .filter(({ hidden }) => !hidden)
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .map((flag) => {
      const short = flag.short ? `-${flag.short}, ` : "    "
      const preset =
        flag.default === undefined || flag.default === ""
          ? ""
          : ` (default ${flag.kind === "string" ? JSON.stringify(flag.default) : flag.default})`
      return [`${short}--${flag.name} ${kindWord(flag)}`.trimEnd(), `${flag.summary}${preset}`] as const
    })
  standardOutput.write(
    `Usage:  sloop ${typed} ${verb.usage}\n\n${verb.summary}\n${rows.length > 0 ? `\nOptions:\n${columns(rows)}\n` : ""}`,
  )
  return 0
}
