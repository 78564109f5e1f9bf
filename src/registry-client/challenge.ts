// WWW-Authenticate: what a registry wants to see before it answers.

export interface Challenge {
  /** "bearer", "basic", … in lower case. */
  readonly scheme: string
  /** By lower-case name. */
  readonly parameters: Readonly<Record<string, string>>
}

const longest = 16 * 1024
const token = /[!#$%&'*+.^_`|~0-9A-Za-z-]+/y
const quoted = /"((?:[^"\\]|\\.)*)"/sy
const credentials68 = /[0-9A-Za-z._~+/-]+=*(?=[ \t]*(?:,|$))/y

/** All challenges of a header, in order. What is malformed is passed over: a registry that lies gets no credentials. */
export const parseChallenges = (header: string): Challenge[] => {
  const text = header.slice(0, longest)
  const found: { scheme: string; parameters: Record<string, string> }[] = []
  let at = 0
  const match = (pattern: RegExp): RegExpExecArray | undefined => {
    pattern.lastIndex = at
    const result = pattern.exec(text)
    if (result === null) return undefined
    at = pattern.lastIndex
    return result
  }
  const space = () => {
    while (text[at] === " " || text[at] === "\t") at++
  }
  while (at < text.length) {
    while (text[at] === "," || text[at] === " " || text[at] === "\t") at++
    const word = match(token)?.[0]
    if (word === undefined) {
      at++
      continue
    }
    space()
    const current = found.at(-1)
    if (text[at] === "=" && current !== undefined) {
      at++
      space()
      const value = match(quoted)?.[1]?.replace(/\\(.)/gs, "$1") ?? match(token)?.[0]
      const name = word.toLowerCase()
      // The first of two wins, so that nothing can be slipped in behind it.
      if (value !== undefined && !Object.hasOwn(current.parameters, name))
        Object.defineProperty(current.parameters, name, { value, enumerable: true })
      continue
    }
    found.push({ scheme: word.toLowerCase(), parameters: {} })
    const before = at
    if (match(credentials68) !== undefined && text.slice(before, at).includes("=") === false) at = before
  }
  return found
}
