// The first pass over a Dockerfile: its lines become instructions' lines, with comments, flags, words and heredocs beside them.
import { BuildFailure } from "../failure.ts"
import { readDirective } from "./directives.ts"
import { type HeredocWord, heredoc, heredocWords } from "./heredocs.ts"
import type { Heredoc, Place } from "./instructions.ts"
import { quoted } from "./quoted.ts"
import { isSpace, splitAtBlanks, trim, trimStart } from "./spaces.ts"
import { readJsonWords, splitBlanks, splitLine, splitWords } from "./split.ts"

/** An instruction that is only taken apart: which words mean what is the second pass' business (parse.ts). */
export interface RawInstruction {
  readonly keyword: string
  /** The line, continuations joined. */
  readonly line: string
  readonly flags: readonly string[]
  readonly words: readonly string[]
  /** The words were a JSON array. */
  readonly json: boolean
  /** ENV and LABEL: pairs instead of words. */
  readonly pairs: readonly { readonly key: string; readonly value: string; readonly legacy: boolean }[]
  /** Of ONBUILD: what is to be done. */
  readonly inner: RawInstruction | undefined
  readonly heredocs: readonly Heredoc[]
  readonly comments: readonly string[]
  readonly place: Place
}

export interface RawDockerfile {
  readonly lines: readonly string[]
  readonly escape: "\\" | "`"
  readonly instructions: readonly RawInstruction[]
  /** Last lines of instructions with empty continuation lines. */
  readonly emptyContinuations: readonly number[]
}

/** Bytes of a line with its end; beyond, the field refuses it. */
const longestLine = 65536

/** Lines with their ends; `tooLong` when reading stopped at one that is too long. */
const splitText = (bytes: Uint8Array): { lines: readonly string[]; tooLong: boolean } => {
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true })
  const lines: string[] = []
  let start = bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf ? 3 : 0
  while (start < bytes.length) {
    const found = bytes.indexOf(0x0a, start)
    const end = found < 0 ? bytes.length : found + 1
    if (end - start > (found < 0 ? longestLine - 1 : longestLine)) return { lines, tooLong: true }
    lines.push(decoder.decode(bytes.subarray(start, end)))
    start = end
  }
  return { lines, tooLong: false }
}

const withoutEnd = (line: string): string => {
  let end = line.length
  while (end > 0 && (line[end - 1] === "\n" || line[end - 1] === "\r")) end--
  return line.slice(0, end)
}

const refused = (message: string, first: number, last = first): BuildFailure =>
  new BuildFailure("invalid", message, first > 0 ? { place: { first, last: Math.max(first, last) } } : {})

/** The failure again, placed where none of what was below knew better. */
const at = (error: unknown, first: number, last: number): unknown =>
  error instanceof BuildFailure && error.detail.place === undefined
    ? refused(error.message, first, last)
    : error

const isComment = (line: string): boolean => trimStart(line).startsWith("#")

/** The line without the escape that continues it; undefined = it is not continued. */
const continued = (line: string, escapeToken: string): string | undefined => {
  let end = line.length
  while (end > 0 && (line[end - 1] === " " || line[end - 1] === "\t")) end--
  if (line[end - 1] !== escapeToken) return undefined
  if (end === 1) return ""
  return line[end - 2] === escapeToken ? undefined : line.slice(0, end - 1)
}

/**
 * Reads the lines. Throws BuildFailure (invalid): "file with no instructions", "unterminated heredoc", a line that an
 * instruction cannot have at all.
 */
