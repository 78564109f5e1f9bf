// What stages begin from: images that are resolved, named contexts, nothing, or another stage.
import { posix } from "node:path"
import type { ConfigDocument } from "../../oci/config.ts"
import type { ExecutionConfig } from "../../oci/execution-config.ts"
import { formatPlatform, normalisePlatform, type Platform } from "../../oci/platform.ts"
import { formatReference, parseReference, type Reference, withDefaultTag } from "../../oci/reference.ts"
import type { ContextSource } from "../build.ts"
import { quoted } from "../dockerfile/quoted.ts"
import { withSuggestion } from "../dockerfile/suggestion.ts"
import { BuildFailure, placed } from "../failure.ts"
import { defaultPath, environmentOf, splitVariable, withVariable } from "./environment.ts"
import type { Input, ResolvedImage, ResolveImage } from "./graph.ts"
import { stepName } from "./naming.ts"
import { namedContextOf } from "./plan.ts"
import { wholeTree } from "./source-tree.ts"
import type { PlannedStage, StageState } from "./stage.ts"
import { contextNode, type Surroundings } from "./surroundings.ts"

const emptyConfig: ExecutionConfig = {
  user: "",
  exposedPorts: [],
  env: [],
  volumes: [],
  workingDirectory: "",
  labels: {},
}

/** PATH is always set, and triggers do not go on to children. */
const startConfig = (config: ExecutionConfig): ExecutionConfig => {
  const { onBuild: _, ...rest } = config
  const hasPath = config.env.some((line) => splitVariable(line)[0] === "PATH")
  return hasPath ? rest : { ...rest, env: [...config.env, `PATH=${defaultPath}`] }
}

const startState = (
  config: ExecutionConfig,
  image: Platform,
  platform: Platform,
  root: Input,
  more: Partial<StageState> = {},
): StageState => ({
  root,
  config,
  author: "",
  image,
  platform,
  env: environmentOf(config.env),
  directory: posix.resolve("/", config.workingDirectory),
  args: [],
  steps: [],
  directorySet: false,
  ...more,
})

/** FROM scratch: the classic builder sets no working directory. */
const scratchState = (around: Surroundings): StageState => {
  const workingDirectory = around.request.face === "classic" ? "" : "/"
  const config = startConfig({ ...emptyConfig, workingDirectory })
  return startState(config, around.target, around.target, "scratch")
}

/** Begins where another stage ended. What its image has in its environment wins over its arguments. */
export const childState = (parent: StageState): StageState => {
  const config = startConfig(parent.config)
  let { env } = parent
  for (const line of config.env) env = withVariable(env, ...splitVariable(line))
  return { ...parent, config, env }
}

const isEmpty = ({ diffIds, history }: ConfigDocument): boolean =>
  diffIds.length === 0 && history.every(({ emptyLayer }) => emptyLayer)

const imagePlatform = (config: ConfigDocument, fallback: Platform): Platform => ({
  os: config.os || fallback.os,
  architecture: config.architecture || fallback.architecture,
  variant: config.variant,
})

const parseName = (name: string, place: PlannedStage["place"]): Reference => {
  try {
    return parseReference(name)
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw new BuildFailure(
      "invalid",
      `failed to parse stage name ${quoted(name)}: ${reason}`,
      place === undefined ? {} : { place },
    )
  }
}

/** "docker.io/library/alpine:3@sha256:…"; a local image has no digest to be told by. */
const pinnedName = (reference: Reference, resolved: ResolvedImage): string => {
  const full = formatReference(withDefaultTag(reference))
  return resolved.imageId !== "" || reference.digest !== undefined ? full : `${full}@${resolved.digest}`
}

const imageState = (
  around: Surroundings,
  stage: PlannedStage,
  resolved: ResolvedImage,
  reference: string,
  name: string,
  platform: Platform,
): StageState => {
  const { config } = resolved
  const root: Input = isEmpty(config)
    ? "scratch"
    : around.nodes.make<"image">({
        type: "image",
        reference,
        resolved,
        name,
        platform,
        ...(stage.place === undefined ? {} : { place: stage.place }),
        fresh: false,
      })
  const image = imagePlatform(config, platform)
  return startState(startConfig(config.config), image, platform, root, {
    base: resolved,
    author: config.author,
  })
}

