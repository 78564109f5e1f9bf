// Values as Go's own readers take them, with their words for what is wrong: booleans, whole numbers, durations.
import { BuildFailure } from "../failure.ts"
import { quoted } from "./quoted.ts"

const refused = (message: string): BuildFailure => new BuildFailure("invalid", message, {})

/** undefined = it is none. */
export const readBoolean = (text: string): boolean | undefined => {
  if (["1", "t", "T", "true", "TRUE", "True"].includes(text)) return true
  return ["0", "f", "F", "false", "FALSE", "False"].includes(text) ? false : undefined
}

/** A number of 32 bits without sign in base 8 or 10; undefined = it is none. */
export const readUnsigned = (text: string, base: 8 | 10): number | undefined => {
  if (!(base === 8 ? /^[0-7]+$/ : /^[0-9]+$/).test(text)) return undefined
  const value = Number.parseInt(text, base)
  return value > 0xffffffff ? undefined : value
}

/** A number of 32 bits with sign. Throws BuildFailure (invalid). */
export const readInteger = (text: string): number => {
  if (!/^[+-]?[0-9]+$/.test(text)) throw refused(`strconv.ParseInt: parsing ${quoted(text)}: invalid syntax`)
  const value = Number.parseInt(text, 10)
  if (value > 0x7fffffff || value < -0x80000000)
    throw refused(`strconv.ParseInt: parsing ${quoted(text)}: value out of range`)
  return value
}

const nanoseconds: Readonly<Record<string, number>> = {
  ns: 1,
  us: 1e3,
  µs: 1e3,
  μs: 1e3,
  ms: 1e6,
  s: 1e9,
  m: 60e9,
  h: 3600e9,
}

/** "1h30m" → milliseconds, with fractions. Throws BuildFailure (invalid): 'time: missing unit in duration "5"' … */
export const readDuration = (text: string): number => {
  const invalid = refused(`time: invalid duration ${quoted(text)}`)
  const unsigned = text.replace(/^[+-]/, "")
  if (unsigned === "0") return 0
  if (unsigned === "") throw invalid
  let total = 0
  let rest = unsigned
  while (rest !== "") {
    const number = /^(?:[0-9]+\.?[0-9]*|\.[0-9]+)/.exec(rest)?.[0]
    if (number === undefined) throw invalid
    rest = rest.slice(number.length)
    const unit = /^[^.0-9]+/.exec(rest)?.[0]
    if (unit === undefined) throw refused(`time: missing unit in duration ${quoted(text)}`)
    const size = Object.hasOwn(nanoseconds, unit) ? nanoseconds[unit] : undefined
    if (size === undefined) throw refused(`time: unknown unit ${quoted(unit)} in duration ${quoted(text)}`)
    rest = rest.slice(unit.length)
    total += Math.trunc(Number(number) * size)
  }
  if (total >= 2 ** 63) throw invalid
  return (text.startsWith("-") ? -total : total) / 1e6
}
