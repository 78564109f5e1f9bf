// Expands variables and quotes in words of a Dockerfile: `expandWord` for one value, `expandWords` for one that splits at blanks.
import { BuildFailure } from "../failure.ts"
import { quoted } from "./quoted.ts"
import { readPattern, replaceMatches, withoutPrefix, withoutSuffix } from "./shell-pattern.ts"
import { isSpace } from "./spaces.ts"

/** Value of a variable; undefined = it is not set. */
export type Lookup = (name: string) => string | undefined

export interface ExpandOptions {
  /** Quotes stay in the text (and still group). */
  readonly rawQuotes?: boolean
  /** Escape characters stay in the text. */
  readonly rawEscapes?: boolean
  /** Quotes are letters like others: for the content of heredocs. */
  readonly ignoreQuotes?: boolean
  /** What names an unset variable stays as written. */
  readonly keepUnset?: boolean
}

export interface Expanded {
  readonly text: string
  /** Names that were looked up and found, or not; each once, in order. */
  readonly matched: readonly string[]
  readonly unmatched: readonly string[]
}

/**
 * The word with its variables ($x, ${x}, ${x:-y} …) in place and its quotes and escapes gone. Throws BuildFailure (invalid)
 * 'failed to process "…": …' for one that cannot be read.
 */
export const expandWord = (
  word: string,
  lookup: Lookup,
  escapeToken: string,
  options: ExpandOptions = {},
): Expanded => {
  const matched = new Set<string>()
  const unmatched = new Set<string>()
  const noted: Lookup = (name) => {
    const value = lookup(name)
    if (value === undefined) unmatched.add(name)
    else matched.add(name)
    return value
  }
  const { text } = expand(word, noted, escapeToken, options)
  return { text, matched: [...matched], unmatched: [...unmatched] }
}

/** The same, split at blanks that are neither quoted nor escaped, those in variables' values too; empty words are left out. */
export const expandWords = (
  text: string,
  lookup: Lookup,
  escapeToken: string,
  options: ExpandOptions = {},
): readonly string[] => expand(text, lookup, escapeToken, options).words

const expand = (word: string, lookup: Lookup, escapeToken: string, options: ExpandOptions) => {
  if (plain.test(word)) return { text: word, words: word === "" ? [] : [word] }
  const lexer: Lexer = { characters: [...word], at: 0, depth: 0, lookup, escapeToken, options }
  try {
    return readUntil(lexer, undefined, options.rawEscapes === true, false)
  } catch (error) {
    if (!(error instanceof Unreadable)) throw error
    throw new BuildFailure("invalid", `failed to process ${quoted(word)}: ${error.message}`, {})
  }
}

/** Words in which nothing means anything. */
const plain = /^[\w./:,@=+-]*$/

interface Lexer {
  readonly characters: readonly string[]
  at: number
  depth: number
  readonly lookup: Lookup
  readonly escapeToken: string
  readonly options: ExpandOptions
}

class Unreadable extends Error {}

/** "" at the end. */
const peek = (lexer: Lexer): string => lexer.characters[lexer.at] ?? ""
const next = (lexer: Lexer): string => lexer.characters[lexer.at++] ?? ""

/** More than anyone writes; keeps a hostile file from exhausting the stack. */
const deepest = 500

/**
 * Text up to `stop` (undefined = the end). `raw` keeps escapes; `pattern` doubles the escapes within quotes, since a pattern
 * is read again.
 */
const readUntil = (
  lexer: Lexer,
  stop: string | undefined,
  raw: boolean,
  pattern: boolean,
): { readonly text: string; readonly words: readonly string[] } => {
  const text: string[] = []
  const words = splitter()
  while (lexer.at < lexer.characters.length) {
    const character = peek(lexer)
    if (character === stop) {
      lexer.at++
      return { text: text.join(""), words: words.done() }
    }
    if (character === "$") {
      const value = readDollar(lexer)
      text.push(value)
      words.addSplit(value)
    } else if (character === "<") {
      const value = readLess(lexer)
      text.push(value)
      words.add(value)
    } else if (lexer.options.ignoreQuotes !== true && (character === "'" || character === '"')) {
      const value =
        character === "'" ? readSingleQuoted(lexer, pattern) : readDoubleQuoted(lexer, raw, pattern)
      text.push(value)
      words.add(value)
    } else if (character === lexer.escapeToken) {
      lexer.at++
      if (raw) {
        text.push(character)
        words.add(character)
      }
      const escaped = next(lexer)
      if (escaped === "") break
      text.push(escaped)
      words.add(escaped)
    } else {
      lexer.at++
      text.push(character)
      words.addSplit(character)
    }
  }
  if (stop !== undefined)
    throw new Unreadable(`unexpected end of statement while looking for matching ${stop}`)
  return { text: text.join(""), words: words.done() }
}

const splitter = () => {
  const words: string[] = []
  let word: string[] = []
  const end = () => {
    const text = word.join("")
    if (text !== "") words.push(text)
    word = []
  }
  return {
    add: (text: string) => {
      word.push(text)
    },
    addSplit: (text: string) => {
      for (const character of text) {
        if (isSpace(character)) end()
        else word.push(character)
      }
    },
    done: (): readonly string[] => {
      end()
      return words
    },
  }
}

/** "<<" with the blanks behind it is one thing, so that `<< EOF` stays a word. */
const readLess = (lexer: Lexer): string => {
  lexer.at++
  if (peek(lexer) !== "<") return "<"
  lexer.at++
  let blanks = ""
  while (/^[\t\r ]$/.test(peek(lexer))) blanks += next(lexer)
  return `<<${blanks}`
}

