// Requests about a Dockerfile that build nothing: reads what they need, and answers check, outline or targets.
import { Failure } from "../../base/errors.ts"
import { hostPlatform, normalisePlatform } from "../../oci/platform.ts"
import type { CallAnswer } from "../build.ts"
import type { Dockerfile } from "../dockerfile/instructions.ts"
import {
  type CheckOptions,
  type Findings,
  openFindings,
  readCheckOptions,
} from "../dockerfile/lint/findings.ts"
import { parseDockerfile } from "../dockerfile/parse.ts"
import { placed } from "../failure.ts"
import { platformArguments } from "../graph/arguments.ts"
import { buildGraph, type GraphOptions } from "../graph/build-graph.ts"
import type { PlannedStage } from "../graph/stage.ts"
import { leavesOut } from "../ignore/copied.ts"
import { ignoreMatcher, readIgnore } from "../ignore/ignore.ts"
import { openContexts } from "../journey/contexts.ts"
import { type ReadFiles, readFiles } from "../journey/read-files.ts"
import { type RunningBuild, withSource } from "../journey/running-build.ts"
import type { Sources } from "../sources/sources.ts"
import { checkAnswer } from "./check.ts"
import { outlineAnswer } from "./outline.ts"
import { targetsAnswer } from "./targets.ts"

/** Runs no step. Throws BuildFailure with the lines of the Dockerfile; of a check only when there is no Dockerfile. */
export const runCall = async (
  build: RunningBuild,
  sources: Sources,
  what: "check" | "outline" | "targets",
): Promise<CallAnswer> => {
  const { request, report, signal } = build
  const contexts = openContexts({ sources, request, run: build.run, readIgnore })
  build.defer(() => contexts.release())
  const files = await readFiles(request, contexts, hostPlatform(), readIgnore, report)
  const graph = (dockerfile: Dockerfile, options: GraphOptions) =>
    buildGraph(
      dockerfile,
      request,
      (reference, platform) => sources.resolveImage(reference, platform, request, report, signal),
      options,
    )
  if (what === "check") return check(build, files, graph)
  try {
    const dockerfile = parseDockerfile(files.dockerfile)
    if (what === "targets") return targetsAnswer(dockerfile, files.dockerfile)
    let target: PlannedStage | undefined
    await graph(dockerfile, {
      planned: (stage) => {
        target = stage
      },
    })
    if (target === undefined) throw new Error("the graph told of no target")
    const last = dockerfile.stages.at(-1)?.name ?? ""
    const predefined = platformArguments(
      hostPlatform(),
      normalisePlatform(request.platforms[0] ?? hostPlatform()),
      request.target || last,
      request.buildArgs,
    )
    return outlineAnswer({ dockerfile, source: files.dockerfile, request, target, predefined })
  } catch (error) {
    throw withSource(placed(error, {}), files.file, files.dockerfile)
  }
}

/** All stages are looked at unless a target is named; what makes the build impossible is part of the answer. */
const check = async (
  { request }: RunningBuild,
  { file, dockerfile: source, ignore }: ReadFiles,
  graph: (dockerfile: Dockerfile, options: GraphOptions) => Promise<unknown>,
): Promise<CallAnswer> => {
  let findings: Findings | undefined
  try {
    const dockerfile = parseDockerfile(source, {
      ...checkOptions(request.buildArgs),
      found: (collected) => {
        findings = collected
      },
    })
    findings = openFindings(dockerfile.check, dockerfile.findings)
    await graph(dockerfile, {
      findings,
      allStages: request.target === "",
      ignored: leavesOut(ignoreMatcher(ignore)),
    })
    return checkAnswer({ file, source, findings: findings.all })
  } catch (error) {
    if (!(error instanceof Failure) || error.kind === "cancelled") throw error
    return checkAnswer({ file, source, findings: findings?.all ?? [], error: placed(error, {}) })
  }
}

const checkOptions = (args: ReadonlyMap<string, string>): { readonly check?: CheckOptions } => {
  const text = args.get("BUILDKIT_DOCKERFILE_CHECK")
  return text === undefined ? {} : { check: readCheckOptions(text) }
}
