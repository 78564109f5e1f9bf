// From a solved stage to an image: layers counted against steps, and the history with its times, as BuildKit fills it in.
import { failure } from "../../base/errors.ts"
import type { HistoryStep } from "../../oci/config.ts"
import { formatPlatform } from "../../oci/platform.ts"
import type { BuildRequest, BuiltImage, Material } from "../build.ts"
import { packageUrl } from "../export/package-url.ts"
import type { GraphResult, ImageNode, Input, Node } from "../graph/graph.ts"
import { copiedContent } from "../graph/history-texts.ts"
import type { LayersTree } from "../operations/operations.ts"
import type { Solution } from "../solver/solver.ts"
import { inputsOf } from "../solver/vertices.ts"

/** What assembling asks of a solved graph. */
export interface Assembly {
  of(input: Input): Promise<Solution>
  layersOf(input: Input): Promise<LayersTree>
  readonly materials: readonly Material[]
}

/** A step of history whose time is not known yet. */
type Untimed = Omit<HistoryStep, "created"> & { readonly created: number | undefined }

/**
 * Gives times to steps that have none: that of the first layer made anew, or of the step before; if there is none at all,
 * now. The same steps get the same times, so that an image that is built again from the cache has the same id.
 */
const timed = (history: readonly Untimed[]): HistoryStep[] => {
  const gap = history.findIndex(({ created }) => created === undefined)
  const after = gap < 0 ? undefined : history.slice(gap).find(({ created }) => created !== undefined)
  const before = (gap < 0 ? history : history.slice(0, gap)).findLast(({ created }) => created !== undefined)
  let last = (after ?? before)?.created ?? Date.now()
  let seenGap = false
  return history.map((step) => {
    if (step.created === undefined) seenGap = true
    else if (seenGap) last = step.created
    return { ...step, created: step.created ?? last }
  })
}

/** Every image that the result needs, each once. */
const imagesBelow = (node: Input): ImageNode[] => {
  const found = new Map<string, Node>()
  const visit = (input: Input): void => {
    if (input === "scratch" || found.has(input.digest)) return
    found.set(input.digest, input)
    for (const other of inputsOf(input)) visit(other)
  }
  visit(node)
  return [...found.values()].filter((one): one is ImageNode => one.type === "image")
}

const imageMaterials = (node: Input): Material[] =>
  imagesBelow(node).flatMap(({ reference, platform, resolved }) => {
    try {
      return [{ uri: packageUrl(reference, formatPlatform(platform)), digest: resolved.digest }]
    } catch {
      // A context's image may have no name.
      return []
    }
  })

/** One result of the graph as an image. `face` decides the words of history. */
export const assembleImage = async (
  result: GraphResult,
  solved: Assembly,
  face: BuildRequest["face"],
): Promise<BuiltImage> => {
  const tree = await solved.layersOf(result.node)
  const baseHistory = result.base?.config.history ?? []
  const baseLayers = result.base?.config.diffIds.length ?? 0
  const history: Untimed[] = baseHistory.map((step) => ({ ...step, created: step.created || undefined }))
  const comment = face === "builder" ? "buildkit.dockerfile.v0" : ""
  let layers = baseLayers
  const { author } = result.config
  /** Layers that no instruction accounts for: a named context that is a stage's base. */
  const accountFor = (upTo: number): void => {
    for (; layers < upTo; layers++)
      history.push({
        ...{ created: undefined, createdBy: "", author: "", emptyLayer: false },
        comment: "buildkit.exporter.image.v0",
      })
  }
  for (const step of result.steps) {
    let made = 0
    let created: number | undefined
    let copied = ""
    if (step.node !== undefined && step.node.type !== "image") {
      const solution = await solved.of(step.node)
      const total = (await solved.layersOf(step.node)).layers.length
      made = total - layers
      if (made > 1) {
        accountFor(total - 1)
        made = 1
      }
      if (made > 0) created = solution.createdAt || undefined
      copied = solution.copied
    }
    layers += made
    history.push({
      created,
      createdBy:
        face === "builder" ? step.createdBy : step.classicCreatedBy.replaceAll(copiedContent, copied),
      comment,
      author: face === "builder" ? "" : author,
      emptyLayer: made === 0,
    })
  }
  accountFor(tree.layers.length)
  if (layers !== tree.layers.length)
    throw failure("internal", `the image has ${tree.layers.length} layers, and its steps made ${layers}`)
  const times = timed(history)
  return {
    platform: result.platform,
    chainId: tree.chainId,
    layers: tree.layers,
    config: {
      ...result.config,
      created: times.at(-1)?.created ?? Date.now(),
      diffIds: tree.layers.map(({ diffId }) => diffId),
      history: times,
    },
    base: result.base?.imageId ?? "",
    baseLayers,
    baseHistory: baseHistory.length,
    materials: [...solved.materials, ...imageMaterials(result.node)],
  }
}
