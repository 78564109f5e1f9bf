// Takes an instruction's line apart: keyword, flags, words, JSON arrays. Nothing is expanded and quotes stay, except in flags.
import { isSpace, splitAtBlanks, trim, trimStart } from "./spaces.ts"

export interface SplitLine {
  readonly keyword: string
  /** "--name" or "--name=value", quotes and escapes gone. */
  readonly flags: readonly string[]
  readonly rest: string
}

export const splitLine = (line: string, escapeToken: string): SplitLine => {
  const [keyword, behind] = splitAtBlanks(trim(line))
  if (behind === undefined) return { keyword, flags: [], rest: "" }
  const { flags, rest } = splitFlags(behind, escapeToken)
  return { keyword, flags, rest: trim(rest) }
}

/** Words that begin with "--", up to the first that does not or a lone "--". */
const splitFlags = (line: string, escapeToken: string): { flags: readonly string[]; rest: string } => {
  const flags: string[] = []
  let at = 0
  for (;;) {
    while (at < line.length && isSpace(line.charAt(at))) at++
    if (!line.startsWith("--", at)) return { flags, rest: line.slice(at) }
    const { word, end } = flagWord(line, at, escapeToken)
    at = end
    if (word === "--") return { flags, rest: line.slice(at) }
    flags.push(word)
  }
}

const flagWord = (line: string, start: number, escapeToken: string): { word: string; end: number } => {
  let word = ""
  let quote = ""
  let at = start
  for (; at < line.length; at++) {
    const character = line.charAt(at)
    if (quote === "" && isSpace(character)) break
    if (quote === "" && (character === "'" || character === '"')) quote = character
    else if (character === quote) quote = ""
    else if (character === escapeToken) {
      // One at the very end is dropped.
      if (at + 1 < line.length) word += line.charAt(++at)
    } else word += character
  }
  return { word, end: at }
}

/** Words at blanks, those within quotes left whole; quotes and escapes stay. */
export const splitWords = (text: string, escapeToken: string): readonly string[] => {
  const characters = [...text]
  const words: string[] = []
  let word: string[] = []
  let quote = ""
  let sawQuote = false
  const end = () => {
    if (sawQuote || word.length > 0) words.push(word.join(""))
    word = []
    sawQuote = false
  }
  for (let at = 0; at < characters.length; at++) {
    const character = characters[at] ?? ""
    if (quote === "" && isSpace(character)) {
      end()
      continue
    }
    if (character === escapeToken && quote !== "'") {
      if (at + 1 === characters.length) break
      word.push(character, characters[++at] ?? "")
      continue
    }
    if (quote === "" && (character === "'" || character === '"')) {
      quote = character
      sawQuote = true
    } else if (character === quote) quote = ""
    word.push(character)
  }
  end()
  return words
}

/** Words at blanks, quotes or not. */
export const splitBlanks = (text: string): readonly string[] =>
  text === "" ? [] : text.split(/[\t\v\f\r ]+/)

/** A JSON array's strings; "mixed" = an array with something else in it; undefined = no JSON array at all. */
export const readJsonWords = (text: string): readonly string[] | "mixed" | undefined => {
  if (!trimStart(text).startsWith("[")) return undefined
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return undefined
  }
  if (!Array.isArray(value)) return undefined
  const words = value.filter((word): word is string => typeof word === "string")
  return words.length === value.length ? words : "mixed"
}
