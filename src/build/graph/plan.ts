// Plans the stages of a Dockerfile: their bases and platforms, what each takes from others, and which are needed at all.
import { formatPlatform, type Platform, parsePlatform } from "../../oci/platform.ts"
import { familiarReference, parseReference } from "../../oci/reference.ts"
import type { BuildRequest } from "../build.ts"
import type { Dockerfile, Instruction, InstructionOf, Place } from "../dockerfile/instructions.ts"
import type { Findings } from "../dockerfile/lint/findings.ts"
import { mountFrom } from "../dockerfile/mounts.ts"
import { quoted } from "../dockerfile/quoted.ts"
import { suggestion, withSuggestion } from "../dockerfile/suggestion.ts"
import { type Expanded, expandWord } from "../dockerfile/words.ts"
import { BuildFailure, placed } from "../failure.ts"
import type { GlobalArguments } from "./arguments.ts"
import type { PlannedInstruction, PlannedStage } from "./stage.ts"

export interface Plan {
  /** Those of the Dockerfile in order, then what COPY --from and mounts name beyond them. */
  readonly stages: PlannedStage[]
  readonly target: PlannedStage
}

/** What planning needs to know. */
export interface PlanRequest {
  readonly dockerfile: Dockerfile
  readonly request: BuildRequest
  readonly platform: Platform
  readonly globals: GlobalArguments
  readonly findings: Findings
}

/** The key in namedContexts for a stage's or image's name: for this platform first, then for all. */
export const namedContextOf = (
  request: BuildRequest,
  name: string,
  platform: Platform,
): string | undefined => {
  if (request.namedContexts.size === 0 || /^(scratch|context)$/i.test(name)) return undefined
  let familiar: string
  try {
    familiar = familiarReference(parseReference(name)).replace(/:latest$/, "")
  } catch {
    throw new BuildFailure("invalid", `invalid context name ${name}: invalid reference format`, {})
  }
  return [`${familiar}::${formatPlatform(platform)}`, familiar].find((key) => request.namedContexts.has(key))
}

const isFresh = (request: BuildRequest, name: string): boolean =>
  request.noCache || request.noCacheFilter.some((filter) => filter.toLowerCase() === name.toLowerCase())

const makesStep = (instruction: Instruction): boolean =>
  ["ADD", "COPY", "RUN", "WORKDIR"].includes(instruction.type)

/** Stages by lower-case name; the last one of a name counts. */
type ByName = Map<string, PlannedStage>

const newStage = (
  given: Partial<PlannedStage> & Pick<PlannedStage, "baseName" | "place" | "fresh">,
): PlannedStage => ({
  from: undefined,
  name: "",
  shown: "",
  wantedPlatform: undefined,
  base: undefined,
  context: undefined,
  instructions: [],
  needs: new Map(),
  total: 0,
  counted: 0,
  triggered: false,
  begin: undefined,
  end: undefined,
  told: [],
  lastOf: new Map(),
  ...given,
})

/** What COPY --from and mounts name: a stage before or after, or an image that becomes a stage of its own. */
const sourceNamed = (
  plan: PlanRequest,
  name: string,
  place: Place,
  stages: PlannedStage[],
  names: ByName,
): PlannedStage => {
  const known = names.get(name.toLowerCase())
  if (known !== undefined) return known
  const other = newStage({ baseName: name, place, fresh: plan.request.noCache })
  stages.push(other)
  return other
}

type CopyFrom = InstructionOf<"ADD" | "COPY"> & { readonly from: string }
const isCopyFrom = (instruction: Instruction): instruction is CopyFrom =>
  instruction.type === "COPY" && instruction.from !== undefined && instruction.from !== ""

const strictNumber = /^[+-]?[0-9]+$/

