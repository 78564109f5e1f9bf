// Results with other layers than the steps made: all beyond the base in one (--squash), or with earlier times.
import { digestOf } from "../../base/digest-stream.ts"
import { errorKind } from "../../base/errors.ts"
import { type LayerBytes, type PlacedLayer, placedLayers } from "../../images/images.ts"
import { rootOperation } from "../../kernel/mount.ts"
import { extendChain } from "../../oci/chain-id.ts"
import { encodeConfigDocument } from "../../oci/config.ts"
import type { ImageRecord } from "../../state/state.ts"
import type { BuiltImage } from "../build.ts"
import { tarOf } from "./outgoing-layers.ts"
import { mergeLayers } from "./tars/merge.ts"
import { clampTimes } from "./tars/rewrite.ts"
import type { ExportWork } from "./work.ts"

type Parts = Pick<ExportWork, "rooms" | "hold" | "signal">

/** Stores a tar as a layer over `parent` and commits it. */
const commitTar = async (
  { rooms, hold, signal }: Parts,
  tar: AsyncIterable<Uint8Array>,
  parent: string,
): Promise<{ layer: ImageRecord["layers"][number]; chainId: string }> => {
  const { content, snapshots } = rooms
  const { digest } = await content.ingest(tar, {}, signal)
  hold.suspect(digest)
  const chainId = extendChain(parent, digest)
  hold.keep([chainId])
  const { size } = await snapshots.commitLayer({
    ...{ chainId, parent, signal },
    tar: content.open(digest),
    link: (path) => content.link(digest, path),
  })
  return { layer: { diffId: digest, blob: digest, size }, chainId }
}

const bytesOf = (parts: Parts, placed: PlacedLayer): LayerBytes => {
  const open = tarOf(parts, placed)
  return { size: 0, open: () => open() }
}

/** Whether a path, Latin-1 of its bytes, is there in a committed tree. Links on the way are not followed out of it. */
const presence =
  ({ rooms }: Parts, chainId: string) =>
  async (path: string): Promise<boolean> => {
    if (chainId === "") return false
    if (path === "") return true
    const bytes = Buffer.from(path, "latin1")
    const name = bytes.toString("utf8")
    // The launcher is asked in UTF-8: of other names it is not known.
    if (!Buffer.from(name).equals(bytes)) return true
    try {
      await rooms.kernel.perform([
        ["stat"],
        rootOperation(rooms.snapshots.view(chainId)),
        ["path", `/${name}`],
      ])
      return true
    } catch (error) {
      // A path that cannot be looked at is taken to be there: a whiteout too many hides nothing.
      return errorKind(error) !== "not-found"
    }
  }

/** All layers beyond the base in one, and the history as Docker tells it: every step stays, the merge is the last. */
export const squashed = async (parts: Parts, image: BuiltImage): Promise<BuiltImage> => {
  const placed = placedLayers(image)
  const upper = placed.slice(image.baseLayers)
  const base = placed[image.baseLayers - 1]?.chainId ?? ""
  const id = digestOf(encodeConfigDocument(image.config))
  const comment = image.base === "" ? `create new from ${id}` : `merge ${id} to ${image.base}`
  const { created } = image.config
  const history = image.config.history.map((step, at) =>
    at < image.baseHistory ? step : { ...step, emptyLayer: true },
  )
  const merged =
    upper.length === 0
      ? undefined
      : await commitTar(
          parts,
          mergeLayers(
            upper.map((one) => bytesOf(parts, one)),
            presence(parts, base),
          ),
          base,
        )
  const layers = [...image.layers.slice(0, image.baseLayers), ...(merged === undefined ? [] : [merged.layer])]
  return {
    ...image,
    layers,
    chainId: merged?.chainId ?? base,
    config: {
      ...image.config,
      diffIds: layers.map(({ diffId }) => diffId),
      history: [
        ...history,
        { created, createdBy: "", comment, author: "", emptyLayer: merged === undefined },
      ],
    },
  }
}

/** No time in the layers beyond the base is later than `epoch` (seconds). */
export const withTimes = async (parts: Parts, image: BuiltImage, epoch: number): Promise<BuiltImage> => {
  const placed = placedLayers(image)
  const layers = image.layers.slice(0, image.baseLayers)
  let chainId = placed[image.baseLayers - 1]?.chainId ?? ""
  for (const one of placed.slice(image.baseLayers)) {
    const made = await commitTar(parts, clampTimes(tarOf(parts, one)(), epoch), chainId)
    chainId = made.chainId
    layers.push(made.layer.diffId === one.layer.diffId ? { ...one.layer, size: made.layer.size } : made.layer)
  }
  const diffIds = layers.map(({ diffId }) => diffId)
  return { ...image, layers, chainId, config: { ...image.config, diffIds } }
}
