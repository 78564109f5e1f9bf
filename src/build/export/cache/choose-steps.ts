// Which steps a cache export tells of, and how their layers stand on each other.
import { chainIds } from "../../../oci/chain-id.ts"
import type { ImageRecord } from "../../../state/state.ts"
import type { BuiltImage } from "../../build.ts"
import type { ExportableStep } from "../export.ts"
import type { CacheEntry } from "./format.ts"

type LayerRecord = ImageRecord["layers"][number]

/** A layer with its place: what it stands on, and its chainID. */
export interface ForestLayer {
  readonly layer: LayerRecord
  readonly chainId: string
  readonly parent: number
  readonly createdAt: number
  readonly description: string
}

const chainsOf = (image: Pick<BuiltImage, "layers">): string[] =>
  chainIds(image.layers.map(({ diffId }) => diffId))

/** mode=min: steps whose layers are the exported images' own; mode=max: all. */
export const chooseSteps = (
  steps: readonly ExportableStep[],
  images: readonly BuiltImage[],
  mode: "min" | "max",
): readonly ExportableStep[] => {
  if (mode === "max") return steps
  const own = new Set(images.flatMap(chainsOf))
  return steps.filter(({ result }) => own.has(result.chainId))
}

/** Links of records by key; inputs that are not told of are left out. */
const linksOf = (step: ExportableStep, places: ReadonlyMap<string, number>): number[][] =>
  step.inputs.flatMap((key) => {
    const at = places.get(key)
    return at === undefined ? [] : [[at]]
  })

/** Records in the order of the steps, each with the index that `layerOf` gives its result. */
export const recordsOf = (
  steps: readonly ExportableStep[],
  layerOf: (step: ExportableStep) => number | undefined,
): CacheEntry[] => {
  const places = new Map(steps.map(({ key }, at) => [key, at]))
  return steps.map((step) => {
    const layer = layerOf(step)
    return {
      digest: step.key,
      ...(layer === undefined ? {} : { layer }),
      createdAt: step.createdAt,
      inputs: linksOf(step, places),
    }
  })
}

/** All layers of the steps' results, each once, parents first; and where each result's top lies. */
export const forestOf = (
  steps: readonly ExportableStep[],
): { layers: ForestLayer[]; tops: ReadonlyMap<string, number> } => {
  const layers: ForestLayer[] = []
  const tops = new Map<string, number>()
  const told = new Map(steps.map((step) => [step.result.chainId, step]))
  for (const { result } of steps) {
    let parent = -1
    const chain = chainIds(result.layers.map(({ diffId }) => diffId))
    for (const [at, layer] of result.layers.entries()) {
      const chainId = chain[at] ?? ""
      const known = tops.get(chainId)
      if (known === undefined) {
        const step = told.get(chainId)
        layers.push({
          layer,
          chainId,
          parent,
          createdAt: step?.createdAt ?? 0,
          description: step?.description ?? "",
        })
        tops.set(chainId, layers.length - 1)
      }
      parent = known ?? layers.length - 1
    }
  }
  return { layers, tops }
}
