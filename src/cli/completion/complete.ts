// What may stand where the cursor is: verbs, flags, and names of what the engine has.
import type { EngineClient } from "../../client/client.ts"
import type { Flag } from "../flags.ts"
import { globalFlags } from "../global-flags.ts"
import { findVerb, groups, shortVerbs } from "../verbs.ts"
import { type Subject, subjectOfArgument, subjectOfFlag } from "./subjects.ts"

/** A word with what it is, for shells that show it. */
export type Candidate = readonly [word: string, description: string]

export interface Completion {
  readonly candidates: readonly Candidate[]
  /** Names of files fit as well. */
  readonly files: boolean
}

/** Names of one kind of thing; an engine that does not answer has none. */
export type Names = (subject: Exclude<Subject, readonly string[]>) => Promise<readonly Candidate[]>

const nothing: Completion = { candidates: [], files: false }

interface Walked {
  readonly places: number
  /** The flag whose value the current word is. */
  readonly open?: Flag | undefined
}

/** Goes over the words before the current one as flags.ts would read them. */
function walk(words: readonly string[], flags: readonly Flag[], interspersed: boolean): Walked {
  let places = 0
  let open: Flag | undefined
  for (const [at, word] of words.entries()) {
    if (open) {
      open = undefined
      continue
    }
    if (word === "--") return { places: places + words.length - at - 1 }
    if (!word.startsWith("-") || word === "-") {
      places++
      if (!interspersed) return { places: places + words.length - at - 1 }
      continue
    }
    if (word.includes("=")) continue
    const flag = word.startsWith("--")
      ? flags.find(({ name }) => `--${name}` === word)
      : flags.find(({ short }) => short === word.at(-1))
    if (flag && flag.kind !== "bool" && flag.bare === undefined) open = flag
  }
  return { places, open }
}

/** How many of the words are global flags with their values. */
function globalWords(words: readonly string[]): number {
  let at = 0
  while (words[at]?.startsWith("-")) {
    const word = words[at] ?? ""
    const flag = globalFlags.find(({ name, short }) => `--${name}` === word || `-${short}` === word)
    at += flag && flag.kind !== "bool" ? 2 : 1
  }
  return at
}

const fitting = (candidates: readonly Candidate[], current: string): Candidate[] =>
  candidates.filter(([word]) => word.startsWith(current))

const flagCandidates = (flags: readonly Flag[]): Candidate[] =>
  flags.filter(({ hidden }) => !hidden).map(({ name, summary }) => [`--${name}`, summary] as const)

async function ofSubject(subject: Subject, current: string, names: Names): Promise<Completion> {
  if (typeof subject !== "string")
    return {
      candidates: fitting(
        subject.map((word) => [word, ""]),
        current,
      ),
      files: false,
    }
  if (subject === "file") return { candidates: [], files: true }
  const files = subject === "container-path"
  return { candidates: fitting(await names(subject), current), files }
}

function verbCandidates(group: string | undefined): Candidate[] {
  const entries = group ? (groups[group]?.verbs ?? {}) : { ...groups, ...shortVerbs }
  const found = Object.entries(entries).map(([name, { summary }]) => [name, summary] as const)
  return group
    ? found
    : [...found, ["daemon", "Run the engine itself"] as const, ["help", "Explain a verb"] as const].sort(
        ([a], [b]) => (a < b ? -1 : 1),
      )
}

async function ofFlagValue(flag: string, value: string, names: Names, prefix = ""): Promise<Completion> {
  const { candidates, files } = await ofSubject(subjectOfFlag(flag), value, names)
  return { candidates: candidates.map(([word, text]) => [`${prefix}${word}`, text] as const), files }
}

