// The execution part of an image config ("config" in the document): Docker's field names to the domain's and back.
import { failure } from "../base/errors.ts"
import { isJsonObject, type JsonObject } from "../base/json-bounded.ts"
import { parseStrings } from "./descriptor.ts"

/** A health test; durations in milliseconds. `test` is ["NONE"], ["CMD", …] or ["CMD-SHELL", line]. */
export interface HealthTest {
  readonly test?: readonly string[]
  readonly interval?: number
  readonly timeout?: number
  readonly startPeriod?: number
  readonly startInterval?: number
  readonly retries?: number
}

/** What an image says about running it. */
export interface ExecutionConfig {
  readonly user: string
  readonly exposedPorts: readonly string[]
  readonly env: readonly string[]
  readonly entrypoint?: readonly string[]
  readonly command?: readonly string[]
  readonly argsEscaped?: boolean
  readonly volumes: readonly string[]
  readonly workingDirectory: string
  readonly labels: Readonly<Record<string, string>>
  readonly stopSignal?: string
  readonly healthcheck?: HealthTest
  readonly shell?: readonly string[]
  readonly onBuild?: readonly string[]
}

/** A string without NUL, which no process argument can hold. */
const parseText = (value: unknown, what: string): string => {
  if (value === undefined || value === null) return ""
  if (typeof value !== "string") throw failure("invalid", `${what} is not a string`)
  if (value.includes("\0")) throw failure("invalid", `${what} holds a NUL character`)
  return value
}

const parseList = (value: unknown, what: string): string[] | undefined => {
  if (value === undefined || value === null) return undefined
  if (!Array.isArray(value)) throw failure("invalid", `${what} is not a list`)
  return value.map((entry) => {
    if (typeof entry !== "string") throw failure("invalid", `${what} holds something that is not a string`)
    return parseText(entry, what)
  })
}

/** Keys of Go's map[string]struct{}, sorted. */
const parseSet = (value: unknown, what: string): string[] => {
  if (value === undefined || value === null) return []
  if (!isJsonObject(value)) throw failure("invalid", `${what} is not an object`)
  return Object.keys(value)
    .map((key) => parseText(key, what))
    .toSorted()
}

const millisecond = 1_000_000

const parseHealth = (value: unknown, what: string): HealthTest | undefined => {
  if (value === undefined || value === null) return undefined
  if (!isJsonObject(value)) throw failure("invalid", `${what} is not an object`)
  const number = (key: string, scale: number): Record<string, number> => {
    const found = value[key]
    if (found === undefined || found === null || found === 0) return {}
    if (typeof found !== "number" || !Number.isFinite(found) || found < 0)
      throw failure("invalid", `${what} has an invalid ${key}`)
    return { [key.charAt(0).toLowerCase() + key.slice(1)]: found / scale }
  }
  const test = parseList(value.Test, `${what}'s Test`)
  return {
    ...(test === undefined ? {} : { test }),
    ...number("Interval", millisecond),
    ...number("Timeout", millisecond),
    ...number("StartPeriod", millisecond),
    ...number("StartInterval", millisecond),
    ...number("Retries", 1),
  }
}

const present = <K extends string, T>(key: K, value: T | undefined): { [key in K]?: T } => {
  const found: { [key in K]?: T } = {}
  if (value !== undefined) found[key] = value
  return found
}

/** Reads the "config" object of an image config. Absent is an empty one. Throws Failure "invalid". */
export const parseExecutionConfig = (value: unknown, what: string): ExecutionConfig => {
  if (value !== undefined && value !== null && !isJsonObject(value))
    throw failure("invalid", `the execution part of ${what} is not an object`)
  const source: JsonObject = value ?? {}
  const name = (field: string) => `${field} in ${what}`
  const stopSignal = parseText(source.StopSignal, name("StopSignal"))
  return {
    user: parseText(source.User, name("User")),
    exposedPorts: parseSet(source.ExposedPorts, name("ExposedPorts")),
    env: parseList(source.Env, name("Env")) ?? [],
    volumes: parseSet(source.Volumes, name("Volumes")),
    workingDirectory: parseText(source.WorkingDir, name("WorkingDir")),
    labels: parseStrings(source.Labels, name("Labels")),
    ...present("entrypoint", parseList(source.Entrypoint, name("Entrypoint"))),
    ...present("command", parseList(source.Cmd, name("Cmd"))),
    ...present("argsEscaped", source.ArgsEscaped === true ? true : undefined),
    ...present("stopSignal", stopSignal === "" ? undefined : stopSignal),
    ...present("healthcheck", parseHealth(source.Healthcheck, name("Healthcheck"))),
    ...present("shell", parseList(source.Shell, name("Shell"))),
    ...present("onBuild", parseList(source.OnBuild, name("OnBuild"))),
  }
}

const encodeHealth = (health: HealthTest): JsonObject => ({
  ...present("Test", health.test),
  ...present(
    "Interval",
    health.interval === undefined ? undefined : Math.round(health.interval * millisecond),
  ),
  ...present("Timeout", health.timeout === undefined ? undefined : Math.round(health.timeout * millisecond)),
  ...present(
    "StartPeriod",
    health.startPeriod === undefined ? undefined : Math.round(health.startPeriod * millisecond),
  ),
  ...present(
    "StartInterval",
    health.startInterval === undefined ? undefined : Math.round(health.startInterval * millisecond),
  ),
  ...present("Retries", health.retries),
})

const encodeSet = (keys: readonly string[]): JsonObject | undefined =>
  keys.length === 0 ? undefined : Object.fromEntries(keys.toSorted().map((key) => [key, {}]))

/** The "config" object of an image config, in Docker's order of fields. */
export const encodeExecutionConfig = (config: ExecutionConfig): JsonObject => ({
  ...present("User", config.user === "" ? undefined : config.user),
  ...present("ExposedPorts", encodeSet(config.exposedPorts)),
  ...present("Env", config.env.length === 0 ? undefined : config.env),
  ...present("Entrypoint", config.entrypoint),
  ...present("Cmd", config.command),
  ...present("Healthcheck", config.healthcheck === undefined ? undefined : encodeHealth(config.healthcheck)),
  ...present("ArgsEscaped", config.argsEscaped),
  ...present("Volumes", encodeSet(config.volumes)),
  ...present("WorkingDir", config.workingDirectory === "" ? undefined : config.workingDirectory),
  ...present("Labels", Object.keys(config.labels).length === 0 ? undefined : config.labels),
  ...present("StopSignal", config.stopSignal),
  ...present("Shell", config.shell),
  ...present("OnBuild", config.onBuild),
})
