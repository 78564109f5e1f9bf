// From a request to a graph: the Dockerfile is read and parsed, bases are resolved; no step has run yet.
import { createHash } from "node:crypto"
import { failure } from "../../base/errors.ts"
import { hostPlatform } from "../../oci/platform.ts"
import type { BuildWarning } from "../build.ts"
import type { Dockerfile } from "../dockerfile/instructions.ts"
import { readCheckOptions } from "../dockerfile/lint/findings.ts"
import { rules, ruleUrl } from "../dockerfile/lint/rules.ts"
import { parseDockerfile } from "../dockerfile/parse.ts"
import { placed } from "../failure.ts"
import { buildGraph } from "../graph/build-graph.ts"
import type { Graph, Input } from "../graph/graph.ts"
import { leavesOut } from "../ignore/copied.ts"
import { ignoreMatcher, readIgnore } from "../ignore/ignore.ts"
import { checkEntitlements } from "../operations/exec/config.ts"
import { inputsOf } from "../solver/vertices.ts"
import type { Sources } from "../sources/sources.ts"
import { type BuildContexts, openContexts } from "./contexts.ts"
import { type ReadFiles, readFiles } from "./read-files.ts"
import { type RunningBuild, withSource } from "./running-build.ts"

export interface Prepared {
  readonly files: ReadFiles
  readonly graph: Graph
  readonly contexts: BuildContexts
  readonly warnings: readonly BuildWarning[]
}

const isRule = (name: string): name is keyof typeof rules => Object.hasOwn(rules, name)

const warningsOf = (graph: Graph, file: string): BuildWarning[] => {
  const found = graph.findings.map(
    ({ rule, message, place }): BuildWarning => ({
      rule,
      description: isRule(rule) ? rules[rule].description : "",
      url: isRule(rule) ? ruleUrl(rule) : "",
      message,
      file,
      lines: [place.first, place.last],
    }),
  )
  if (graph.unusedArguments.length === 0) return found
  const message = `One or more build-args [${graph.unusedArguments.join(" ")}] were not consumed`
  return [...found, { rule: "", description: "", url: "", message, file, lines: [0, 0] }]
}

/** Refuses what the build was not granted, before anything of it runs. */
const checkGranted = (build: RunningBuild, graph: Graph): void => {
  const seen = new Set<string>()
  const visit = (input: Input): void => {
    if (input === "scratch" || seen.has(input.digest)) return
    seen.add(input.digest)
    for (const other of inputsOf(input)) visit(other)
    if (input.type !== "exec") return
    try {
      checkEntitlements(input, build.request)
    } catch (error) {
      throw placed(error, input.place === undefined ? {} : { place: input.place })
    }
  }
  for (const { node } of graph.results) visit(node)
}

/** The vertex under which what is wrong with a Dockerfile is told. */
const definitionVertex = (file: string): string =>
  `sha256:${createHash("sha256").update(`[internal] load build definition from ${file}`).digest("hex")}`

const parse = ({ request }: RunningBuild, { dockerfile, file }: ReadFiles): Dockerfile => {
  const check = request.buildArgs.get("BUILDKIT_DOCKERFILE_CHECK")
  return parseDockerfile(dockerfile, {
    ...(check === undefined ? {} : { check: readCheckOptions(check) }),
    ...(request.face === "classic" ? { classic: { file } } : {}),
  })
}

/** Throws BuildFailure with lines and text of the Dockerfile. */
export const prepare = async (build: RunningBuild, sources: Sources): Promise<Prepared> => {
  const { request, report, signal } = build
  const contexts = openContexts({ sources, request, run: build.run, readIgnore })
  build.defer(() => contexts.release())
  let files: ReadFiles | undefined
  try {
    files = await readFiles(request, contexts, hostPlatform(), readIgnore, report)
    const dockerfile = parse(build, files)
    const { ignore, file, dockerfile: source } = files
    const graph = await buildGraph(
      dockerfile,
      request,
      (reference, platform) => sources.resolveImage(reference, platform, request, report, signal),
      { ignored: leavesOut(ignoreMatcher(ignore)) },
    )
    if (signal.aborted) throw failure("cancelled", "context canceled")
    checkGranted(build, graph)
    const warnings = warningsOf(graph, file)
    const vertex = definitionVertex(file)
    for (const warning of warnings) report({ type: "warning", vertex, warning, source })
    if (graph.plan !== undefined) report({ type: "plan", ...graph.plan })
    return { files, graph, contexts, warnings }
  } catch (error) {
    throw withSource(placed(error, {}), files?.file ?? "", files?.dockerfile)
  }
}
