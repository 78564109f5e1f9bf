// Instructions that change the image's config alone: ENV, LABEL, CMD, ENTRYPOINT, EXPOSE, USER and their like.

import { parseSignal } from "../../base/signals.ts"
import type { ExecutionConfig, HealthTest } from "../../oci/execution-config.ts"
import type { CommandForm, InstructionOf, KeyValue, Place } from "../dockerfile/instructions.ts"
import { expandWord, expandWords } from "../dockerfile/words.ts"
import { BuildFailure } from "../failure.ts"
import { splitVariable, withImageVariable, withVariable } from "./environment.ts"
import { classicText, healthcheckText, quotedList, shellOf } from "./history-texts.ts"
import { exposedPorts } from "./ports.ts"
import type { DeclaredArgument, PlannedStage, StageState } from "./stage.ts"
import { expandIn, isSilentArgument, reportUndefined, type Surroundings } from "./surroundings.ts"

/** A step that has no node. `classic` are the classic builder's words where they differ. */
const configured = (
  state: StageState,
  original: string,
  createdBy: string,
  change: Partial<StageState>,
  classic: string = createdBy,
): StageState => {
  const config = change.config ?? state.config
  const classicCreatedBy = classicText(config, classic, false)
  const step = { createdBy, classicCreatedBy, original, config }
  return { ...state, ...change, steps: [...state.steps, step] }
}

const withConfig = (
  state: StageState,
  original: string,
  createdBy: string,
  change: Partial<ExecutionConfig>,
  classic?: string,
): StageState => configured(state, original, createdBy, { config: { ...state.config, ...change } }, classic)

const expandPairs = (
  around: Surroundings,
  state: StageState,
  pairs: readonly KeyValue[],
  place: Place,
): readonly (readonly [key: string, value: string])[] =>
  pairs.map(
    ({ key, value }) => [expandIn(around, state, key, place), expandIn(around, state, value, place)] as const,
  )

const secretWord = /(?:_|^)(?:apikey|auth|credentials?|key|password|pword|passwd|secret|token)(?:_|$)/i
const publicWord = /(?:_|^)(?:public|file|version)(?:_|$)/i

const reportSecret = (around: Surroundings, keyword: string, key: string, place: Place): void => {
  if (secretWord.test(key) && !publicWord.test(key))
    around.findings.report("SecretsUsedInArgOrEnv", place, keyword, key)
}

/** `KEY value`, which holds one pair only. */
const reportLegacyForm = (
  around: Surroundings,
  { pairs, keyword, place }: InstructionOf<"ENV" | "LABEL">,
): void => {
  if (pairs.some(({ legacy }) => legacy)) around.findings.report("LegacyKeyValueFormat", place, keyword)
}

export const applyEnv = (
  around: Surroundings,
  state: StageState,
  instruction: InstructionOf<"ENV" | "LABEL">,
): StageState => {
  const { pairs, place, original } = instruction
  let { env } = state
  let lines = state.config.env
  const words: string[] = []
  const set = expandPairs(around, state, pairs, place)
  reportLegacyForm(around, instruction)
  for (const [key, value] of set) {
    reportSecret(around, "ENV", key, place)
    env = withVariable(env, key, value)
    lines = withImageVariable(lines, key, value)
    words.push(`${key}=${value}`)
  }
  const config = { ...state.config, env: lines }
  return configured(state, original, `ENV ${words.join(" ")}`, { env, config })
}

export const applyLabel = (
  around: Surroundings,
  state: StageState,
  instruction: InstructionOf<"ENV" | "LABEL">,
): StageState => {
  const { pairs, place, original } = instruction
  const set = expandPairs(around, state, pairs, place)
  reportLegacyForm(around, instruction)
  const words = set.map(([key, value]) => `${key}=${value}`)
  const labels = { ...state.config.labels, ...Object.fromEntries(set) }
  return withConfig(state, original, `LABEL ${words.join(" ")}`, { labels })
}

/** Words of a command, with the shell before them in the shell form. */
const commandWords = (state: StageState, command: CommandForm): readonly string[] =>
  command.form === "exec" ? command.words : [...shellOf(state.config), command.words.join(" ")]

