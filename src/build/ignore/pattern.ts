// One ignore pattern, compiled once: moby's rules for "*", "?", "**" and brackets, and a match that never backtracks for long.
import { failure } from "../../base/errors.ts"

/** Code points from first to last. */
type Range = readonly [first: number, last: number]

interface Item {
  /** one: a character; many: any number of them; folders: nothing, or anything that ends in "/". */
  readonly kind: "one" | "many" | "folders"
  readonly negated: boolean
  readonly ranges: readonly Range[]
}

const refused = (pattern: string) =>
  failure(
    "invalid",
    `syntax error in pattern: ${JSON.stringify(pattern)} cannot be read as an ignore pattern`,
  )

const code = (character: string): number => character.codePointAt(0) ?? 0
const anyButLineEnd = { negated: true, ranges: [[10, 10]] as readonly Range[] }
const folders: Item = { kind: "folders", ...anyButLineEnd }

/**
 * A function that tells whether a path matches. The pattern is cleaned and has no "!". Throws Failure (invalid) for one that
 * cannot be read.
 */
export const compilePattern = (pattern: string): ((path: string) => boolean) => {
  checkSyntax(pattern)
  const { kind, expression } = translate(pattern)
  switch (kind) {
    case "exact":
      return (path) => path === pattern
    case "prefix": {
      const prefix = pattern.slice(0, -2)
      return (path) => path.startsWith(prefix)
    }
    case "suffix": {
      const suffix = pattern.slice(2)
      const whole = suffix.startsWith("/") ? suffix.slice(1) : undefined
      return (path) => path.endsWith(suffix) || path === whole
    }
    default: {
      const items = readExpression(expression, pattern)
      // With few repetitions the engine's own matcher is fast and cannot go astray; with more it could.
      return items.filter((item) => item.kind !== "one").length <= 2 ? byRegExp(items) : byStates(items)
    }
  }
}

/** Brackets and escapes must close up to the first "*" behind the beginning: that is how far Go's filepath.Match looks. */
const checkSyntax = (pattern: string): void => {
  const characters = [...pattern.replace(/^\*+/, "")]
  let at = 0
  const escaped = () => {
    if (characters[at] === "\\") at++
    if (at >= characters.length) throw refused(pattern)
    at++
  }
  while (at < characters.length) {
    const character = characters[at]
    if (character === "*") return
    if (character === "\\") escaped()
    else if (character !== "[") at++
    else {
      at++
      if (characters[at] === "^") at++
      for (let count = 0; count === 0 || characters[at] !== "]"; count++) {
        if (characters[at] === "-" || characters[at] === "]") throw refused(pattern)
        escaped()
        if (characters[at] !== "-") continue
        at++
        if (characters[at] === "-" || characters[at] === "]") throw refused(pattern)
        escaped()
      }
      at++
    }
  }
}

/** The pattern as moby turns it into an expression, or the simple kind of match that it is. */
const translate = (pattern: string) => {
  const characters = [...pattern]
  let kind: "exact" | "prefix" | "suffix" | "expression" = "exact"
  let expression = ""
  for (let at = 0, step = 0; at < characters.length; at++, step++) {
    const character = characters[at] ?? ""
    if (character === "*" && characters[at + 1] === "*") {
      at++
      if (characters[at + 1] === "/") at++
      if (at + 1 < characters.length) {
        expression += "(.*/)?"
        kind = "expression"
      } else if (kind === "exact") kind = "prefix"
      else {
        expression += ".*"
        kind = "expression"
      }
      if (step === 0) kind = "suffix"
    } else if (character === "*") {
      expression += "[^/]*"
      kind = "expression"
    } else if (character === "?") {
      expression += "[^/]"
      kind = "expression"
    } else if (".+()|{}$".includes(character)) expression += `\\${character}`
    else if (character === "\\") {
      if (at + 1 === characters.length) expression += "\\"
      else {
        expression += `\\${characters[++at]}`
        kind = "expression"
      }
    } else {
      expression += character
      if (character === "[" || character === "]") kind = "expression"
    }
  }
  return { kind, expression }
}

