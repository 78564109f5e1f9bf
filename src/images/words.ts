// Words of a Dockerfile-like instruction: quotes, escapes and variables, as a build would read them.
import { failure } from "../base/errors.ts"

/** A variable's value, undefined when it is not set. */
export type Lookup = (name: string) => string | undefined

/** Splits at blanks outside of quotes and leaves quotes and escapes in place. */
export const splitWords = (text: string): string[] => {
  const words: string[] = []
  let word = ""
  let quote = ""
  for (let at = 0; at < text.length; at++) {
    const character = text[at] ?? ""
    if (character === "\\" && quote !== "'") {
      word += character + (text[++at] ?? "")
    } else if (quote !== "") {
      if (character === quote) quote = ""
      word += character
    } else if (character === '"' || character === "'") {
      quote = character
      word += character
    } else if (/\s/.test(character)) {
      if (word !== "") words.push(word)
      word = ""
    } else word += character
  }
  if (word !== "") words.push(word)
  return words
}

/** The value of "${…}" (`inner`) and how a missing one is replaced. */
const expandBraced = (inner: string, lookup: Lookup): string => {
  const match = /^([A-Za-z_][A-Za-z0-9_]*)(?:(:?[-+?])([\s\S]*))?$/.exec(inner)
  if (match === null) throw failure("invalid", `unsupported variable expression "\${${inner}}"`)
  const [, name = "", operator = "", word = ""] = match
  const value = lookup(name)
  const present = operator.startsWith(":") ? value !== undefined && value !== "" : value !== undefined
  if (operator.endsWith("-")) return present ? (value ?? "") : expand(word, lookup)
  if (operator.endsWith("+")) return present ? expand(word, lookup) : ""
  if (operator.endsWith("?") && !present)
    throw failure("invalid", `${name}: ${word === "" ? "is not set" : expand(word, lookup)}`)
  return value ?? ""
}

/** Removes quotes and escapes and replaces variables. Throws "invalid" for what never closes. */
export const expand = (text: string, lookup: Lookup): string => {
  let result = ""
  let quote = ""
  for (let at = 0; at < text.length; at++) {
    const character = text[at] ?? ""
    if (quote === "'") {
      if (character === "'") quote = ""
      else result += character
    } else if (character === "\\") {
      const next = text[++at] ?? ""
      result += quote === '"' && !'"\\$'.includes(next) ? `\\${next}` : next
    } else if (character === quote) quote = ""
    else if (quote === "" && (character === '"' || character === "'")) quote = character
    else if (character === "$" && text[at + 1] === "{") {
      const end = text.indexOf("}", at)
      if (end < 0) throw failure("invalid", `a variable in "${text}" is not closed`)
      result += expandBraced(text.slice(at + 2, end), lookup)
      at = end
    } else if (character === "$") {
      const name = /^[A-Za-z_][A-Za-z0-9_]*/.exec(text.slice(at + 1))?.[0]
      if (name === undefined) result += "$"
      else {
        result += lookup(name) ?? ""
        at += name.length
      }
    } else result += character
  }
  if (quote !== "")
    throw failure(
      "invalid",
      `unexpected end of statement while looking for matching ${quote === '"' ? "double" : "single"}-quote`,
    )
  return result
}
