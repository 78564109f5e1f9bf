// Layers that were made over nothing (--link) are put over a root: committed there by the same tar, no file is copied.
import { linkSync } from "node:fs"
import { failure } from "../../base/errors.ts"
import { extendChain } from "../../oci/chain-id.ts"
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

/** The root with these layers on it; they are committed already, over nothing. */
export const stackLayers = async (
  { snapshots, content }: StackRooms,
  root: LayersTree,
  layers: ImageRecord["layers"],
  run: Pick<StepRun, "hold" | "signal">,
): Promise<LayersTree> => {
  let alone = ""
  let chainId = root.chainId
  for (const { diffId, blob } of layers) {
    const parent = chainId
    alone = extendChain(alone, diffId)
    chainId = extendChain(parent, diffId)
    run.hold.keep([chainId])
    if (snapshots.has(chainId)) continue
    const tar = snapshots.tar(alone)
    if (tar === undefined && !content.has(blob))
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
  return { kind: "layers", chainId, layers: [...root.layers, ...layers] }
}