const readSingleQuoted = (lexer: Lexer, pattern: boolean): string => {
  const quote = lexer.options.rawQuotes === true ? "'" : ""
  const text: string[] = [quote]
  lexer.at++
  for (;;) {
    const character = next(lexer)
    if (character === "")
      throw new Unreadable("unexpected end of statement while looking for matching single-quote")
    if (character === "'") break
    if (pattern && character === lexer.escapeToken) text.push(character)
    text.push(character)
  }
  text.push(quote)
  return text.join("")
}

const readDoubleQuoted = (lexer: Lexer, raw: boolean, pattern: boolean): string => {
  const quote = lexer.options.rawQuotes === true ? '"' : ""
  const text: string[] = [quote]
  lexer.at++
  for (;;) {
    const character = peek(lexer)
    if (character === "")
      throw new Unreadable("unexpected end of statement while looking for matching double-quote")
    if (character === "$") {
      text.push(readDollar(lexer))
      continue
    }
    lexer.at++
    if (character === '"') break
    if (character !== lexer.escapeToken) {
      text.push(character)
      continue
    }
    const escaped = peek(lexer)
    if (escaped === "") continue
    if (escaped === '"' || escaped === "$" || escaped === lexer.escapeToken) {
      if (raw) text.push(character)
      text.push(next(lexer))
    } else {
      if (raw && (lexer.options.rawQuotes !== true || pattern)) text.push(character)
      text.push(character)
    }
  }
  text.push(quote)
  return text.join("")
}

const readDollar = (lexer: Lexer): string => {
  lexer.at++
  if (peek(lexer) !== "{") {
    const name = readName(lexer)
    if (name === "") return "$"
    return lexer.lookup(name) ?? (lexer.options.keepUnset === true ? `$${name}` : "")
  }
  lexer.at++
  if (++lexer.depth > deepest) throw new Unreadable("substitutions are nested too deeply")
  const value = readBraced(lexer)
  lexer.depth--
  return value
}

const missingBrace = "syntax error: missing '}'"

const readBraced = (lexer: Lexer): string => {
  const first = peek(lexer)
  if (first === "") throw new Unreadable(missingBrace)
  if (first === "{" || first === "}" || first === ":") throw new Unreadable("syntax error: bad substitution")
  const name = readName(lexer)
  const modifier = next(lexer)
  if (modifier === "}") return lexer.lookup(name) ?? (lexer.options.keepUnset === true ? `\${${name}}` : "")
  if (modifier === "/") return readReplacement(lexer, name)
  const colon = modifier === ":"
  return readModified(lexer, name, colon, colon ? next(lexer) : modifier)
}

const unsupported = (modifier: string): Unreadable =>
  new Unreadable(`unsupported modifier (${modifier}) in substitution`)

/** ${x-y} ${x:-y} ${x+y} ${x:+y} ${x?y} ${x:?y} ${x#y} ${x##y} ${x%y} ${x%%y} */
const readModified = (lexer: Lexer, name: string, colon: boolean, modifier: string): string => {
  // The end of the text is no character: the field shows it as the replacement character.
  const shown = `${colon ? ":" : ""}${modifier === "" ? "\ufffd" : modifier}`
  const trims = modifier === "#" || modifier === "%"
  if (colon && trims) throw unsupported(shown)
  if (!colon && !/^[-+?#%]$/.test(modifier)) throw unsupported(shown)
  const word = readPart(lexer, "}", trims, trims, missingBrace)
  const value = lexer.lookup(name)
  if (value === undefined && lexer.options.keepUnset === true) return `\${${name}${shown}${word}}`
  const unset = value === undefined || (colon && value === "")
  switch (modifier) {
    case "-":
      return unset ? word : value
    case "+":
      return unset ? "" : word
    case "?":
      if (!unset) return value
      throw new Unreadable(
        `${name}: ${word !== "" ? word : `is not allowed to be ${value === undefined ? "unset" : "empty"}`}`,
      )
    case "#":
    case "%": {
      const longest = word.startsWith(modifier)
      const pattern = longest ? word.slice(1) : word
      return modifier === "#"
        ? withoutPrefix(patternOf(pattern), value ?? "", longest)
        : withoutSuffix(patternOf(pattern), value ?? "", longest)
    }
    default:
      throw unsupported(shown)
  }
}

/** ${x/pattern/text} and ${x//pattern/text} */
const readReplacement = (lexer: Lexer, name: string): string => {
  const all = peek(lexer) === "/"
  if (all) lexer.at++
  const pattern = readPart(lexer, "/", true, true, `syntax error: missing '/' in \${}`)
  const replacement = readPart(lexer, "}", true, false, missingBrace)
  const value = lexer.lookup(name)
  if (value === undefined && lexer.options.keepUnset === true) return `\${${name}/${pattern}/${replacement}}`
  return replaceMatches(patternOf(pattern), value ?? "", replacement, all)
}

const readPart = (lexer: Lexer, stop: string, raw: boolean, pattern: boolean, atEnd: string): string => {
  try {
    return readUntil(lexer, stop, raw, pattern).text
  } catch (error) {
    if (error instanceof Unreadable && lexer.at >= lexer.characters.length) throw new Unreadable(atEnd)
    throw error
  }
}

const patternOf = (text: string) => {
  const pattern = readPattern(text)
  if (typeof pattern === "string")
    throw new Unreadable(`invalid pattern (${text}) in substitution: ${pattern}`)
  return pattern
}

/** A name, a run of digits, or one of the shell's special characters; "" = none of them. */
const readName = (lexer: Lexer): string => {
  const first = peek(lexer)
  const wanted = /^\p{Nd}$/u.test(first) ? /^\p{Nd}$/u : /^[\p{L}\p{Nd}_]$/u
  if (first !== "" && "@*#?-$!".includes(first)) return next(lexer)
  let name = ""
  while (wanted.test(peek(lexer))) name += next(lexer)
  return name
}
