// Layers as others get them: the bytes that they came as where those are here and wanted, else compressed from their tars.
import { decompress } from "../../base/decompress.ts"
import { verified } from "../../base/digest-stream.ts"
import { failure } from "../../base/errors.ts"
import {
  type LayerBytes,
  openLayerBlobs,
  ownRecipe,
  type PlacedLayer,
  placedLayers,
} from "../../images/images.ts"
import { mediaTypes } from "../../oci/media-types.ts"
import type { BuiltImage } from "../build.ts"
import type { Compression, CompressionKind } from "./attributes.ts"
import { compressed, compressionOf } from "./compress.ts"
import type { ExportWork } from "./work.ts"

/** Bytes that leave, by their digest. */
export interface OutgoingBlob extends LayerBytes {
  readonly digest: string
  readonly mediaType: string
}

export interface OutgoingLayer extends OutgoingBlob {
  readonly diffId: string
  /** Digest of the bytes that registries may know this layer by; "" when it is this one's own. */
  readonly original: string
  /** Set when the bytes are the tar in this engine's own compression, which can be made again. */
  readonly recipe?: LayerRecord["recipe"]
}

const ociTypes = {
  uncompressed: mediaTypes.ociLayer,
  gzip: mediaTypes.ociLayerGzip,
  zstd: mediaTypes.ociLayerZstd,
} as const
const dockerTypes = {
  uncompressed: mediaTypes.dockerLayer,
  gzip: mediaTypes.dockerLayerGzip,
  zstd: mediaTypes.dockerLayerZstd,
} as const

export const layerTypeOf = (kind: CompressionKind, oci: boolean): string =>
  (oci ? ociTypes : dockerTypes)[kind]

type LayerRecord = BuiltImage["layers"][number]
type Parts = Pick<ExportWork, "rooms" | "hold" | "signal">

const blobsOf = ({ rooms }: Parts) =>
  openLayerBlobs({ content: rooms.content, snapshots: rooms.snapshots, keepCompressed: true })

/** The layer's tar, wherever it must be taken from. Throws "internal" when the layer's bytes are gone. */
export const tarOf = (parts: Parts, placed: PlacedLayer): (() => AsyncIterable<Uint8Array>) => {
  const blobs = blobsOf(parts)
  const tar = blobs.tar(placed)
  if (tar !== undefined) return () => tar.open(0)
  const kept = blobs.find(placed)
  const { diffId } = placed.layer
  if (kept === undefined)
    throw failure(
      "internal",
      `the layer ${diffId} of a build is missing: build again with --no-cache, or pull its base image again`,
    )
  const what = `the layer ${diffId}`
  return () => verified(decompress(kept.open(0), what), { digest: diffId }, what)
}

/** The layer as an image here was pushed: compressed in this engine's own way, to be made again when it is sent. */
const compressedBefore = ({ rooms }: Parts, { layer, chainId }: PlacedLayer): PlacedLayer | undefined => {
  for (const record of rooms.state.images.list()) {
    const known = record.layers.find(
      ({ diffId, recipe }) => diffId === layer.diffId && recipe?.name === ownRecipe,
    )
    if (known !== undefined) return { layer: known, chainId }
  }
  return undefined
}

/** Gives a layer whose own compressed bytes are not here; undefined when nobody has them. */
export type FindLayer = (placed: PlacedLayer, oci: boolean) => Promise<OutgoingLayer | undefined>

/** One layer in the wanted compression. What is made lies in the content store and is held. */
const outgoingLayer = async (
  parts: Parts,
  placed: PlacedLayer,
  wanted: Compression,
  oci: boolean,
  find: FindLayer,
): Promise<OutgoingLayer> => {
  const { content } = parts.rooms
  const { diffId, blob } = placed.layer
  const blobs = blobsOf(parts)
  const kept = blobs.find(placed)
  const found = kept === undefined ? "uncompressed" : await compressionOf(kept)
  const original = blob === diffId ? "" : blob
  // Told as what it came as; force-compression is for those who want one kind throughout.
  if (kept !== undefined && found !== "uncompressed" && (!wanted.force || found === wanted.kind))
    return { ...kept, diffId, digest: blob, mediaType: layerTypeOf(found, oci), original: "" }
  const elsewhere =
    kept === undefined && original !== "" && !wanted.force ? await find(placed, oci) : undefined
  if (elsewhere !== undefined) return elsewhere
  const mediaType = layerTypeOf(wanted.kind, oci)
  const tar = blobs.tar(placed)
  if (wanted.kind === "uncompressed" && tar !== undefined)
    return { ...tar, diffId, digest: diffId, mediaType, original }
  const isOwn = wanted.kind === "gzip" && wanted.level === undefined
  const before = isOwn && original === "" ? compressedBefore(parts, placed) : undefined
  const again = before === undefined ? undefined : blobs.find(before)
  if (before !== undefined && again !== undefined) {
    const { blob: digest, recipe } = before.layer
    return { ...again, diffId, digest, mediaType, original, recipe }
  }
  const bytes = compressed(tarOf(parts, placed)(), wanted)
  const { digest, size } = await content.ingest(bytes, {}, parts.signal)
  parts.hold.suspect(digest)
  return {
    ...{ diffId, digest, size, mediaType, original },
    ...(isOwn ? { recipe: { name: ownRecipe, size } } : {}),
    open: (start) => content.open(digest, { start }),
  }
}

/** Layers of one export: each is compressed once, though several images have it. */
export const openOutgoingLayers = (
  parts: Parts,
  wanted: Compression,
  oci: boolean,
  find: FindLayer = async () => undefined,
) => {
  const known = new Map<string, Promise<OutgoingLayer>>()
  const one = (placed: PlacedLayer): Promise<OutgoingLayer> => {
    const found = known.get(placed.chainId)
    if (found !== undefined) return found
    const made = outgoingLayer(parts, placed, wanted, oci, find)
    made.catch(() => {})
    known.set(placed.chainId, made)
    return made
  }
  return {
    one,
    async of(image: Pick<BuiltImage, "layers">): Promise<OutgoingLayer[]> {
      const layers: OutgoingLayer[] = []
      // One after another: a compressor takes a processor of its own already.
      for (const placed of placedLayers(image)) layers.push(await one(placed))
      return layers
    },
  }
}
