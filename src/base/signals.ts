// Signal names and numbers of Linux, as users write them.
import { failure } from "./errors.ts"

const names =
  "HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT CHLD CONT STOP TSTP TTIN TTOU URG XCPU XFSZ VTALRM PROF WINCH IO PWR SYS".split(
    " ",
  )
const numbers = new Map(names.map((name, index) => [name, index + 1]))
for (const [alias, number] of [
  ["IOT", 6],
  ["CLD", 17],
  ["POLL", 29],
] as const)
  numbers.set(alias, number)
const realtimeFirst = 34
const realtimeLast = 64

/** "SIGTERM", "term", "15" or "RTMIN+3" → number. Throws invalid: `invalid signal: x`. */
export const parseSignal = (text: string): number => {
  if (/^\d+$/.test(text)) {
    const number = Number(text)
    if (number >= 1 && number <= realtimeLast) return number
    throw failure("invalid", `invalid signal: ${text}`)
  }
  const name = text.toUpperCase().replace(/^SIG/, "")
  const known = numbers.get(name)
  if (known !== undefined) return known
  const realtime = /^RT(MIN|MAX)(?:([+-])(\d{1,2}))?$/.exec(name)
  if (realtime !== null) {
    const offset = Number(realtime[3] ?? 0) * (realtime[2] === "-" ? -1 : 1)
    const number = (realtime[1] === "MIN" ? realtimeFirst : realtimeLast) + offset
    if (number >= realtimeFirst && number <= realtimeLast) return number
  }
  throw failure("invalid", `invalid signal: ${text}`)
}

export const signalKill = 9
export const signalTerminate = 15
