// Patterns of ${x#p}, ${x%p} and ${x/p/y}: "*" and "?" without brackets, matched in time linear in text times pattern.

type Part =
  | { readonly star: true }
  | { readonly star: false; readonly any: boolean; readonly literal: string }
export type Pattern = readonly Part[]

const star: Part = { star: true }
const any: Part = { star: false, any: true, literal: "" }
const letter = (literal: string): Part => ({ star: false, any: false, literal })

/** The parts of a pattern; a string says what is wrong with it. */
export const readPattern = (text: string): Pattern | string => {
  const parts: Part[] = []
  const characters = [...text]
  for (let at = 0; at < characters.length; at++) {
    const character = characters[at] ?? ""
    if (character === "*") parts.push(star)
    else if (character === "?") parts.push(any)
    else if (character !== "\\") parts.push(letter(character))
    else {
      const escaped = characters[at + 1] ?? "\ufffd"
      // These had to be escaped to stand in ${…} at all: the escape is no part of the pattern.
      if (escaped === "}" || escaped === "/") continue
      if (!["*", "?", "\\"].includes(escaped)) return `invalid escape '\\${escaped}'`
      parts.push(letter(escaped))
      at++
    }
  }
  return parts
}

const matches = (part: Part, character: string): boolean =>
  !part.star && (part.any ? character !== "\n" : part.literal === character)

/** For every place of the text, where a match that begins there ends (the longest or shortest); -1 = there is none. */
const matchEnds = (pattern: Pattern, text: readonly string[], longest: boolean): Int32Array => {
  const better = (a: number, b: number): number => {
    if (a < 0 || b < 0) return Math.max(a, b)
    return longest ? Math.max(a, b) : Math.min(a, b)
  }
  const ends = new Int32Array(text.length + 1)
  let after = new Int32Array(pattern.length + 1).fill(-1)
  let here = new Int32Array(pattern.length + 1)
  for (let at = text.length; at >= 0; at--) {
    const character = text[at]
    here[pattern.length] = at
    for (let index = pattern.length - 1; index >= 0; index--) {
      const part = pattern[index] ?? star
      if (part.star) {
        const goesOn = character === undefined || character === "\n" ? -1 : (after[index] ?? -1)
        here[index] = better(here[index + 1] ?? -1, goesOn)
      } else here[index] = character !== undefined && matches(part, character) ? (after[index + 1] ?? -1) : -1
    }
    ends[at] = here[0] ?? -1
    ;[after, here] = [here, after]
  }
  return ends
}

export const withoutPrefix = (pattern: Pattern, value: string, longest: boolean): string => {
  const characters = [...value]
  const end = matchEnds(pattern, characters, longest)[0] ?? -1
  return end < 0 ? value : characters.slice(end).join("")
}

export const withoutSuffix = (pattern: Pattern, value: string, longest: boolean): string => {
  const backwards = [...value].reverse().join("")
  return [...withoutPrefix([...pattern].reverse(), backwards, longest)].reverse().join("")
}

/**
 * The first match, or all of them, replaced; matches are the leftmost and longest. With all, "$0" in the replacement is what
 * was matched, other "$name" are empty and "$$" is "$", as the field has it.
 */
export const replaceMatches = (
  pattern: Pattern,
  value: string,
  replacement: string,
  all: boolean,
): string => {
  const characters = [...value]
  const ends = matchEnds(pattern, characters, true)
  if (!all) {
    const start = ends.findIndex((end) => end >= 0)
    if (start < 0) return value
    return characters.slice(0, start).join("") + replacement + characters.slice(ends[start]).join("")
  }
  const out: string[] = []
  let copied = 0
  let lastEnd = -1
  for (let start = 0; start <= characters.length; ) {
    const end = ends[start] ?? -1
    // An empty match right behind another one does not count.
    if (end >= 0 && !(end === start && start === lastEnd)) {
      const found = characters.slice(start, end).join("")
      out.push(characters.slice(copied, start).join(""), filled(replacement, found))
      copied = end
      lastEnd = end
    }
    start = end > start ? end : start + 1
  }
  out.push(characters.slice(copied).join(""))
  return out.join("")
}

const filled = (replacement: string, found: string): string =>
  replacement.includes("$")
    ? replacement.replace(/\$(?:\$|\{([\p{L}\p{Nd}_]+)\}|([\p{L}\p{Nd}_]+))/gu, (whole, braced, bare) => {
        if (whole === "$$") return "$"
        return (braced ?? bare) === "0" ? found : ""
      })
    : replacement
