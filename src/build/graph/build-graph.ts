// From a parsed Dockerfile to the graph of what must be done: reads only, and asks of the outside no more than image configs.
import { hostPlatform, normalisePlatform, type Platform } from "../../oci/platform.ts"
import type { BuildRequest } from "../build.ts"
import type { Dockerfile, Instruction } from "../dockerfile/instructions.ts"
import { type Findings, openFindings } from "../dockerfile/lint/findings.ts"
import { parseTrigger } from "../dockerfile/parse.ts"
import { placed } from "../failure.ts"
import { applyInstruction } from "./apply.ts"
import { globalArguments, isProxyArgument, platformArguments, proxyVariables } from "./arguments.ts"
import { childState, resolveStage, rootOf, triggersOf } from "./bases.ts"
import { applyGivenLabels } from "./configure.ts"
import type { Graph, GraphResult, Input, ResolvedImage, ResolveImage } from "./graph.ts"
import { newNeededPaths } from "./needed-paths.ts"
import { newNodes } from "./node-digest.ts"
import { addTriggers, checkDefaults, type PlanRequest, planStages, reachable } from "./plan.ts"
import type { PlannedStage } from "./stage.ts"
import type { Surroundings } from "./surroundings.ts"

export interface GraphOptions {
  /** Lint findings are added here; absent = a collection of the Dockerfile's own check options. */
  readonly findings?: Findings
  /** Whether the ignore file leaves out a path of the main context; only for lint. */
  readonly ignored?: (path: string) => boolean
  /** All stages are looked through, not only those that the target needs (`--call check`). */
  readonly allStages?: boolean
  /** Told of the first platform's target when its stages have run, for outlines. */
  readonly planned?: (target: PlannedStage) => void
}

/** Of several platforms only the first one's findings are told: the others' would be the same. */
const silent: Findings = {
  report: () => undefined,
  under: () => silent,
  all: [],
  enforce: () => undefined,
}

/** Asks once for the same image and platform. */
const remembering = (resolve: ResolveImage): ResolveImage => {
  const known = new Map<string, Promise<ResolvedImage>>()
  return (reference, platform) => {
    const key = JSON.stringify([reference, platform.os, platform.architecture, platform.variant])
    const found = known.get(key) ?? resolve(reference, platform)
    known.set(key, found)
    return found
  }
}

type Shared = Pick<
  Surroundings,
  "request" | "escape" | "nodes" | "ignored" | "several" | "proxyEnv" | "needed"
>

/** Resolves the bases of what is needed, and takes over their triggers, which may need more. */
const beginStages = async (
  around: Surroundings,
  plan: PlanRequest,
  planned: ReturnType<typeof planStages>,
  resolve: ResolveImage,
  allStages: boolean,
): Promise<Set<PlannedStage>> => {
  const { stages, target, names } = planned
  for (;;) {
    const needed = allStages ? new Set(stages) : reachable(target)
    const shownNames = stages.map(({ shown }) => shown).filter((name) => name !== "")
    const waiting = stages.filter(
      (stage) => needed.has(stage) && stage.base === undefined && stage.begin === undefined,
    )
    const triggers = new Map<PlannedStage, readonly string[]>()
    const begins = await Promise.all(
      waiting.map(async (stage) => ({
        stage,
        begin: await resolveStage(around, stage, shownNames, resolve),
      })),
    )
    for (const { stage, begin } of begins) {
      const state = begin()
      stage.begin = state
      // Images that only files are taken from, and contexts, have no instructions to run.
      if (stage.from === undefined || stage.context !== undefined) stage.end = state
      else triggers.set(stage, triggersOf(state))
    }
    for (const stage of needed)
      if (stage.base !== undefined) triggers.set(stage, triggersOfParent(stage.base))
    let more = false
    for (const stage of stages) {
      const found = triggers.get(stage) ?? []
      const place = stage.place
      if (stage.triggered || found.length === 0 || place === undefined) continue
      stage.triggered = true
      const instructions = found.map((trigger): Instruction => parseTrigger(trigger, place))
      more = addTriggers(plan, stages, names, stage, instructions) || more
    }
    if (!more) return needed
  }
}

const triggersOfParent = (parent: PlannedStage): readonly string[] =>
  parent.instructions.flatMap(({ instruction }) =>
    instruction.type === "ONBUILD" ? [instruction.trigger] : [],
  )

const digestOf = (input: Input): string => (input === "scratch" ? "" : input.digest)

const runStage = (around: Surroundings, stage: PlannedStage): void => {
  if (stage.end !== undefined) return
  let state = stage.base?.end === undefined ? stage.begin : childState(stage.base.end)
  if (state === undefined) return
  const from = stage.base === undefined ? digestOf(state.root) : ""
  const image = stage.base === undefined ? (state.base?.imageId ?? "") : ""
  stage.told.push({
    original: stage.from?.original ?? "",
    vertex: from,
    trigger: false,
    ...(image === "" ? {} : { image }),
  })
  for (const planned of stage.instructions) {
    const { root } = state
    try {
      state = applyInstruction(around, stage, state, planned)
    } catch (error) {
      throw placed(error, { place: planned.instruction.place })
    }
    const vertex = state.root === root ? "" : digestOf(state.root)
    stage.told.push({ original: planned.instruction.original, vertex, trigger: planned.onBuild })
  }
  stage.end = state
}

