// Here-documents: which words of an instruction's line open one, and what follows it belongs to it.
import type { Heredoc } from "./instructions.ts"
import { expandWords } from "./words.ts"

/** `<<EOF`, `3<<-"EOF"` as found in a line, its text not read yet. */
export interface HeredocWord {
  readonly name: string
  readonly expand: boolean
  readonly chomp: boolean
  readonly fileDescriptor: number
}

const unset = () => undefined
const quotes = (text: string): number => text.split(/['"]/).length - 1

/** A word that opens a heredoc; undefined = it does not. Throws BuildFailure for a name with a quote left open. */
export const readHeredocWord = (word: string): HeredocWord | undefined => {
  const match = /^(\d*)<<(-?)\s*([^<]*)$/.exec(word)
  const rest = match?.[3] ?? ""
  if (match === null || rest === "") return undefined
  const names = expandWords(rest, unset, "\\", { keepUnset: true })
  const [name] = names
  if (name === undefined || names.length !== 1) return undefined
  const [written = ""] = expandWords(rest, unset, "\\", { keepUnset: true, rawQuotes: true })
  return {
    name,
    expand: quotes(name) === quotes(written),
    chomp: match[2] === "-",
    fileDescriptor: Number(match[1]),
  }
}

/** All of a line, in order. A line whose quotes do not close has none. */
export const heredocWords = (line: string): readonly HeredocWord[] => {
  if (!line.includes("<<")) return []
  let words: readonly string[]
  try {
    words = expandWords(line, unset, "\\", { keepUnset: true, rawQuotes: true, rawEscapes: true })
  } catch {
    return []
  }
  return words.map(readHeredocWord).filter((word) => word !== undefined)
}

/** Text without the tabs that lead its lines. */
export const chomped = (text: string): string => text.replace(/^\t+/gm, "")

export const heredoc = (word: HeredocWord, raw: string): Heredoc => ({
  name: word.name,
  content: word.chomp ? chomped(raw) : raw,
  raw,
  expand: word.expand,
  fileDescriptor: word.fileDescriptor,
})
