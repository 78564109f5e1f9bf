// Durations as people and Docker write them, in milliseconds.
import { failure } from "./errors.ts"

const units: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  μs: 1e-3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
}

/** "1h30m", "1.5s", "-2m", "0" → milliseconds. Throws invalid for anything else. */
export const parseDuration = (text: string): number => {
  const match = /^([+-]?)((?:\d+\.?\d*|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+$/.exec(text)
  if (/^[+-]?0$/.test(text)) return 0
  if (match === null) throw failure("invalid", `invalid duration "${text}": write it as 30s, 1m30s or 1.5h`)
  let total = 0
  for (const part of text.matchAll(/(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)/g)) {
    total += Number(part[1]) * (units[part[2] ?? ""] ?? Number.NaN)
  }
  return match[1] === "-" ? -total : total
}

/** Milliseconds in words, as `docker ps` shows an age: "Less than a second", "About a minute", "3 hours", "2 days". */
export const humanDuration = (milliseconds: number): string => {
  const seconds = Math.trunc(milliseconds / 1000)
  if (seconds < 1) return "Less than a second"
  if (seconds === 1) return "1 second"
  if (seconds < 60) return `${seconds} seconds`
  const minutes = Math.trunc(seconds / 60)
  if (minutes === 1) return "About a minute"
  if (minutes < 60) return `${minutes} minutes`
  const hours = Math.round(seconds / 3600)
  if (hours === 1) return "About an hour"
  if (hours < 48) return `${hours} hours`
  if (hours < 24 * 7 * 2) return `${Math.trunc(hours / 24)} days`
  if (hours < 24 * 30 * 2) return `${Math.trunc(hours / 24 / 7)} weeks`
  if (hours < 24 * 365 * 2) return `${Math.trunc(hours / 24 / 30)} months`
  return `${Math.trunc(hours / 24 / 365)} years`
}
