// Reads a Dockerfile: `parseDockerfile(bytes)` gives its stages of typed instructions, `parseTrigger` an ONBUILD trigger of a base image.
import { BuildFailure } from "../failure.ts"
import { classicEmpty, classicInstruction, classicLines } from "./classic-words.ts"
import { directiveOf, syntaxOf } from "./directives.ts"
import type { Dockerfile, Instruction, InstructionOf, Place, Stage } from "./instructions.ts"
import { type RawInstruction, readLines } from "./lines.ts"
import { type CheckOptions, type Findings, openFindings, readCheckOptions } from "./lint/findings.ts"
import { reportCasing, reportStageNames } from "./lint/stages.ts"
import { readInstruction } from "./readers.ts"

/**
 * Throws BuildFailure (invalid) in BuildKit's words, with the lines to blame. `check` overrules the Dockerfile's own check
 * directive (the build argument BUILDKIT_DOCKERFILE_CHECK).
 */
export const parseDockerfile = (
  bytes: Uint8Array,
  options: {
    readonly check?: CheckOptions
    /** Words the failures as dockerd's classic builder does; the file's name is in one of them. */
    readonly classic?: { readonly file: string }
    /** Given the findings before anything can fail, for who wants those of a Dockerfile that is wrong. */
    readonly found?: (findings: Findings) => void
  } = {},
): Dockerfile => {
  const { classic } = options
  if (bytes.length === 0) {
    const sentence = classic === undefined ? "the Dockerfile cannot be empty" : classicEmpty(classic.file)
    throw new BuildFailure("invalid", sentence, {})
  }
  const lines = new TextDecoder().decode(bytes).split("\n")
  const check = options.check ?? readCheckOptions(directiveOf(lines, "check"))
  const findings = openFindings(check)
  options.found?.(findings)
  const raw = reworded(() => readLines(bytes), classic === undefined ? (message) => message : classicLines)
  for (const line of raw.emptyContinuations)
    findings.report("NoEmptyContinuation", { first: line, last: line })
  const { globalArgs, stages } = readStages(raw.instructions, findings, classic !== undefined)
  if (stages.length === 0) throw new BuildFailure("invalid", "dockerfile contains no stages to build", {})
  reportStageNames(stages, findings)
  reportCasing(stages, findings)
  return {
    lines: raw.lines,
    escape: raw.escape,
    syntax: syntaxOf(lines),
    check,
    globalArgs,
    stages,
    findings: findings.all,
  }
}

/** A trigger of a base image, as its config holds it. `place`: of the FROM that brings it. Throws BuildFailure (invalid). */
export const parseTrigger = (trigger: string, place: Place): Instruction => {
  const { instructions } = located(place, () => readLines(new TextEncoder().encode(trigger)))
  const [raw] = instructions
  if (raw === undefined || instructions.length !== 1)
    throw new BuildFailure("invalid", "onbuild trigger should be a single expression", { place })
  const instruction = located(place, () => readInstruction({ ...raw, place }))
  if (instruction.type === "FROM")
    throw new BuildFailure("invalid", "FROM isn't allowed as an ONBUILD trigger", { place })
  return instruction
}

/** Runs it; a failure gets these words. */
const reworded = <T>(read: () => T, word: (message: string) => string): T => {
  try {
    return read()
  } catch (error) {
    if (!(error instanceof BuildFailure)) throw error
    throw new BuildFailure(error.kind, word(error.message), error.detail, { cause: error })
  }
}

/** Runs it; a failure is at this place, wherever it was before. */
const located = <T>(place: Place, read: () => T): T => {
  try {
    return read()
  } catch (error) {
    if (!(error instanceof BuildFailure)) throw error
    throw new BuildFailure(error.kind, error.message, { ...error.detail, place }, { cause: error })
  }
}

const readStages = (instructions: readonly RawInstruction[], findings: Findings, isClassic: boolean) => {
  const globalArgs: InstructionOf<"ARG">[] = []
  const stages: { from: InstructionOf<"FROM">; instructions: Instruction[]; last: number }[] = []
  for (const raw of instructions) {
    const word = (message: string) =>
      isClassic
        ? classicInstruction(raw.place.first, message)
        : `dockerfile parse error on line ${raw.place.first}: ${message}`
    const found = findings.under(raw.comments)
    reportBefore(raw, found)
    const instruction = located(raw.place, () => reworded(() => readInstruction(raw), word))
    reportDescription(instruction, found)
    const stage = stages.at(-1)
    if (instruction.type === "FROM")
      stages.push({ from: instruction, instructions: [], last: raw.place.last })
    else if (stage !== undefined) {
      stage.instructions.push(instruction)
      stage.last = raw.place.last
    } else if (instruction.type === "ARG") globalArgs.push(instruction)
    else throw new BuildFailure("invalid", "no build stage in current context", { place: raw.place })
  }
  return { globalArgs, stages: stages.map(stageOf) }
}

const stageOf = (stage: {
  readonly from: InstructionOf<"FROM">
  readonly instructions: readonly Instruction[]
  readonly last: number
}): Stage => ({
  from: stage.from,
  name: (stage.from.name ?? "").toLowerCase(),
  instructions: stage.instructions,
  place: { first: stage.from.place.first, last: stage.last },
})

/** Findings that are made even when the instruction turns out to be wrong. */
const reportBefore = (raw: RawInstruction, findings: Findings): void => {
  const keyword = raw.keyword.toUpperCase()
  if (keyword === "MAINTAINER") findings.report("MaintainerDeprecated", raw.place)
  const [, as, name] = raw.words
  if (keyword !== "FROM" || as === undefined || name === undefined) return
  if (raw.words.length === 3 && name !== name.toLowerCase())
    findings.report("StageNameCasing", raw.place, name)
  const asMatches =
    raw.keyword === raw.keyword.toLowerCase()
      ? as === as.toLowerCase()
      : raw.keyword !== keyword || as === as.toUpperCase()
  if (!asMatches) findings.report("FromAsCasing", raw.place, raw.keyword, as)
}

/** The comment above a definition should describe it: "# name what it is for". */
const reportDescription = (instruction: Instruction, findings: Findings): void => {
  if (instruction.type !== "FROM" && instruction.type !== "ARG") return
  const names =
    instruction.type === "ARG"
      ? instruction.args.map((arg) => arg.key)
      : instruction.name === undefined
        ? []
        : [instruction.name.toLowerCase()]
  const comment = instruction.comments.at(-1)
  const [name] = names
  if (comment === undefined || name === undefined || names.includes(comment.split(" ", 1)[0] ?? "")) return
  findings.report(
    "InvalidDefinitionDescription",
    instruction.place,
    instruction.type,
    names.length > 1 ? "<arg_key>" : name,
  )
}
