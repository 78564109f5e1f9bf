// Layers that were made over nothing (--link) are put over a root: committed there by the same tar, no file is copied.
import { linkSync } from "node:fs"
import { failure } from "../../base/errors.ts"
import { chainIds, extendChain } from "../../oci/chain-id.ts"
import type { ImageRecord } from "../../state/state.ts"
import type { LayersTree, StepRun } from "../operations/operations.ts"
import type { BuildRooms } from "../rooms.ts"

type StackRooms = Pick<BuildRooms, "snapshots" | "content">

const linked = (from: string, to: string): boolean => {
  try {
    linkSync(from, to)
    return true
  } catch {
    return false
  }
}

/** A committed layer, and the stack that it is the top of. */
export interface PlacedLayer {
  readonly layer: ImageRecord["layers"][number]
  readonly chainId: string
}

/** Layers that were committed over nothing, with their places. */
export const placedAlone = (layers: ImageRecord["layers"]): PlacedLayer[] => {
  const chain = chainIds(layers.map(({ diffId }) => diffId))
  return layers.map((layer, at) => ({ layer, chainId: chain[at] ?? "" }))
}

/** The root with these layers on it, which are committed elsewhere already. */
export const stackLayers = async (
  { snapshots, content }: StackRooms,
  root: LayersTree,
  placed: readonly PlacedLayer[],
  run: Pick<StepRun, "hold" | "signal">,
): Promise<LayersTree> => {
  let chainId = root.chainId
  for (const { layer, chainId: present } of placed) {
    const { diffId, blob } = layer
    const parent = chainId
    chainId = extendChain(parent, diffId)
    run.hold.keep([chainId])
    if (snapshots.has(chainId)) continue
    const tar = snapshots.tar(present)
    if (tar === undefined && (blob !== diffId || !content.has(blob)))
      throw failure("internal", `the layer ${diffId} cannot be put over another: its bytes are gone`)
    await snapshots.commitLayer({
      chainId,
      parent,
      tar: tar?.open() ?? content.open(blob),
      link: (path) => (tar === undefined ? content.link(blob, path) : linked(tar.path, path)),
      signal: run.signal,
      lazy: true,
    })
  }
  return { kind: "layers", chainId, layers: [...root.layers, ...placed.map(({ layer }) => layer)] }
}
