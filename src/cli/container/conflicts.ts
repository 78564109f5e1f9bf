// Values that run and create refuse by themselves, without the usage: each gets docker's sentence.
import { failure } from "../../base/errors.ts"
import type { Parsed } from "../flags.ts"

const refuse = (message: string): never => {
  throw failure("invalid", message)
}

const modes: readonly (readonly [flag: string, words: RegExp, what: string])[] = [
  ["pid", /^(|host|container:.+)$/, "--pid: invalid PID mode"],
  ["uts", /^(|host)$/, "--uts: invalid UTS mode"],
  ["userns", /^(|host)$/, "--userns: invalid USER mode"],
  ["cgroupns", /^(|host|private)$/, "--cgroupns: invalid CGROUP mode"],
]

/** Throws invalid for the first flag whose value cannot be meant. */
export function refuseImpossible(parsed: Parsed): void {
  for (const [flag, words, what] of modes)
    if (parsed.given(flag) && !words.test(parsed.string(flag) ?? "")) refuse(what)
  const mac = parsed.string("mac-address")
  if (mac && !/^[0-9a-f]{2}([:-][0-9a-f]{2}){5}$/i.test(mac)) refuse(`${mac} is not a valid mac address`)
  const swappiness = parsed.int("memory-swappiness") ?? -1
  if (swappiness !== -1 && (swappiness < 0 || swappiness > 100))
    refuse(`invalid value: ${swappiness}. Valid memory swappiness range is 0-100`)
  for (const value of parsed.list("storage-opt")) if (!value.includes("=")) refuse("invalid storage option")
  for (const value of parsed.list("security-opt"))
    if (!/[=:]/.test(value) && value !== "no-new-privileges") refuse(`Invalid --security-opt: "${value}"`)
  for (const value of parsed.list("device")) {
    const mode = value.split(":")[2]
    if (mode !== undefined && !/^[rwm]{1,3}$/.test(mode)) refuse(`bad mode specified: ${mode}`)
  }
  for (const name of ["interval", "timeout", "start-period", "start-interval"])
    if (parsed.string(`health-${name}`)?.startsWith("-")) refuse(`--health-${name} cannot be negative`)
  if ((parsed.int("health-retries") ?? 0) < 0) refuse("--health-retries cannot be negative")
}
