// The command line: global flags, the verb, its flags, then the act; failures become one sentence and an exit code.
import { errorMessage } from "../base/errors.ts"
import { VERSION } from "../base/version.ts"
import { ApiFailure } from "../client/client.ts"
import { createContext, standardError, standardOutput } from "./context.ts"
import { chooseEngine } from "./contexts/choose.ts"
import { type Flag, nearest, type Parsed, parseFlags } from "./flags.ts"
import { globalFlags } from "./global-flags.ts"
import { showGroups, showVerb } from "./help.ts"
import { comesLater } from "./later.ts"
import { told } from "./told.ts"
import type { Verb } from "./verb.ts"
import { findVerb, groups, shortVerbs } from "./verbs.ts"

const tell = (text: string) => void standardError.write(`${text}\n`)

/** Milliseconds after which a command is no longer one that compiling would only delay (scripts/build.mjs). */
const soonOver = 200

/** Runs one command line (without the program's name) and resolves to the exit code, with all output written. */
export async function runCli(words: readonly string[]): Promise<number> {
  setTimeout(() => Bun.unsafe.setJITPolicy(1), soonOver).unref()
  const code = await dispatch(words).catch((error: unknown) => {
    tell(`sloop: ${errorMessage(error)}`)
    return 1
  })
  await Promise.all([standardOutput.settled(), standardError.settled()])
  // A terminal or pipe that is still being read would keep the process alive until its next byte.
  process.exit(code)
}

async function dispatch(words: readonly string[]): Promise<number> {
  const globals = parseGlobals(words)
  if (typeof globals === "number") return globals
  const rest = globals.arguments
  if (globals.bool("version")) {
    standardOutput.write(`Sloop version ${VERSION}\n`)
    return 0
  }
  const [first] = rest
  if (first === undefined) return showGroups([])
  if (first === "help") return explainVerb(rest.slice(1), globals)
  return verbRun(globals.bool("help") ? [...rest, "--help"] : rest, globals)
}

function parseGlobals(words: readonly string[]): Parsed | number {
  try {
    return parseFlags(words, globalFlags, { interspersed: false })
  } catch (error) {
    return usage("", "[OPTIONS] COMMAND [ARG...]", errorMessage(error), 125)
  }
}

/** `sloop help VERB`. */
async function explainVerb(words: readonly string[], globals: Parsed): Promise<number> {
  const [first = ""] = words
  if (words.length === 0) return showGroups([])
  if (groups[first] && words.length === 1) return showGroups(words)
  if (findVerb(words)) return verbRun([...words, "--help"], globals)
  tell(comesLater(words) ?? `unknown help topic: ${words.join(" ")}`)
  return 1
}

async function verbRun(words: readonly string[], globals: Parsed): Promise<number> {
  const found = findVerb(words)
  if (!found) return unknownVerb(words)
  const typed = words.slice(0, found.length).join(" ")
  const { verb } = await found.entry.load()
  const help: Flag = { name: "help", kind: "bool", summary: "Print usage", hidden: true }
  const hasShortH = verb.flags.some(({ short }) => short === "h")
  const parsed = parseVerb(typed, verb, words.slice(found.length), hasShortH ? help : { ...help, short: "h" })
  if (typeof parsed === "number") return parsed
  if (parsed.bool("help")) return showVerb(typed, verb)
  const context = createContext({
    choice: await chooseEngine(globals, process.env),
    verb: typed,
    config: globals.string("config"),
  })
  try {
    return await verb.run(context, parsed)
  } catch (error) {
    return explain(typed, verb, error)
  } finally {
    // Sockets are closed with the process, sooner than by us; only a program between (ssh) has to be told.
    if (context.client.host.startsWith("ssh:")) context.client.close()
  }
}

/** Tells a mistake in the words themselves, with the usage. */
function usage(typed: string, verbUsage: string, message: string, code: number, see = "Run"): number {
  const full = typed ? `sloop ${typed}` : "sloop"
  tell(`${message}\n\nUsage:  ${full} ${verbUsage}\n\n${see} '${full} --help' for more information`)
  return code
}

function parseVerb(typed: string, verb: Verb, words: readonly string[], help: Flag): Parsed | number {
  try {
    const parsed = parseFlags(words, [...verb.flags, help], { interspersed: verb.interspersed })
    const count = parsed.arguments.length
    if (parsed.bool("help") || (count >= verb.least && count <= verb.most)) return parsed
    const see = verb.most === Number.POSITIVE_INFINITY ? "See" : "Run"
    return usage(typed, verb.usage, `sloop: 'sloop ${typed}' ${arity(verb)}`, 1, see)
  } catch (error) {
    return usage(typed, verb.usage, errorMessage(error), 125)
  }
}

function arity({ least, most }: Verb): string {
  const noun = (count: number) => `${count} argument${count === 1 ? "" : "s"}`
  if (most === 0) return "accepts no arguments"
  if (least === most) return `requires ${noun(least)}`
  if (most === Number.POSITIVE_INFINITY) return `requires at least ${noun(least)}`
  if (least === 0) return `requires at most ${noun(most)}`
  return `requires at least ${least} and at most ${noun(most)}`
}

/** What a failed verb says and its exit code; `run` has docker's own codes for what kept the command from running. */
function explain(typed: string, verb: Verb, error: unknown): number {
  const message = told(error)
  if (message.startsWith('invalid argument "')) return usage(typed, verb.usage, message, 125)
  if (!/^(container )?run$/.test(typed)) {
    tell(message)
    return 1
  }
  tell(`sloop: ${message}\n\nRun 'sloop ${typed} --help' for more information`)
  if (!(error instanceof ApiFailure) || /bind source path/.test(message)) return 125
  if (/executable file not found|no such file or directory|system cannot find the file/.test(message))
    return 127
  return /permission denied|is a directory|not a directory/.test(message) && /exec/.test(message) ? 126 : 125
}

function unknownVerb(words: readonly string[]): number {
  const [first = "", second] = words
  const group = groups[first]
  if (group && (second === undefined || second === "--help" || second === "-h")) return showGroups([first])
  const absent = comesLater(words)
  if (absent) {
    tell(absent)
    return 1
  }
  const known = group
    ? Object.keys(group.verbs)
    : [...Object.keys(shortVerbs), ...Object.keys(groups), "daemon"]
  const near = nearest(group ? (second ?? "") : first, known)
  const prefix = group ? ` ${first}` : ""
  const hint = near ? `; did you mean sloop${prefix} ${near}?` : ""
  const shown = words.slice(0, group ? 2 : 1).join(" ")
  tell(
    `sloop: unknown command: sloop ${shown}${hint}\n${group ? `\nUsage:  sloop${prefix}\n` : ""}\nRun 'sloop${prefix} --help' for more information`,
  )
  return 1
}
