// The bytes of a layer as registries keep them, when the image has no manifest yet that says which those are.
import { byteReader } from "../../base/byte-reader.ts"
import { detectCompression } from "../../base/decompress.ts"
import { failure } from "../../base/errors.ts"
import type { ContentStore } from "../../content/content.ts"
import { layerTypeOf } from "../../oci/media-types.ts"
import {
  gzipped,
  type LayerBlobs,
  type LayerBytes,
  type LayerRecord,
  ownRecipe,
  type PlacedLayer,
} from "../keeping/layer-blobs.ts"

export interface CompressedLayer {
  /** The layer with the blob that these bytes are. */
  readonly layer: LayerRecord
  readonly digest: string
  readonly size: number
  /** OCI's type for these bytes. */
  readonly mediaType: string
}

export const compressionOf = async (bytes: LayerBytes): Promise<"none" | "gzip" | "zstd"> => {
  const reader = byteReader(bytes.open(0))
  const kind = detectCompression(await reader.take(6))
  await reader.close()
  return kind === "gzip" || kind === "zstd" ? kind : "none"
}

/**
 * What a registry gets for a layer: the bytes that it came as, or its tar in gzip when it was made here or those are gone.
 * What is compressed lies in the content store when this returns, and `suspect` has learned of it. Throws "internal" when
 * the layer's bytes are gone.
 */
export const compressedLayer = async (
  parts: { content: ContentStore; blobs: LayerBlobs },
  placed: PlacedLayer,
  suspect: (blob: string) => void,
  signal?: AbortSignal,
): Promise<CompressedLayer> => {
  const { layer } = placed
  const kept = parts.blobs.find(placed)
  const compression = kept === undefined ? "none" : await compressionOf(kept)
  if (kept !== undefined && (compression !== "none" || layer.blob !== layer.diffId))
    return { layer, digest: layer.blob, size: kept.size, mediaType: layerTypeOf(compression) }
  const tar = kept ?? parts.blobs.tar(placed)
  if (tar === undefined)
    throw failure(
      "internal",
      `the layer ${layer.diffId} of an image is missing: load or pull the image again`,
    )
  const { digest, size } = await parts.content.ingest(gzipped(tar.open(0)), {}, signal)
  suspect(digest)
  return {
    layer: { ...layer, blob: digest, recipe: { name: ownRecipe, size } },
    digest,
    size,
    mediaType: layerTypeOf("gzip"),
  }
}