/** Completes the last of the words, which may be empty; the program's own name is not among them. */
export async function complete(words: readonly string[], names: Names): Promise<Completion> {
  const current = words.at(-1) ?? ""
  const before = words.slice(0, -1)
  const start = globalWords(before)
  if (start > before.length) return ofFlagValue(globalName(before.at(-1) ?? ""), current, names)
  const rest = before.slice(start)
  const typed = rest[0] === "help" ? rest.slice(1) : rest
  const [first] = typed
  const inGroup = first !== undefined && groups[first] !== undefined
  if (first === undefined || (inGroup && typed.length === 1)) {
    if (current.startsWith("-"))
      return { candidates: fitting(inGroup ? [] : flagCandidates(globalFlags), current), files: false }
    return { candidates: fitting(verbCandidates(inGroup ? first : undefined), current), files: false }
  }
  const found = findVerb(typed)
  if (!found || rest[0] === "help") return nothing
  const { verb } = await found.entry.load()
  const walked = walk(typed.slice(found.length), verb.flags, verb.interspersed)
  if (walked.open) return ofFlagValue(walked.open.name, current, names)
  const assigned = /^--([\w-]+)=(.*)$/.exec(current)
  if (assigned) return ofFlagValue(assigned[1] ?? "", assigned[2] ?? "", names, `--${assigned[1]}=`)
  if (current.startsWith("-") && (verb.interspersed || walked.places === 0))
    return { candidates: fitting(flagCandidates(verb.flags), current), files: false }
  return ofSubject(subjectOfArgument(found.name, walked.places), current, names)
}

const globalName = (word: string): string =>
  globalFlags.find(({ name, short }) => `--${name}` === word || `-${short}` === word)?.name ?? ""

interface Listed {
  readonly Names: readonly string[]
  readonly Image: string
  readonly Status: string
}

const states: Readonly<Record<string, readonly string[] | undefined>> = {
  running: ["running"],
  stopped: ["exited", "created"],
  paused: ["paused"],
}

/** Asks an engine. `contexts` gives the names of contexts. */
export const namesFrom =
  (client: EngineClient, contexts: () => readonly Candidate[]): Names =>
  async (subject) => {
    const containers = async (status: readonly string[] | undefined): Promise<Candidate[]> => {
      const query = { all: true, filters: status ? { status } : undefined }
      const found = await client.json<Listed[]>("GET", "/containers/json", { query })
      return found.map(({ Names: [name = ""], Image, Status }) => [
        name.replace(/^\//, ""),
        `${Image}, ${Status}`,
      ])
    }
    const images = async (): Promise<Candidate[]> => {
      const found = await client.json<{ RepoTags: string[] | null }[]>("GET", "/images/json")
      const tags = found.flatMap(({ RepoTags }) => RepoTags ?? []).filter((tag) => !tag.includes("<none>"))
      const bare = tags.filter((tag) => tag.endsWith(":latest")).map((tag) => tag.slice(0, -":latest".length))
      return [...bare, ...tags].map((tag) => [tag, "image"] as const)
    }
    const networks = async (): Promise<Candidate[]> =>
      (await client.json<{ Name: string; Driver: string }[]>("GET", "/networks")).map(({ Name, Driver }) => [
        Name,
        `network, ${Driver}`,
      ])
    const volumes = async (): Promise<Candidate[]> =>
      ((await client.json<{ Volumes: { Name: string }[] | null }>("GET", "/volumes")).Volumes ?? []).map(
        ({ Name }) => [Name, "volume"],
      )
    try {
      switch (subject) {
        case "container":
        case "running":
        case "stopped":
        case "paused":
          return await containers(states[subject])
        case "container-path":
          return (await containers(undefined)).map(([name, text]) => [`${name}:`, text])
        case "image":
          return await images()
        case "network":
          return await networks()
        case "volume":
          return await volumes()
        case "anything":
          return (await Promise.all([containers(undefined), images(), networks(), volumes()])).flat()
        case "context":
          return contexts()
        case "file":
          return []
      }
    } catch {
      return [] // a shell that waits for words is no place for a sentence
    }
  }
