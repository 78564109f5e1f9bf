// The command line: global flags, the verb, its flags, then the act; failures become one sentence and an exit code.
import { errorMessage, Failure } from "../base/errors.ts"
import { createContext, defaultHost } from "./context.ts"
import { type Flag, nearest, type Parsed, parseFlags } from "./flags.ts"
import { showGroups, showVerb } from "./help.ts"
import type { Verb } from "./verb.ts"
import { findVerb, groups, shortVerbs } from "./verbs.ts"

const globalFlags: readonly Flag[] = [
  { name: "host", short: "H", kind: "list", summary: "Daemon socket to connect to", value: "list" },
  { name: "config", kind: "string", summary: "Location of client config files", value: "string" },
  { name: "context", short: "c", kind: "string", summary: "Name of the context to use", value: "string" },
  { name: "debug", short: "D", kind: "bool", summary: "Enable debug mode" },
  { name: "log-level", short: "l", kind: "string", summary: "Set the logging level", value: "string" },
  { name: "version", short: "v", kind: "bool", summary: "Print version information and quit" },
  { name: "help", short: "h", kind: "bool", summary: "Print usage" },
]

/** Failures of the command line itself exit with 125 in verbs that run a command, else with 1; usage errors as docker's. */
const runsCommand = (name: string) => /^(container )?(run|create|exec)$/.test(name)

/** Runs one command line (without the program's name) and resolves to the exit code. */
export async function runCli(words: readonly string[]): Promise<number> {
  try {
    return await dispatch(words)
  } catch (error) {
    process.stderr.write(`sloop: ${errorMessage(error)}\n`)
    return 1
  }
}

async function dispatch(words: readonly string[]): Promise<number> {
  const globals = parseFlags(words, globalFlags, { interspersed: false })
  const rest = globals.arguments
  if (globals.bool("version"))
    return (await verbRun("version", ["--format", "Sloop version {{.Client.Version}}"], globals)) ?? 0
  const [first] = rest
  if (first === undefined || first === "help" || (globals.bool("help") && rest.length === 0))
    return showGroups(rest.slice(1))
  const found = findVerb(rest)
  if (!found) return unknownVerb(rest)
  return (await verbRun(rest.slice(0, found.length).join(" "), rest.slice(found.length), globals)) ?? 0
}

async function verbRun(
  typed: string,
  words: readonly string[],
  globals: Parsed,
): Promise<number | undefined> {
  const found = findVerb(typed.split(" "))
  if (!found) return undefined
  const { verb } = await found.entry.load()
  const help: Flag = { name: "help", kind: "bool", summary: "Print usage", hidden: true }
  const hasShortH = verb.flags.some(({ short }) => short === "h")
  const parsed = parseVerb(typed, verb, words, hasShortH ? help : { ...help, short: "h" })
  if (typeof parsed === "number") return parsed
  if (parsed.bool("help")) return showVerb(typed, verb)
  const context = createContext({
    host: globals.list("host")[0] ?? defaultHost(process.env),
    verb: found.name,
  })
  try {
    return await verb.run(context, parsed)
  } catch (error) {
    return explain(found.name, error)
  } finally {
    context.client.close()
  }
}

function parseVerb(typed: string, verb: Verb, words: readonly string[], help: Flag): Parsed | number {
  try {
    const parsed = parseFlags(words, [...verb.flags, help], { interspersed: verb.interspersed })
    const count = parsed.arguments.length
    if (!parsed.bool("help") && (count < verb.least || count > verb.most))
      throw new Failure("invalid", arity(typed, verb))
    return parsed
  } catch (error) {
    process.stderr.write(
      `${errorMessage(error)}\n\nUsage:  sloop ${typed} ${verb.usage}\n\nRun 'sloop ${typed} --help' for more information\n`,
    )
    return runsCommand(typed) || !(error instanceof Failure) ? 125 : 1
  }
}

function arity(typed: string, { least, most }: Verb): string {
  const noun = (count: number) => `${count} argument${count === 1 ? "" : "s"}`
  if (most === 0) return `sloop ${typed} accepts no arguments`
  if (least === most) return `sloop ${typed} requires ${noun(least)}`
  if (most === Number.POSITIVE_INFINITY) return `sloop ${typed} requires at least ${noun(least)}`
  return `sloop ${typed} requires at least ${least} and at most ${noun(most)}`
}

function explain(name: string, error: unknown): number {
  const message = errorMessage(error)
  const told =
    error instanceof Failure && error.name === "ApiFailure"
      ? `Error response from daemon: ${message}`
      : message
  process.stderr.write(`${runsCommand(name) ? "sloop: " : ""}${told}\n`)
  if (!runsCommand(name)) return 1
  if (
    /executable file not found|no such file or directory|system cannot find the file/.test(message) &&
    !/bind source path/.test(message)
  )
    return 127
  return /permission denied|is a directory|not a directory/.test(message) && /exec/.test(message) ? 126 : 125
}

function unknownVerb(words: readonly string[]): number {
  const [first = "", second] = words
  const group = groups[first]
  if (group && second === undefined) return showGroups([first])
  const known = group
    ? Object.keys(group.verbs)
    : [...Object.keys(shortVerbs), ...Object.keys(groups), "daemon"]
  const near = nearest(group ? (second ?? "") : first, known)
  const prefix = group ? `${first} ` : ""
  process.stderr.write(
    `sloop: unknown command: sloop ${words.slice(0, group ? 2 : 1).join(" ")}${near ? `; did you mean sloop ${prefix}${near}?` : ""}\n\nRun 'sloop ${prefix}--help' for more information\n`,
  )
  return 1
}
