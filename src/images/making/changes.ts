// Dockerfile instructions that import and commit accept (--change): they alter the execution part of an image.

import { posix } from "node:path"
import { parseDuration } from "../../base/duration.ts"
import { failure } from "../../base/errors.ts"
import type { ImageConfig } from "../images.ts"
import { expand, type Lookup, splitWords } from "../words.ts"

/** ["a", "b"] as JSON, undefined for the shell form. */
const jsonForm = (text: string): string[] | undefined => {
  if (!text.startsWith("[")) return undefined
  try {
    const list: unknown = JSON.parse(text)
    return Array.isArray(list) && list.every((word) => typeof word === "string") ? list : undefined
  } catch {
    return undefined
  }
}

const commandForm = (text: string, shell: readonly string[] | undefined): string[] =>
  jsonForm(text) ?? (text === "" ? [] : [...(shell ?? ["/bin/sh", "-c"]), text])

/** Pairs of ENV and LABEL: "key=value key2="v 2"", or the old "key the rest". */
const pairs = (instruction: string, text: string, lookup: Lookup): [string, string][] => {
  const words = splitWords(text)
  const [first = ""] = words
  if (first === "") throw failure("invalid", `${instruction} requires at least one argument`)
  if (!first.includes("=")) {
    const rest = text.slice(text.indexOf(first) + first.length).trim()
    if (rest === "") throw failure("invalid", `${instruction} must have two arguments`)
    return [[expand(first, lookup), expand(rest, lookup)]]
  }
  return words.map((word) => {
    const at = word.indexOf("=")
    if (at < 0)
      throw failure(
        "invalid",
        `Syntax error - can't find = in ${JSON.stringify(word)}. Must be of the form: name=value`,
      )
    const key = expand(word.slice(0, at), lookup)
    if (key === "") throw failure("invalid", `${instruction} names can not be blank`)
    return [key, expand(word.slice(at + 1), lookup)]
  })
}

const withVariable = (env: readonly string[], key: string, value: string): string[] => {
  const entry = `${key}=${value}`
  const at = env.findIndex((line) => line.startsWith(`${key}=`))
  return at < 0 ? [...env, entry] : env.with(at, entry)
}

const ports = (word: string): string[] => {
  const match = /^([0-9]{1,5})(?:-([0-9]{1,5}))?(?:\/(tcp|udp|sctp))?$/i.exec(word)
  const first = Number(match?.[1] ?? 0)
  const last = Number(match?.[2] ?? first)
  if (match === null || first < 1 || last > 65_535 || last < first)
    throw failure("invalid", `invalid containerPort: ${word}`)
  const protocol = (match[3] ?? "tcp").toLowerCase()
  return Array.from({ length: last - first + 1 }, (_, step) => `${first + step}/${protocol}`)
}

const union = (known: readonly string[], added: readonly string[]): string[] =>
  [...new Set([...known, ...added])].toSorted()

const healthDurations: Readonly<Record<string, "interval" | "timeout" | "startPeriod" | "startInterval">> = {
  interval: "interval",
  timeout: "timeout",
  "start-period": "startPeriod",
  "start-interval": "startInterval",
}

const healthcheck = (text: string, shell: readonly string[] | undefined): ImageConfig["healthcheck"] => {
  let rest = text
  let options: NonNullable<ImageConfig["healthcheck"]> = {}
  for (
    let match = /^--([a-z-]+)=(\S+)\s*/.exec(rest);
    match !== null;
    match = /^--([a-z-]+)=(\S+)\s*/.exec(rest)
  ) {
    const [whole, name = "", value = ""] = match
    const duration = healthDurations[name]
    if (duration !== undefined) options = { ...options, [duration]: parseDuration(value) }
    else if (name === "retries" && /^[0-9]+$/.test(value)) options = { ...options, retries: Number(value) }
    else throw failure("invalid", `Unknown flag: ${name}`)
    rest = rest.slice(whole.length)
  }
  const [kind = "", ...words] = rest.split(/\s+/)
  const command = rest.slice(kind.length).trim()
  if (kind.toUpperCase() === "NONE") {
    if (words.join("") !== "") throw failure("invalid", "HEALTHCHECK NONE takes no arguments")
    return { test: ["NONE"] }
  }
  if (kind.toUpperCase() !== "CMD")
    throw failure("invalid", `Unknown type "${kind}" in HEALTHCHECK (try CMD)`)
  if (command === "") throw failure("invalid", "Missing command after HEALTHCHECK CMD")
  const words2 = jsonForm(command)
  const test = words2 === undefined ? ["CMD-SHELL", command] : ["CMD", ...words2]
  return { ...options, test: shell === undefined || words2 !== undefined ? test : ["CMD", ...shell, command] }
}