const reportShellForm = (
  around: Surroundings,
  state: StageState,
  { command, keyword, place }: InstructionOf<"CMD" | "ENTRYPOINT">,
): void => {
  if (command.form === "shell" && (state.config.shell ?? []).length === 0)
    around.findings.report("JSONArgsRecommended", place, keyword)
}

/** Of several only the last one counts. */
const reportRepeated = (
  around: Surroundings,
  stage: PlannedStage,
  { type, keyword, place }: InstructionOf<"CMD" | "ENTRYPOINT" | "HEALTHCHECK">,
): void => {
  const earlier = stage.lastOf.get(type)
  if (earlier !== undefined) around.findings.report("MultipleInstructionsDisallowed", earlier, keyword)
  stage.lastOf.set(type, place)
}

export const applyCommand = (
  around: Surroundings,
  stage: PlannedStage,
  state: StageState,
  instruction: InstructionOf<"CMD" | "ENTRYPOINT">,
): StageState => {
  const { type, original } = instruction
  const hadCommand = stage.lastOf.has("CMD")
  reportRepeated(around, stage, instruction)
  reportShellForm(around, state, instruction)
  const words = commandWords(state, instruction.command)
  const createdBy = `${type} ${quotedList(words)}`
  const { command, entrypoint, ...rest } = state.config
  const isCommand = type === "CMD"
  // An ENTRYPOINT takes away the base's CMD, and a list without words is none.
  const keptCommand = isCommand ? words : hadCommand ? command : undefined
  const keptEntrypoint = isCommand ? entrypoint : words
  const config = {
    ...rest,
    ...(keptCommand?.length ? { command: keptCommand } : {}),
    ...(keptEntrypoint?.length ? { entrypoint: keptEntrypoint } : {}),
    ...(isCommand && around.request.face !== "classic" ? { argsEscaped: true } : {}),
  }
  return configured(state, original, createdBy, { config })
}

export const applyHealthcheck = (
  around: Surroundings,
  stage: PlannedStage,
  state: StageState,
  instruction: InstructionOf<"HEALTHCHECK">,
): StageState => {
  const { none, command, original } = instruction
  reportRepeated(around, stage, instruction)
  let test: readonly string[] = ["NONE"]
  if (!none && command !== undefined)
    test = command.form === "exec" ? ["CMD", ...command.words] : ["CMD-SHELL", command.words.join(" ")]
  const { interval, timeout, startPeriod, startInterval, retries } = instruction
  const given: HealthTest = {
    test,
    ...(interval ? { interval } : {}),
    ...(timeout ? { timeout } : {}),
    ...(startPeriod ? { startPeriod } : {}),
    ...(startInterval ? { startInterval } : {}),
    ...(retries ? { retries } : {}),
  }
  const texts = [healthcheckText(given), healthcheckText(given, true)] as const
  return withConfig(state, original, texts[0], { healthcheck: given }, texts[1])
}

const reportPort = (around: Surroundings, port: string, place: Place): void => {
  const protocol = port.split("/")[1] ?? ""
  if (protocol !== protocol.toLowerCase()) around.findings.report("ExposeProtoCasing", place, port)
  if (port.includes(":")) around.findings.report("ExposeInvalidFormat", place, port)
}

export const applyExpose = (
  around: Surroundings,
  state: StageState,
  { ports, place, original }: InstructionOf<"EXPOSE">,
): StageState => {
  const words = ports.flatMap((port) => expandWords(port, (name) => state.env.get(name), around.escape))
  for (const word of words) reportPort(around, word, place)
  const exposed = [...new Set(words.flatMap(exposedPorts))].toSorted()
  const all = [...new Set([...state.config.exposedPorts, ...exposed])].toSorted()
  const createdBy = `EXPOSE map[${exposed.map((port) => `${port}:{}`).join(" ")}]`
  return withConfig(state, original, createdBy, { exposedPorts: all }, `EXPOSE ${words.toSorted().join(" ")}`)
}

export const applyUser = (
  around: Surroundings,
  state: StageState,
  { user, place, original }: InstructionOf<"USER">,
): StageState => {
  const expanded = expandIn(around, state, user, place)
  return withConfig(state, original, `USER ${expanded}`, { user: expanded })
}