export const readLines = (bytes: Uint8Array): RawDockerfile => {
  const { lines, tooLong } = splitText(bytes)
  const instructions: RawInstruction[] = []
  const emptyContinuations: number[] = []
  let escapeToken: "\\" | "`" = "\\"
  let comments: string[] = []
  let inDirectives = true
  const seen = new Set<string>()
  let read = 0

  const directive = (line: string): boolean => {
    const found = inDirectives ? readDirective(line) : undefined
    inDirectives = found !== undefined
    if (found === undefined) return false
    if (seen.has(found.name)) throw refused(`only one ${found.name} parser directive can be used`, read)
    seen.add(found.name)
    if (found.name === "escape") {
      if (found.value !== "\\" && found.value !== "`")
        throw refused(`invalid escape token '${found.value}' does not match \` or \\`, read)
      escapeToken = found.value
    }
    return true
  }

  const heredocText = (word: HeredocWord, first: number): Heredoc => {
    const text: string[] = []
    while (read < lines.length) {
      const line = lines[read++] ?? ""
      const bare = withoutEnd(line)
      if ((word.chomp ? bare.replace(/^\t+/, "") : bare) === word.name) return heredoc(word, text.join(""))
      text.push(line)
    }
    throw refused("unterminated heredoc", first, read)
  }

  while (read < lines.length) {
    let line = trimStart(withoutEnd(lines[read] ?? ""))
    if (!directive(line) && isComment(line)) {
      // The field cuts one character off, blanks before "#" or not.
      const comment = trim(withoutEnd(lines[read] ?? "").slice(1))
      if (comment === "") comments = []
      else comments.push(comment)
    }
    read++
    if (line === "" || isComment(line)) continue
    const first = read
    const parts: string[] = []
    let hasEmpty = false
    for (;;) {
      const part = continued(line, escapeToken)
      parts.push(part ?? line)
      if (part === undefined) break
      let next: string | undefined
      while (next === undefined && read < lines.length) {
        const candidate = withoutEnd(lines[read++] ?? "")
        if (isComment(candidate)) continue
        if (trimStart(candidate) === "") hasEmpty = true
        else next = candidate
      }
      if (next === undefined) break
      line = next
    }
    if (hasEmpty) emptyContinuations.push(read)
    const joined = parts.join("")
    try {
      const raw = takeApart(joined, escapeToken, comments)
      const words = takesHeredocs(raw) ? heredocWords(joined) : []
      const heredocs = words.map((word) => heredocText(word, first))
      instructions.push({ ...raw, heredocs, place: { first, last: read } })
    } catch (error) {
      throw at(error, first, read)
    }
    comments = []
  }
  if (instructions.length === 0) throw refused("file with no instructions", read)
  if (tooLong) throw refused(`dockerfile line greater than max allowed size of ${longestLine - 1}`, read)
  return { lines: lines.map(withoutEnd), escape: escapeToken, instructions, emptyContinuations }
}

const takesHeredocs = (raw: RawInstruction): boolean => {
  const doer = raw.inner ?? raw
  return ["add", "copy", "run"].includes(doer.keyword.toLowerCase()) && !doer.json
}

const takeApart = (line: string, escapeToken: string, comments: readonly string[]): RawInstruction => {
  const { keyword, flags, rest } = splitLine(line, escapeToken)
  const place = { first: 0, last: 0 }
  const raw = {
    keyword,
    line,
    flags,
    words: [],
    json: false,
    pairs: [],
    inner: undefined,
    heredocs: [],
    comments,
    place,
  }
  switch (keyword.toLowerCase()) {
    case "add":
    case "copy":
    case "volume":
      return { ...raw, ...jsonOr(rest, splitBlanks) }
    case "cmd":
    case "entrypoint":
    case "run":
    case "shell":
      return { ...raw, ...jsonOr(rest, whole) }
    case "arg":
      return { ...raw, words: splitWords(rest, escapeToken) }
    case "env":
    case "label":
      return { ...raw, pairs: splitPairs(rest, keyword.toUpperCase(), escapeToken) }
    case "expose":
    case "from":
      return { ...raw, words: splitBlanks(rest) }
    case "healthcheck":
      return { ...raw, ...splitHealthcheck(rest) }
    case "maintainer":
    case "stopsignal":
    case "user":
    case "workdir":
      return { ...raw, words: whole(rest) }
    case "onbuild":
      return { ...raw, inner: rest === "" ? undefined : takeApart(rest, escapeToken, []) }
    default:
      return raw
  }
}

const whole = (text: string): readonly string[] => (text === "" ? [] : [text])

const jsonOr = (
  text: string,
  split: (text: string) => readonly string[],
): { readonly words: readonly string[]; readonly json: boolean } => {
  const words = readJsonWords(text)
  if (words === "mixed")
    throw refused("when using JSON array syntax, arrays must be comprised of strings only", 0)
  return words === undefined ? { words: split(text), json: false } : { words, json: true }
}

const splitHealthcheck = (text: string): { readonly words: readonly string[]; readonly json: boolean } => {
  let end = 0
  while (end < text.length && !isSpace(text.charAt(end))) end++
  if (end === 0) return { words: [], json: false }
  const command = jsonOr(trimStart(text.slice(end)), whole)
  return { words: [text.slice(0, end), ...command.words], json: command.json }
}

const splitPairs = (text: string, keyword: string, escapeToken: string): RawInstruction["pairs"] => {
  const words = splitWords(text, escapeToken)
  const [word] = words
  if (word === undefined) return []
  if (!word.includes("=")) {
    const [key, value] = splitAtBlanks(text)
    if (value === undefined) throw refused(`${keyword} must have two arguments`, 0)
    return [{ key, value, legacy: true }]
  }
  return words.map((pair) => {
    const equals = pair.indexOf("=")
    if (equals < 0)
      throw refused(`Syntax error - can't find = in ${quoted(pair)}. Must be of the form: name=value`, 0)
    return { key: pair.slice(0, equals), value: pair.slice(equals + 1), legacy: false }
  })
}
