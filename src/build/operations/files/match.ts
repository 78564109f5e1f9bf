// Wildcards of COPY and ADD: Go's filepath.Match, which must match all of the name; "*" and "?" never match a slash.
import { failure } from "../../../base/errors.ts"

const broken = (pattern: string) =>
  failure("invalid", `syntax error in pattern: "${pattern}" (a "[" is not closed, or a "\\" ends it)`)

/** A character class from `at` (after "[") on: whether it holds `sign`, and where it ends. */
const classAt = (
  pattern: readonly string[],
  from: number,
  sign: string,
  text: string,
): { holds: boolean; end: number } => {
  let at = from
  const negated = pattern[at] === "^"
  if (negated) at++
  let holds = false
  const next = (): string => {
    let one = pattern[at]
    if (one === undefined || one === "-" || one === "]") throw broken(text)
    if (one === "\\") {
      at++
      one = pattern[at]
      if (one === undefined) throw broken(text)
    }
    at++
    if (at >= pattern.length) throw broken(text)
    return one
  }
  for (let first = true; first || pattern[at] !== "]"; first = false) {
    const low = next()
    let high = low
    if (pattern[at] === "-") {
      at++
      high = next()
    }
    if (sign >= low && sign <= high) holds = true
  }
  return { holds: holds !== negated, end: at + 1 }
}

/** Whether `name` is what the pattern describes. Throws Failure "invalid" for a malformed pattern. */
export const matchName = (text: string, name: string): boolean => {
  const pattern = Array.from(text)
  const signs = Array.from(name)
  let [at, to] = [0, 0]
  // Where to begin again after the last "*" took one more sign.
  let [star, taken] = [-1, 0]
  while (to < signs.length || at < pattern.length) {
    const one = pattern[at]
    if (one === "*") {
      star = at++
      taken = to
      continue
    }
    const sign = signs[to]
    if (one !== undefined && sign !== undefined) {
      if (one === "[") {
        const { holds, end } = classAt(pattern, at + 1, sign, text)
        if (holds) {
          at = end
          to++
          continue
        }
      } else if (one === "?") {
        if (sign !== "/") {
          at++
          to++
          continue
        }
      } else {
        const escaped = one === "\\"
        const literal = escaped ? pattern[at + 1] : one
        if (literal === undefined) throw broken(text)
        if (literal === sign) {
          at += escaped ? 2 : 1
          to++
          continue
        }
      }
    }
    if (star < 0 || taken >= signs.length || signs[taken] === "/") return false
    taken++
    at = star + 1
    to = taken
  }
  return true
}

/** Whether a path has a wildcard that is not escaped. */
export const hasWildcard = (text: string): boolean => /^(?:[^*?[\\]|\\[\s\S])*[*?[]/.test(text)

/** The leading part of a path without wildcards, and the rest. */
export const splitWildcards = (path: string): [plain: string, pattern: string] => {
  const parts = path.split("/").filter((part) => part !== "")
  const first = parts.findIndex(hasWildcard)
  if (first < 0) return [parts.join("/"), ""]
  return [parts.slice(0, first).join("/"), parts.slice(first).join("/")]
}