export const applyVolume = (
  around: Surroundings,
  state: StageState,
  { paths, place, original }: InstructionOf<"VOLUME">,
): StageState => {
  const expanded = paths.map((path) => expandIn(around, state, path, place))
  if (expanded.includes(""))
    throw new BuildFailure("invalid", "VOLUME specified can not be an empty string", { place })
  const volumes = [...new Set([...state.config.volumes, ...expanded])].toSorted()
  return withConfig(state, original, `VOLUME [${expanded.join(" ")}]`, { volumes })
}

export const applyStopSignal = (
  around: Surroundings,
  state: StageState,
  { signal, place, original }: InstructionOf<"STOPSIGNAL">,
): StageState => {
  const stopSignal = expandIn(around, state, signal, place)
  parseSignal(stopSignal)
  return withConfig(state, original, `STOPSIGNAL ${stopSignal}`, { stopSignal })
}

export const applyShell = (state: StageState, { words, original }: InstructionOf<"SHELL">): StageState =>
  withConfig(state, original, `SHELL [${words.join(" ")}]`, { shell: words })

export const applyMaintainer = (
  state: StageState,
  { name, original }: InstructionOf<"MAINTAINER">,
): StageState => configured(state, original, `MAINTAINER ${name}`, { author: name })

/** Recorded for images that are FROM this one. BuildKit writes no history for it. */
export const applyOnBuild = (
  around: Surroundings,
  state: StageState,
  { trigger, original }: InstructionOf<"ONBUILD">,
): StageState => {
  const config = { ...state.config, onBuild: [...(state.config.onBuild ?? []), trigger] }
  if (around.request.face !== "classic") return { ...state, config }
  return configured(state, original, `ONBUILD ${trigger}`, { config })
}

interface SetArgument {
  readonly value: string | undefined
  /** The default, expanded. */
  readonly written: string | undefined
}

/** A value given with --build-arg wins over the default, which wins over a global ARG of that name. */
const argumentValue = (
  around: Surroundings,
  state: StageState,
  { key, value }: DeclaredArgument,
  place: Place,
): SetArgument => {
  const given = around.request.buildArgs.get(key)
  if (value === undefined) return { value: given ?? around.globals.env.get(key), written: undefined }
  if (given !== undefined && around.request.face !== "classic") return { value: given, written: undefined }
  const expanded = expandWord(value, (name) => state.env.get(name), around.escape)
  reportUndefined(around, state, expanded.unmatched, place)
  return { value: given ?? expanded.text, written: expanded.text }
}

/** In the classic builder ENV wins over ARG, whichever comes first. */
const isShadowed = (around: Surroundings, state: StageState, key: string): boolean =>
  around.request.face === "classic" && state.config.env.some((line) => splitVariable(line)[0] === key)

const assignment = (key: string, value: string | undefined): string =>
  value === undefined ? key : `${key}=${value}`

export const applyArg = (
  around: Surroundings,
  state: StageState,
  { args, place, original }: InstructionOf<"ARG">,
): StageState => {
  let current = state
  const words: string[] = []
  const classicWords: string[] = []
  for (const arg of args) {
    reportSecret(around, "ARG", arg.key, place)
    const { value, written } = argumentValue(around, current, arg, place)
    words.push(assignment(arg.key, value))
    classicWords.push(assignment(arg.key, written))
    if (isShadowed(around, current, arg.key)) continue
    const isSet = value !== undefined && !isSilentArgument(arg.key)
    const env = isSet ? withVariable(current.env, arg.key, value) : current.env
    current = { ...current, env, args: [...current.args, { key: arg.key, value }] }
  }
  const { env, args: declared } = current
  const createdBy = `ARG ${words.join(" ")}`
  return configured(state, original, createdBy, { env, args: declared }, `ARG ${classicWords.join(" ")}`)
}

/** --label: on the image of the last stage; steps of their own for the classic builder, without history for BuildKit. */
export const applyGivenLabels = (around: Surroundings, state: StageState): StageState => {
  let current = state
  for (const [key, value] of around.request.labels) {
    const config = { ...current.config, labels: { ...current.config.labels, [key]: value } }
    const text = `LABEL ${key}=${value}`
    current =
      around.request.face === "classic" ? configured(current, text, text, { config }) : { ...current, config }
  }
  return current
}