/** An instruction with the stages that it takes files from. */
const withSources = (
  plan: PlanRequest,
  instruction: Instruction,
  onBuild: boolean,
  stages: PlannedStage[],
  names: ByName,
): PlannedInstruction => {
  if (isCopyFrom(instruction)) {
    const { from, place } = instruction
    if (expandWord(from, () => undefined, plan.dockerfile.escape).text !== from)
      throw new BuildFailure(
        "invalid",
        "variable expansion is not supported for --from, define a new stage with FROM using ARG from global scope as a workaround",
        { place },
      )
    if (!strictNumber.test(from))
      return { instruction, onBuild, sources: [sourceNamed(plan, from, place, stages, names)] }
    const source = stages.filter((stage) => stage.from !== undefined)[Number(from)]
    if (source === undefined) {
      const isClassic = plan.request.face === "classic"
      const sentence = isClassic
        ? `invalid from flag value ${from}: index out of bounds`
        : `invalid stage index ${Number(from)}`
      throw new BuildFailure("invalid", sentence, { place })
    }
    return { instruction, onBuild, sources: [source] }
  }
  if (instruction.type === "RUN") {
    const sources = instruction.mounts.map((mount) => {
      const from = mountFrom(mount)
      return from === "" || from === "scratch"
        ? undefined
        : sourceNamed(plan, from, instruction.place, stages, names)
    })
    return { instruction, onBuild, sources }
  }
  return { instruction, onBuild, sources: [] }
}

const note = (stage: PlannedStage, planned: readonly PlannedInstruction[]): void => {
  for (const { sources, instruction } of planned)
    for (const source of sources) if (source !== undefined) stage.needs.set(source, instruction.place)
}

const expandFrom = (plan: PlanRequest, word: string, place: Place): Expanded => {
  const { globals, findings, dockerfile } = plan
  const expanded = expandWord(word, (name) => globals.env.get(name), dockerfile.escape)
  const known = new Set([...globals.declared, ...globals.env.keys()])
  for (const name of expanded.unmatched)
    if (!known.has(name)) findings.report("UndefinedArgInFrom", place, name, suggestion(name, known))
  return expanded
}

/** --platform of a FROM. */
const platformOf = (plan: PlanRequest, written: string, name: string, place: Place): Platform => {
  const { globals, findings } = plan
  let expanded: Expanded
  try {
    expanded = expandFrom(plan, written, place)
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw new BuildFailure("invalid", `failed to process arguments for platform ${written}: ${reason}`, {
      place,
    })
  }
  const suggested = (sentence: string): string => {
    const [unknown] = expanded.unmatched
    return unknown === undefined ? sentence : withSuggestion(sentence, unknown, globals.env.keys())
  }
  const { text, matched, unmatched } = expanded
  if (text === "")
    throw new BuildFailure("invalid", suggested(`empty platform value from expression ${written}`), { place })
  let platform: Platform
  try {
    platform = parsePlatform(text)
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw new BuildFailure("invalid", suggested(`failed to parse platform ${written}: ${reason}`), { place })
  }
  if (matched.length === 1 && unmatched.length === 0 && matched[0] === "TARGETPLATFORM") {
    if (globals.env.get("TARGETPLATFORM") === text) findings.report("RedundantTargetPlatform", place, written)
  }
  if (matched.length === 0 && unmatched.length === 0)
    if (!name.includes(platform.os) && !name.includes(platform.architecture))
      findings.report("FromPlatformFlagConstDisallowed", place, text)
  return platform
}

const planStage = (given: PlanRequest, index: number, names: ByName): PlannedStage => {
  const { dockerfile, request } = given
  const stage = dockerfile.stages[index]
  if (stage === undefined) throw new BuildFailure("internal", `there is no stage ${index}`, {})
  const { from, name, instructions } = stage
  const { place } = from
  const plan = { ...given, findings: given.findings.under(from.comments) }
  const baseName = expandFrom(plan, from.image, place).text
  if (baseName === "")
    throw new BuildFailure("invalid", `base name (${from.image}) should not be blank`, { place })
  const wantedPlatform =
    from.platform === undefined || from.platform === ""
      ? undefined
      : platformOf(plan, from.platform, name, place)
  const context = name === "" ? undefined : namedContextOf(request, name, wantedPlatform ?? plan.platform)
  const base = context === undefined ? names.get(baseName) : undefined
  const total = (baseName === "scratch" || base !== undefined ? 0 : 1) + instructions.filter(makesStep).length
  return newStage({
    from,
    name,
    shown: name === "" ? `stage-${index}` : name,
    baseName,
    wantedPlatform,
    base,
    context,
    place,
    fresh: isFresh(request, name),
    total,
  })
}

