// Shell patterns as Go's path.Match reads them: "*" and "?" stop at slashes, "[a-z]" is a class, "\" quotes.
import { failure } from "../base/errors.ts"

/** Throws invalid for a malformed pattern. */
export function globToRegExp(pattern: string): RegExp {
  let source = ""
  for (let at = 0; at < pattern.length; at++) {
    const character = pattern[at] ?? ""
    if (character === "*") {
      // Many stars in a row mean one, and would make the expression slow.
      while (pattern[at + 1] === "*") at++
      source += "[^/]*"
    } else if (character === "?") source += "[^/]"
    else if (character === "[") {
      const end = pattern.indexOf("]", at + 2)
      if (end < 0) throw failure("invalid", `syntax error in pattern: ${pattern}`)
      const body = pattern.slice(at + 1, end).replace(/[\\[\]]/g, "\\$&")
      source += `[${body}]`
      at = end
    } else if (character === "\\") {
      at++
      source += quoted(pattern[at] ?? "\\")
    } else source += quoted(character)
  }
  try {
    return new RegExp(`^${source}$`)
  } catch (cause) {
    throw failure("invalid", `syntax error in pattern: ${pattern}`, { cause })
  }
}

const quoted = (character: string): string => character.replace(/[.*+?^${}()|[\]\\/]/g, "\\$&")
