// White space as the field's parsers see it (Unicode's White_Space; JavaScript's own trim differs in two characters).

const space = "\\t\\n\\v\\f\\r \\u0085\\u00a0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000"
const one = new RegExp(`^[${space}]$`, "u")
const leading = new RegExp(`^[${space}]+`, "u")

export const isSpace = (character: string): boolean =>
  character === " " || character === "\t" || (character !== "" && one.test(character))

export const trimStart = (text: string): string => text.replace(leading, "")

export const trim = (text: string): string => {
  let end = text.length
  while (end > 0 && isSpace(text.charAt(end - 1))) end--
  return trimStart(text.slice(0, end))
}

/** At the first run of blanks (no line ends): [before, after], or the whole alone. */
export const splitAtBlanks = (text: string): readonly [string] | readonly [string, string] => {
  const match = /[\t\v\f\r ]+/.exec(text)
  if (match === null) return [text]
  return [text.slice(0, match.index), text.slice(match.index + match[0].length)]
}