const resultOf = (around: Surroundings, target: PlannedStage, explicit: boolean): GraphResult => {
  if (target.end === undefined) throw new Error("the target stage was not planned")
  const end = applyGivenLabels(around, target.end)
  const own = normalisePlatform({ ...end.image, os: end.image.os || around.target.os })
  const platform = explicit ? around.target : own
  return {
    platform,
    node: rootOf(around, end),
    ...(end.base === undefined ? {} : { base: end.base }),
    steps: end.steps,
    config: {
      ...platform,
      author: end.author,
      comment: "",
      created: 0,
      config: end.config,
    },
  }
}

interface PlatformGraph {
  readonly result: GraphResult
  readonly stages: readonly PlannedStage[]
}

const graphFor = async (
  shared: Shared,
  dockerfile: Dockerfile,
  platform: Platform | undefined,
  resolve: ResolveImage,
  findings: Findings,
  options: Pick<GraphOptions, "allStages" | "planned">,
): Promise<PlatformGraph> => {
  const { request } = shared
  const build = hostPlatform()
  const target = normalisePlatform(platform ?? build)
  const last = dockerfile.stages.at(-1)?.name ?? ""
  const predefined = platformArguments(build, target, request.target || last, request.buildArgs)
  const globals = globalArguments(dockerfile, predefined, request.buildArgs)
  const plan: PlanRequest = { dockerfile, request, platform: target, globals, findings }
  try {
    checkDefaults(plan, globalArguments(dockerfile, predefined, new Map()))
  } catch {
    // Defaults that cannot be expanded fail below, when they are used.
  }
  const planned = planStages(plan)
  const around: Surroundings = { ...shared, findings, target, globals }
  const needed = await beginStages(around, plan, planned, resolve, options.allStages === true)
  for (const stage of planned.stages) if (needed.has(stage)) runStage(around, stage)
  options.planned?.(planned.target)
  return {
    result: resultOf(around, planned.target, platform !== undefined),
    stages: planned.stages.filter((stage) => needed.has(stage)),
  }
}

const unusedArguments = (dockerfile: Dockerfile, request: BuildRequest): string[] => {
  const declared = new Set<string>()
  for (const { args } of dockerfile.globalArgs) for (const { key } of args) declared.add(key)
  for (const { instructions } of dockerfile.stages)
    for (const instruction of instructions)
      if (instruction.type === "ARG") for (const { key } of instruction.args) declared.add(key)
  return [...request.buildArgs.keys()]
    .filter((key) => !declared.has(key) && !isProxyArgument(key) && !key.startsWith("BUILDKIT_"))
    .toSorted()
}

/**
 * What the target of a Dockerfile needs, for each platform of the request (none = the host's). `resolve` is asked for the
 * configs of base images. Throws BuildFailure in BuildKit's words, with the lines to blame.
 */
export const buildGraph = async (
  dockerfile: Dockerfile,
  request: BuildRequest,
  resolve: ResolveImage,
  options: GraphOptions = {},
): Promise<Graph> => {
  const findings = options.findings ?? openFindings(dockerfile.check, dockerfile.findings)
  const needed = newNeededPaths()
  const shared: Shared = {
    request,
    escape: dockerfile.escape,
    nodes: newNodes(),
    ignored: options.ignored ?? (() => false),
    several: request.platforms.length > 1,
    proxyEnv: proxyVariables(request),
    needed,
  }
  const once = remembering(resolve)
  const platforms = request.platforms.length === 0 ? [undefined] : request.platforms
  const graphs: PlatformGraph[] = []
  for (const [index, platform] of platforms.entries()) {
    const found = index === 0 ? findings : silent
    const told = index === 0 ? options : { ...options, planned: () => undefined }
    graphs.push(await graphFor(shared, dockerfile, platform, once, found, told))
  }
  findings.enforce()
  const mainPaths = needed.of("")
  const stages = graphs[0]?.stages.filter(({ from }) => from !== undefined) ?? []
  return {
    results: graphs.map(({ result }) => result),
    plan: {
      globalArgs: dockerfile.globalArgs.map(({ original }) => original),
      stages: stages.map(({ name, told }) => ({ name, steps: told })),
    },
    findings: findings.all,
    ...(mainPaths === undefined ? {} : { neededPaths: mainPaths }),
    neededPathsOf: new Map(needed.contexts.map((name) => [name, needed.of(name)])),
    unusedArguments: unusedArguments(dockerfile, request),
  }
}