const findTarget = (plan: PlanRequest, stages: readonly PlannedStage[], names: ByName): PlannedStage => {
  const { target } = plan.request
  if (target === "") {
    const last = stages.at(-1)
    if (last === undefined) throw new BuildFailure("invalid", "dockerfile contains no stages to build", {})
    return last
  }
  const found =
    names.get(target.toLowerCase()) ?? (/^[0-9]+$/.test(target) ? stages[Number(target)] : undefined)
  if (found !== undefined) return found
  if (plan.request.face === "classic")
    throw new BuildFailure("invalid", `failed to reach build target ${target} in Dockerfile`, {})
  const sentence = `target stage ${quoted(target)} could not be found`
  const shown = stages.map((stage) => stage.shown)
  throw new BuildFailure("invalid", withSuggestion(sentence, target, shown), {})
}

/** All stages that one needs, itself among them. */
export const reachable = (target: PlannedStage): Set<PlannedStage> => {
  const found = new Set<PlannedStage>()
  const waiting = [target]
  for (let stage = waiting.pop(); stage !== undefined; stage = waiting.pop()) {
    if (found.has(stage)) continue
    found.add(stage)
    if (stage.base !== undefined) waiting.push(stage.base)
    waiting.push(...stage.needs.keys())
  }
  return found
}

const refuseCircles = (stages: readonly PlannedStage[]): void => {
  const done = new Set<PlannedStage>()
  const path = new Set<PlannedStage>()
  const visit = (stage: PlannedStage): Place | undefined => {
    if (done.has(stage)) return undefined
    done.add(stage)
    path.add(stage)
    for (const [other, place] of stage.needs) {
      if (path.has(other)) return place
      const found = visit(other)
      if (found !== undefined) return found
    }
    path.delete(stage)
    return undefined
  }
  for (const stage of stages) {
    const place = visit(stage)
    if (place !== undefined)
      throw new BuildFailure("invalid", `circular dependency detected on stage: ${stage.shown}`, { place })
  }
}

/** Lint: a base image's name must hold with the defaults of its arguments too. `defaults` are the globals without --build-arg. */
export const checkDefaults = (plan: PlanRequest, defaults: GlobalArguments): void => {
  for (const { from } of plan.dockerfile.stages)
    try {
      const { text } = expandWord(from.image, (name) => defaults.env.get(name), plan.dockerfile.escape)
      try {
        parseReference(text)
      } catch {
        plan.findings.report("InvalidDefaultArgInFrom", from.place, from.image)
      }
    } catch {
      return
    }
}

/** Reads FROMs and what instructions take from where; nothing outside is asked. Throws BuildFailure with BuildKit's words. */
export const planStages = (plan: PlanRequest): Plan & { readonly names: ByName } => {
  const stages: PlannedStage[] = []
  const names: ByName = new Map()
  for (const [index, { from }] of plan.dockerfile.stages.entries()) {
    let stage: PlannedStage
    try {
      stage = planStage(plan, index, names)
    } catch (error) {
      throw placed(error, { place: from.place })
    }
    stages.push(stage)
    if (stage.name !== "") names.set(stage.name.toLowerCase(), stage)
  }
  const target = findTarget(plan, stages, names)
  for (const [index, { instructions }] of plan.dockerfile.stages.entries()) {
    const stage = stages[index]
    if (stage === undefined || stage.context !== undefined) continue
    stage.instructions = instructions.map((instruction) =>
      withSources(plan, instruction, false, stages, names),
    )
    note(stage, stage.instructions)
  }
  refuseCircles(stages)
  if (stages.length === 1) target.shown = ""
  return { stages, target, names }
}

/** Puts a base's triggers before a stage's own instructions. Whether they need stages that were not known before. */
export const addTriggers = (
  plan: PlanRequest,
  stages: PlannedStage[],
  names: ByName,
  stage: PlannedStage,
  triggers: readonly Instruction[],
): boolean => {
  const planned = triggers.map((trigger) => withSources(plan, trigger, true, stages, names))
  note(stage, planned)
  stage.instructions = [...planned, ...stage.instructions]
  stage.total += planned.length
  return planned.some(({ sources }) => sources.some((source) => source !== undefined))
}