const single = (instruction: string, text: string, lookup: Lookup): string => {
  const value = expand(text, lookup)
  if (value === "") throw failure("invalid", `${instruction} requires exactly one argument`)
  return value
}

type Instruction = (config: ImageConfig, text: string, lookup: Lookup) => ImageConfig

const instructions: Readonly<Record<string, Instruction>> = {
  CMD: (config, text) => ({ ...config, command: commandForm(text, config.shell) }),
  ENTRYPOINT: (config, text) => ({ ...config, entrypoint: commandForm(text, config.shell) }),
  ENV: (config, text, lookup) => ({
    ...config,
    env: pairs("ENV", text, lookup).reduce<readonly string[]>(
      (env, [key, value]) => withVariable(env, key, value),
      config.env,
    ),
  }),
  LABEL: (config, text, lookup) => ({
    ...config,
    labels: { ...config.labels, ...Object.fromEntries(pairs("LABEL", text, lookup)) },
  }),
  EXPOSE: (config, text, lookup) => ({
    ...config,
    exposedPorts: union(
      config.exposedPorts,
      splitWords(text).flatMap((word) => ports(expand(word, lookup))),
    ),
  }),
  VOLUME: (config, text, lookup) => {
    const paths = (jsonForm(text) ?? splitWords(text)).map((word) => expand(word, lookup))
    if (paths.length === 0) throw failure("invalid", "VOLUME requires at least one argument")
    if (paths.some((path) => path.trim() === ""))
      throw failure("invalid", "VOLUME specified can not be an empty string")
    return { ...config, volumes: union(config.volumes, paths) }
  },
  WORKDIR: (config, text, lookup) => ({
    ...config,
    workingDirectory: posix.resolve("/", config.workingDirectory, single("WORKDIR", text, lookup)),
  }),
  USER: (config, text, lookup) => ({ ...config, user: single("USER", text, lookup) }),
  STOPSIGNAL: (config, text, lookup) => ({ ...config, stopSignal: single("STOPSIGNAL", text, lookup) }),
  HEALTHCHECK: (config, text) => ({ ...config, healthcheck: healthcheck(text, config.shell) }),
  SHELL: (config, text) => {
    const shell = jsonForm(text)
    if (shell === undefined || shell.length === 0)
      throw failure("invalid", "SHELL requires the arguments to be in JSON form")
    return { ...config, shell }
  },
  ONBUILD: (config, text) => {
    const trigger = /^\S+/.exec(text)?.[0].toUpperCase() ?? ""
    if (trigger === "") throw failure("invalid", "ONBUILD requires at least one argument")
    if (trigger === "ONBUILD")
      throw failure("invalid", "Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed")
    if (trigger === "FROM" || trigger === "MAINTAINER")
      throw failure("invalid", `${trigger} isn't allowed as an ONBUILD trigger`)
    return { ...config, onBuild: [...(config.onBuild ?? []), text] }
  },
}

/**
 * Applies instructions in order: CMD ENTRYPOINT ENV EXPOSE HEALTHCHECK LABEL ONBUILD SHELL STOPSIGNAL USER VOLUME WORKDIR.
 * Throws Failure "invalid" in Docker's words.
 */
export const applyChanges = (config: ImageConfig, changes: readonly string[]): ImageConfig => {
  let result = config
  let commandGiven = false
  for (const line of changes.flatMap((change) => change.split("\n")).map((change) => change.trim())) {
    if (line === "" || line.startsWith("#")) continue
    const name = /^\S+/.exec(line)?.[0].toUpperCase() ?? ""
    const apply = Object.hasOwn(instructions, name) ? instructions[name] : undefined
    if (apply === undefined) throw failure("invalid", `${name} is not a valid change command`)
    const text = line.slice(name.length).trim()
    if (text.includes("\0")) throw failure("invalid", `${name} holds a NUL character`)
    const lookup: Lookup = (variable) =>
      result.env.findLast((entry) => entry.startsWith(`${variable}=`))?.slice(variable.length + 1)
    result = apply(result, text, lookup)
    if (name === "CMD") commandGiven = true
    // A new entry point makes an inherited command meaningless.
    if (name === "ENTRYPOINT" && !commandGiven) {
      const { command: _, ...rest } = result
      result = rest
    }
  }
  return result
}