/** Brackets mix with what stands for "*" in them, so the expression is read anew rather than the pattern. */
const readExpression = (expression: string, pattern: string): readonly Item[] => {
  const characters = [...expression]
  const items: Item[] = []
  let at = 0
  const readClass = (): Omit<Item, "kind"> => {
    const negated = characters[at] === "^"
    if (negated) at++
    const ranges: Range[] = []
    for (let count = 0; characters[at] !== "]" || count === 0; count++) {
      const first = readCharacter()
      if (typeof first !== "number") {
        ranges.push(...first)
        continue
      }
      if (characters[at] !== "-" || characters[at + 1] === "]") {
        ranges.push([first, first])
        continue
      }
      at++
      const last = readCharacter()
      if (typeof last !== "number" || last < first) throw refused(pattern)
      ranges.push([first, last])
    }
    at++
    return { negated, ranges }
  }
  const readCharacter = (): number | readonly Range[] => {
    const character = characters[at++]
    if (character === undefined) throw refused(pattern)
    if (character !== "\\") return code(character)
    const escaped = characters[at++]
    if (escaped === undefined) throw refused(pattern)
    const known = classes[escaped]
    if (known !== undefined) return known
    const control = controls[escaped]
    if (control !== undefined) return control
    if (/^[0-9A-Za-z]$/.test(escaped)) throw refused(pattern)
    return code(escaped)
  }
  while (at < characters.length) {
    const character = characters[at]
    if (character === "(") {
      // Only ever written by `translate`, whole.
      items.push(folders)
      at += "(.*/)?".length
      continue
    }
    let set: Omit<Item, "kind">
    if (character === "[") {
      at++
      set = readClass()
    } else if (character === ".") {
      at++
      set = anyButLineEnd
    } else if (character === "^") {
      // The start of the text: true there, so that what may be nothing before it is nothing.
      at++
      if (items.every((item) => item.kind !== "one")) {
        items.length = 0
        continue
      }
      set = { negated: false, ranges: [] }
    } else if (character === "*" || character === "?") throw refused(pattern)
    else {
      const read = readCharacter()
      set = { negated: false, ranges: typeof read === "number" ? [[read, read]] : read }
    }
    const many = characters[at] === "*"
    if (many) at++
    items.push({ kind: many ? "many" : "one", ...set })
  }
  return items
}

const digits: Range = [0x30, 0x39]
const classes: Readonly<Record<string, readonly Range[]>> = {
  d: [digits],
  w: [digits, [0x41, 0x5a], [0x5f, 0x5f], [0x61, 0x7a]],
  s: [
    [9, 10],
    [12, 13],
    [32, 32],
  ],
}
const controls: Readonly<Record<string, number>> = { a: 7, t: 9, n: 10, v: 11, f: 12, r: 13 }

const setSource = ({ negated, ranges }: Omit<Item, "kind">): string => {
  const point = (value: number) => `\\u{${value.toString(16)}}`
  if (ranges.length === 0) return "[]"
  return `[${negated ? "^" : ""}${ranges.map(([first, last]) => `${point(first)}-${point(last)}`).join("")}]`
}

const byRegExp = (items: readonly Item[]): ((path: string) => boolean) => {
  const source = items.map((item) => {
    if (item.kind === "folders") return "(?:[^\\n]*/)?"
    return `${setSource(item)}${item.kind === "many" ? "*" : ""}`
  })
  const expression = new RegExp(`^${source.join("")}$`, "u")
  return (path) => expression.test(path)
}

const holds = ({ negated, ranges }: Item, character: number): boolean =>
  ranges.some(([first, last]) => first <= character && character <= last) !== negated

/** All ways at once, character by character: time is path times pattern. */
const byStates = (items: readonly Item[]): ((path: string) => boolean) => {
  /** Within `folders` and behind it are different states: 2n is before item n, 2n+1 is inside it. */
  const open = (states: Uint8Array, from: number): void => {
    for (let index = from; index < items.length && states[2 * index] === 1; index++) {
      if (items[index]?.kind === "one") return
      states[2 * index + 2] = 1
    }
  }
  return (path) => {
    let now = new Uint8Array(2 * items.length + 2)
    now[0] = 1
    open(now, 0)
    for (const letter of path) {
      const character = code(letter)
      const next = new Uint8Array(now.length)
      let any = false
      for (const [index, item] of items.entries()) {
        const before = now[2 * index] === 1
        const inside = now[2 * index + 1] === 1
        if ((!before && !inside) || !holds(item, character)) continue
        any = true
        if (item.kind === "one") next[2 * index + 2] = 1
        else if (item.kind === "many") next[2 * index] = 1
        else {
          next[2 * index + 1] = 1
          if (character === 0x2f) next[2 * index + 2] = 1
        }
      }
      if (!any) return false
      for (let index = 0; index < items.length; index++) open(next, index)
      now = next
    }
    return now[2 * items.length] === 1
  }
}
