// Collects what the rules find, without what the Dockerfile asks to skip; the graph reports through it what only expansion knows.
import { BuildFailure } from "../../failure.ts"
import type { Place } from "../instructions.ts"
import { quoted } from "../quoted.ts"
import { type RuleName, rules } from "./rules.ts"

export interface Finding {
  readonly rule: RuleName
  /** The sentence for this case. */
  readonly message: string
  readonly place: Place
}

/** What `# check=` says: rules left out, experimental ones let in, findings that fail the build. */
export interface CheckOptions {
  readonly skip: readonly string[]
  readonly skipAll: boolean
  readonly experimental: readonly string[]
  readonly experimentalAll: boolean
  readonly error: boolean
}

export interface Findings {
  /** Notes a finding unless its rule is skipped; `words` fill the rule's sentence. */
  report<R extends RuleName>(rule: R, place: Place, ...words: Parameters<(typeof rules)[R]["message"]>): void
  /** The same collection with what `check=…` in an instruction's comments adds. */
  under(comments: readonly string[]): Findings
  readonly all: readonly Finding[]
  /** Throws "lint violation found for rules: …" when there are findings and `# check=error=true` asks for it. */
  enforce(): void
}

/** `earlier`: findings already made (the parser's), to go on from. */
export const openFindings = (options: CheckOptions, earlier: readonly Finding[] = []): Findings =>
  collection(options, [...earlier])

const collection = (options: CheckOptions, all: Finding[]): Findings => ({
  report(rule, place, ...words) {
    if (!wanted(options, rule)) return
    const message = (rules[rule].message as (...given: readonly string[]) => string)(...words)
    all.push({ rule, message, place })
  },
  under(comments) {
    const more = optionsOfComments(comments)
    return more === undefined ? this : collection(merged(options, more), all)
  },
  all,
  enforce() {
    if (!options.error || all.length === 0) return
    const names = [...new Set(all.map((finding) => finding.rule))]
    throw new BuildFailure("invalid", `lint violation found for rules: ${names.join(", ")}`, {})
  },
})

const wanted = (options: CheckOptions, rule: RuleName): boolean =>
  rules[rule].experimental
    ? options.experimentalAll || options.experimental.includes(rule)
    : !options.skipAll && !options.skip.includes(rule)

const merged = (outer: CheckOptions, inner: CheckOptions): CheckOptions => ({
  skip: [...outer.skip, ...inner.skip],
  skipAll: outer.skipAll || inner.skipAll,
  experimental: [...outer.experimental, ...inner.experimental],
  experimentalAll: outer.experimentalAll || inner.experimentalAll,
  error: outer.error,
})

/** Of the first comment that is a check directive; one that cannot be read counts for nothing. */
const optionsOfComments = (comments: readonly string[]): CheckOptions | undefined => {
  for (const comment of comments) {
    const value = /^check\s*=\s*(.+?)\s*$/i.exec(comment)?.[1]
    if (value === undefined) continue
    try {
      return readCheckOptions(value.split(" ", 1)[0] ?? "")
    } catch {
      return undefined
    }
  }
  return undefined
}

const words = (text: string): readonly string[] => text.split(",").map((word) => word.trim())

/** "skip=RuleA,RuleB;error=true" → options. Throws BuildFailure "failed to parse check options: …". */
export const readCheckOptions = (text: string): CheckOptions => {
  const options = {
    skip: [] as readonly string[],
    skipAll: false,
    experimental: [] as readonly string[],
    experimentalAll: false,
    error: false,
  }
  const trimmed = text.trim()
  if (trimmed === "") return options
  const parts = trimmed.split(";")
  for (const part of [...parts.slice(0, 2), ...(parts.length > 2 ? [parts.slice(2).join(";")] : [])]) {
    const equals = part.indexOf("=")
    if (equals < 0) throw unreadable(`invalid check option ${quoted(part)}`)
    const key = part.slice(0, equals).trim()
    const value = part.slice(equals + 1).trim()
    if (key === "skip") {
      if (value === "all") options.skipAll = true
      else options.skip = words(value)
    } else if (key === "experimental") {
      if (value === "all") options.experimentalAll = true
      else options.experimental = words(value)
    } else if (key === "error") {
      if (!/^(1|0|t|f|true|false|TRUE|FALSE|True|False|T|F)$/.test(value))
        throw unreadable(
          `failed to parse check option ${quoted(part)}: strconv.ParseBool: parsing ${quoted(value)}: invalid syntax`,
        )
      options.error = /^(1|t)/i.test(value)
    } else throw unreadable(`invalid check option ${quoted(key)}`)
  }
  return options
}

const unreadable = (why: string): BuildFailure =>
  new BuildFailure("invalid", `failed to parse check options: ${why}`, {})
