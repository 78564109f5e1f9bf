// From a config and its layers' blobs to a whole image: every layer verified against its diffID and committed.
import { type DecompressionBounds, decompress } from "../base/decompress.ts"
import { verified } from "../base/digest-stream.ts"
import { failure } from "../base/errors.ts"
import { shortId } from "../base/ids.ts"
import type { ContentStore } from "../content/content.ts"
import { chainIdOf, extendChain } from "../oci/chain-id.ts"
import { type ConfigDocument, parseConfigDocument } from "../oci/config.ts"
import type { Reference } from "../oci/reference.ts"
import type { ScannedTar, Snapshotter } from "../snapshots/snapshotter.ts"
import type { ImageRecord, State } from "../state/state.ts"
import type { ImageProgress } from "./images.ts"
import type { LayerBlobs } from "./keeping/layer-blobs.ts"

/** The rooms below and the bounds that all image work needs. */
export interface Foundation {
  readonly content: ContentStore
  readonly snapshots: Snapshotter
  readonly state: State
  readonly bounds: DecompressionBounds
  readonly blobs: LayerBlobs
  /** What layers' tars amount to, by digest, as far as that is known. */
  readonly scanned?: Map<string, ScannedTar>
}

/** An image whose blobs are in the content store. */
export interface ImageSource {
  /** Digest of the config, and so the image's id. */
  readonly config: string
  readonly manifestDigest: string
  /** Digests of the layers' blobs, lowest first. */
  readonly layers: readonly string[]
  readonly names: readonly Reference[]
  /** Parent image id, "" if not known. */
  readonly parent: string
}

/** Progress at most so often, milliseconds. */
const reportInterval = 100

/** Reads a config and refuses what this engine cannot run. */
export const checkedConfig = (bytes: Uint8Array, layers: number, what: string): ConfigDocument => {
  const document = parseConfigDocument(bytes, what)
  if (document.os !== "" && document.os !== "linux")
    throw failure("invalid", `cannot load ${document.os} image on linux`)
  if (document.diffIds.length !== layers)
    throw failure(
      "invalid",
      `invalid manifest, layers length mismatch: expected ${document.diffIds.length}, got ${layers}`,
    )
  return document
}

async function* counted(
  source: AsyncIterable<Uint8Array>,
  report: (bytes: number) => void,
): AsyncGenerator<Uint8Array> {
  let bytes = 0
  let last = 0
  for await (const chunk of source) {
    bytes += chunk.length
    const now = performance.now()
    if (now - last >= reportInterval) {
      last = now
      report(bytes)
    }
    yield chunk
  }
  report(bytes)
}

/** The uncompressed bytes of a layer's blob, verified against its diffID at their end. */
const layerTar = (
  foundation: Foundation,
  blob: string,
  diffId: string,
  report: (progress: ImageProgress) => void,
): AsyncIterable<Uint8Array> => {
  const total = foundation.content.size(blob) ?? 0
  const raw = counted(foundation.content.open(blob), (current) =>
    report({ id: shortId(diffId), status: "Loading layer", current, total }),
  )
  // A blob whose digest is the diffID was verified when it was written.
  if (blob === diffId) return raw
  const what = `layer ${diffId}`
  // The tar of such a layer is written as it comes, a chunk behind.
  const reuse = foundation.snapshots.name === "erofs"
  return verified(decompress(raw, what, foundation.bounds, { reuse }), { digest: diffId }, what)
}

/** Makes sure that every layer is committed; gives their sizes. */
const commitLayers = async (
  foundation: Foundation,
  source: ImageSource,
  document: ConfigDocument,
  report: (progress: ImageProgress) => void,
  signal: AbortSignal | undefined,
): Promise<ImageRecord["layers"]> => {
  const { snapshots, state } = foundation
  const layers: ImageRecord["layers"][number][] = []
  const known = new Set(
    state.images.list().flatMap((record) => record.layers.map(({ diffId, blob }) => `${diffId} ${blob}`)),
  )
  let parent = ""
  for (const [at, diffId] of document.diffIds.entries()) {
    const blob = source.layers[at] ?? ""
    const chainId = extendChain(parent, diffId)
    const tar = () => layerTar(foundation, blob, diffId, report)
    if (snapshots.has(chainId) && blob !== diffId && !known.has(`${diffId} ${blob}`)) {
      // The files are there already, but this blob must prove that it is what it claims to be.
      for await (const _ of tar()) signal?.throwIfAborted()
    }
    const scanned = blob === diffId ? foundation.scanned?.get(blob) : undefined
    foundation.scanned?.delete(blob)
    const { size } = await snapshots.commitLayer({
      chainId,
      parent,
      tar: tar(),
      ...(blob === diffId ? { link: (path: string) => foundation.content.link(blob, path) } : {}),
      ...(scanned ? { scanned } : {}),
      ...(signal ? { signal } : {}),
    })
    layers.push({ diffId, blob, size })
    parent = chainId
  }
  return layers
}

/**
 * Verifies an image and commits its layers; writes no record. Throws "invalid" for a config that is malformed or does not
 * fit its layers, and for layers that are not what the config says.
 */
export const prepareImage = async (
  foundation: Foundation,
  source: ImageSource,
  report: (progress: ImageProgress) => void,
  signal?: AbortSignal,
): Promise<ImageRecord> => {
  const bytes = await foundation.content.read(source.config)
  const document = checkedConfig(bytes, source.layers.length, `the image config ${source.config}`)
  const layers = await commitLayers(foundation, source, document, report, signal)
  const before = foundation.state.images.find(source.config)
  return {
    id: source.config,
    manifestDigest: source.manifestDigest || (before?.manifestDigest ?? ""),
    createdAt: document.created,
    size: layers.reduce((sum, layer) => sum + layer.size, 0),
    chainId: chainIdOf(document.diffIds),
    layers,
    addedAt: before?.addedAt ?? Date.now(),
    parent: source.parent || (before?.parent ?? ""),
  }
}
