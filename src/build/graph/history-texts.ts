// Texts of an image's history, in BuildKit's words and in the classic builder's.
import type { ExecutionConfig, HealthTest } from "../../oci/execution-config.ts"
import { quoted } from "../dockerfile/quoted.ts"
import type { Environment } from "./environment.ts"
import type { DeclaredArgument } from "./stage.ts"

/** Stands in classicCreatedBy for "file:…", "dir:…" or "multi:…" and the digest of what was copied. */
export const copiedContent = "\u0000content\u0000"

/** Go's %q of a list: ["a" "b"] */
export const quotedList = (words: readonly string[]): string => `[${words.map(quoted).join(" ")}]`

/** Go's time.Duration as text: "1m30s", "1.5s", "500ms", "0s". */
const goDuration = (milliseconds: number): string => {
  if (milliseconds === 0) return "0s"
  const nanoseconds = Math.round(milliseconds * 1e6)
  const decimal = (value: number): string => String(Number(value.toFixed(9)))
  if (nanoseconds < 1000) return `${nanoseconds}ns`
  if (nanoseconds < 1e6) return `${decimal(nanoseconds / 1e3)}µs`
  if (nanoseconds < 1e9) return `${decimal(nanoseconds / 1e6)}ms`
  const hours = Math.trunc(nanoseconds / 3.6e12)
  const minutes = Math.trunc((nanoseconds % 3.6e12) / 6e10)
  const seconds = decimal((nanoseconds % 6e10) / 1e9)
  if (hours > 0) return `${hours}h${minutes}m${seconds}s`
  return minutes > 0 ? `${minutes}m${seconds}s` : `${seconds}s`
}

/** Go's %q of a number: a character. */
const quotedNumber = (number: number): string => {
  if (number === 0x27 || number === 0x5c) return `'\\${String.fromCharCode(number)}'`
  if (number === 0x22) return `'"'`
  return `'${quoted(String.fromCodePoint(number)).slice(1, -1)}'`
}

/** The classic builder knows no start interval. */
export const healthcheckText = (health: HealthTest, classic = false): string => {
  const { interval, timeout, startPeriod, startInterval } = health
  const durations = [interval, timeout, startPeriod, ...(classic ? [] : [startInterval])]
  const words = durations.map((duration) => quoted(goDuration(duration ?? 0)))
  return `HEALTHCHECK &{${quotedList(health.test ?? [])} ${words.join(" ")} ${quotedNumber(health.retries ?? 0)}}`
}

/** The arguments that a command sees: declared ones with the value that holds now, each once, in order of declaration. */
export const argumentsSeen = (args: readonly DeclaredArgument[], env: Environment): readonly string[] => {
  const seen = new Map<string, string>()
  for (const { key, value } of args) seen.set(key, env.get(key) ?? value ?? "")
  return [...seen].map(([key, value]) => `${key}=${value}`)
}

/** "|1 X=y /bin/sh -c make" */
export const commandWithArguments = (argv: readonly string[], seen: readonly string[]): string =>
  [...(seen.length === 0 ? [] : [`|${seen.length}`, ...seen]), ...argv].join(" ")

export const shellOf = (config: ExecutionConfig): readonly string[] =>
  config.shell === undefined || config.shell.length === 0 ? ["/bin/sh", "-c"] : config.shell

/** "/bin/sh -c #(nop)  ENV A=b": two blanks for what only changes the config, one for what makes a layer. */
export const classicText = (config: ExecutionConfig, text: string, layer: boolean): string =>
  `${shellOf(config).join(" ")} #(nop) ${layer ? "" : " "}${text}`
