// For tests: what the graph finds and plans for a Dockerfile whose base images all have the same small config.
import { hostPlatform } from "../../../oci/platform.ts"
import type { BuildRequest } from "../../build.ts"
import { type Findings, openFindings } from "../../dockerfile/lint/findings.ts"
import { parseDockerfile } from "../../dockerfile/parse.ts"
import { BuildFailure } from "../../failure.ts"
import { platformArguments } from "../../graph/arguments.ts"
import { buildGraph } from "../../graph/build-graph.ts"
import type { ResolvedImage } from "../../graph/graph.ts"
import type { PlannedStage } from "../../graph/stage.ts"
import { plainBuild } from "../../testing/plain-build.ts"
import { checkAnswer } from "../check.ts"
import { outlineAnswer } from "../outline.ts"

/** PATH=/bin and FOO=bar are in every image's environment. */
const resolved = (): Promise<ResolvedImage> => {
  const { os, architecture, variant } = hostPlatform()
  const config = {
    user: "",
    exposedPorts: [],
    env: ["PATH=/bin", "FOO=bar"],
    volumes: [],
    workingDirectory: "",
    labels: {},
  }
  const image = {
    os,
    architecture,
    variant,
    author: "",
    comment: "",
    created: 0,
    document: {},
    diffIds: [],
    history: [],
  }
  return Promise.resolve({ digest: `sha256:${"1".repeat(64)}`, config: { ...image, config }, imageId: "x" })
}

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)

export const check = async (text: string, ignored?: (path: string) => boolean) => {
  const source = bytes(text)
  let findings: Findings | undefined
  const found = (collected: Findings) => {
    findings = collected
  }
  try {
    const dockerfile = parseDockerfile(source, { found })
    findings = openFindings(dockerfile.check, dockerfile.findings)
    const more = ignored === undefined ? {} : { ignored }
    await buildGraph(dockerfile, plainBuild(), resolved, { findings, allStages: true, ...more })
    return {
      findings: findings.all,
      answer: checkAnswer({ file: "Dockerfile", source, findings: findings.all }),
    }
  } catch (error) {
    if (!(error instanceof BuildFailure)) throw error
    const all = findings?.all ?? []
    return { findings: all, error, answer: checkAnswer({ file: "Dockerfile", source, findings: all, error }) }
  }
}

export const outline = async (text: string, given: Partial<BuildRequest> = {}) => {
  const source = bytes(text)
  const dockerfile = parseDockerfile(source)
  const request = plainBuild(given)
  const targets: PlannedStage[] = []
  await buildGraph(dockerfile, request, resolved, { planned: (stage) => targets.push(stage) })
  const [target] = targets
  if (target === undefined) throw new Error("no target was planned")
  const predefined = platformArguments(hostPlatform(), hostPlatform(), request.target, request.buildArgs)
  return outlineAnswer({ dockerfile, source, request, target, predefined })
}