const reportPlatform = (
  around: Surroundings,
  stage: PlannedStage,
  image: ConfigDocument,
  platform: Platform,
): void => {
  const actual = normalisePlatform(imagePlatform(image, platform))
  const { place } = stage
  if (place === undefined || stage.from === undefined) return
  if (actual.os !== platform.os || actual.architecture !== platform.architecture)
    around.findings.report(
      "InvalidBaseImagePlatform",
      place,
      stage.baseName,
      formatPlatform(actual),
      formatPlatform(platform),
    )
}

/** How a named context that is an image is asked for. */
const contextReference = (name: string, source: ContextSource): string | undefined => {
  if (source.type === "image") return source.reference
  return source.type === "layout" ? `oci-layout://${name}@${source.digest}` : undefined
}

const contextState = async (
  around: Surroundings,
  stage: PlannedStage,
  name: string,
  resolve: ResolveImage,
  platform: Platform,
): Promise<Begin> => {
  const source = around.request.namedContexts.get(name) ?? { type: "empty" }
  const reference = contextReference(name, source)
  if (source.type === "result") {
    const { config, chainId } = source.image
    const base = { digest: chainId, config: { ...config, document: {} }, imageId: "" }
    const image = imagePlatform(base.config, platform)
    const more = { base, author: config.author }
    return () => startState(startConfig(config.config), image, platform, contextNode(around, name), more)
  }
  if (reference === undefined || reference === "scratch") {
    const own = stage.context === undefined ? scratchState(around).config : emptyConfig
    const root = () => (reference === undefined ? contextNode(around, name) : "scratch")
    return () => startState(own, around.target, platform, root())
  }
  const resolved = await resolve(reference, platform)
  const shown = reference.startsWith("oci-layout:") ? "OCI load from client" : reference
  return () => imageState(around, stage, resolved, reference, `[context ${name}] ${shown}`, platform)
}

const imageNames = ["alpine", "busybox", "centos", "debian", "golang", "ubuntu", "fedora"].flatMap((name) => [
  name,
  `${name}:latest`,
])

/**
 * The state that a stage without a base stage begins with, once its image is known. To be called in the order of the stages,
 * so that nodes are named the same however long the resolving took.
 */
export type Begin = () => StageState

/** Throws BuildFailure at the line of the stage when its image cannot be had. */
export const resolveStage = async (
  around: Surroundings,
  stage: PlannedStage,
  names: readonly string[],
  resolve: ResolveImage,
): Promise<Begin> => {
  const platform = stage.wantedPlatform ?? around.target
  try {
    if (stage.context !== undefined)
      return await contextState(around, stage, stage.context, resolve, platform)
    if (stage.baseName === "scratch") return () => scratchState(around)
    const reference = parseName(stage.baseName, stage.place)
    const context = namedContextOf(around.request, stage.baseName, platform)
    if (context !== undefined) return await contextState(around, stage, context, resolve, platform)
    const resolved = await resolve(stage.baseName, platform).catch((error: unknown) => {
      throw explained(error, around, stage, names)
    })
    return () => {
      reportPlatform(around, stage, resolved.config, platform)
      const shown = `FROM ${pinnedName(reference, resolved)}`
      const name =
        stage.from === undefined || isEmpty(resolved.config)
          ? shown
          : stepName(stage, shown, false, new Map(), around.several ? platform : undefined)
      return imageState(around, stage, resolved, stage.baseName, name, platform)
    }
  } catch (error) {
    throw placed(error, stage.place === undefined ? {} : { place: stage.place })
  }
}

/** What the image of a stage has for its children to do. */
export const triggersOf = (state: StageState): readonly string[] => state.base?.config.config.onBuild ?? []

/** Whose image it was that could not be resolved, and what may have been meant. */
const explained = (
  error: unknown,
  around: Surroundings,
  stage: PlannedStage,
  names: readonly string[],
): BuildFailure => {
  const known = placed(error, {})
  const { baseName, from } = stage
  if (around.request.face === "classic") {
    const sentence =
      from === undefined ? `invalid from flag value ${baseName}: ${known.message}` : known.message
    return new BuildFailure(known.kind, sentence, known.detail, { cause: error })
  }
  const sentence = withSuggestion(`${baseName}: ${known.message}`, baseName, [...names, ...imageNames])
  return new BuildFailure(known.kind, sentence, known.detail, { cause: error })
}

/** A stage's root when it is used as one. */
export const rootOf = (around: Surroundings, state: StageState): Input => wholeTree(around, state.root)
