// save: images as one tar that is both an OCI layout and a docker-archive; the same bytes for the same images.
import { digestOf } from "../../base/digest-stream.ts"
import { failure } from "../../base/errors.ts"
import { type TarSource, writeTar } from "../../base/tar-writer.ts"
import type { ContentStore } from "../../content/content.ts"
import { digestHex } from "../../oci/digest.ts"
import { parseManifest } from "../../oci/manifest.ts"
import { layerTypeOf, mediaTypes } from "../../oci/media-types.ts"
import {
  familiarReference,
  formatReference,
  parseReference,
  type Reference,
  repositoryOf,
} from "../../oci/reference.ts"
import type { Catalog } from "../catalog.ts"
import { noSuchImage } from "../catalog.ts"
import type { Image } from "../images.ts"
import { type LayerBlobs, type LayerBytes, type PlacedLayer, placedLayers } from "../keeping/layer-blobs.ts"
import { compressionOf } from "../push/compressed-layer.ts"

/** An image and the names under which it is saved. */
export interface SavedImage {
  readonly image: Image
  readonly names: readonly Reference[]
}

/** What "busybox" (all its tags), "busybox:1.36" and ids mean to save. Throws not-found. */
export const selectImages = async (
  catalog: Catalog,
  references: readonly string[],
): Promise<SavedImage[]> => {
  const chosen = new Map<string, Map<string, Reference>>()
  const choose = (id: string, name?: Reference): void => {
    const names = chosen.get(id) ?? new Map<string, Reference>()
    if (name !== undefined) names.set(formatReference(name), name)
    chosen.set(id, names)
  }
  for (const text of references) {
    const id = catalog.lookup(text)
    const named = /^(sha256:)?[0-9a-f]{64}$|^sha256:/.test(text) ? undefined : parseReference(text)
    const bare = named !== undefined && named.tag === undefined && named.digest === undefined
    const all = bare ? catalog.namesIn(repositoryOf(named)).filter((name) => name.digest === undefined) : []
    if (all.length > 0) {
      for (const name of all) choose(catalog.idOf(name) ?? "", name)
      continue
    }
    if (id === undefined) throw noSuchImage(text)
    const tagged = named?.tag !== undefined && named.digest === undefined && catalog.idOf(named) === id
    choose(id, tagged ? named : undefined)
  }
  const images: SavedImage[] = []
  for (const [id, names] of chosen) images.push({ image: await catalog.load(id), names: [...names.values()] })
  return images.toSorted((a, b) => (a.image.id < b.image.id ? -1 : 1))
}

interface Blob {
  readonly mediaType: string
  readonly digest: string
  readonly size: number
}

const sizeOf = (content: ContentStore, digest: string): number => {
  const size = content.size(digest)
  if (size === undefined)
    throw failure("internal", `the blob ${digest} of an image is missing: load or pull the image again`)
  return size
}

/** A layer as it is saved: its blob where those very bytes are here, else its tar. */
interface SavedLayer extends Blob, LayerBytes {
  /** Whether it is what the image's own manifest names. */
  readonly original: boolean
}

const savedLayer = async (blobs: LayerBlobs, placed: PlacedLayer): Promise<SavedLayer> => {
  const { blob, diffId } = placed.layer
  const found = blobs.find(placed)
  if (found !== undefined)
    return { ...found, digest: blob, mediaType: layerTypeOf(await compressionOf(found)), original: true }
  const tar = blobs.tar(placed)
  if (tar === undefined)
    throw failure("internal", `the layer ${diffId} of an image is missing: load or pull the image again`)
  return { ...tar, digest: diffId, mediaType: layerTypeOf("none"), original: false }
}

/** The image's own manifest when it has one whose blobs are all here, else an OCI one that is made for it. */
const manifestOf = async (
  content: ContentStore,
  image: Image,
  layers: readonly SavedLayer[],
): Promise<{ mediaType: string; bytes: Uint8Array }> => {
  const whole = layers.every(({ original }) => original)
  if (whole && image.manifestDigest !== "" && content.has(image.manifestDigest)) {
    const bytes = await content.read(image.manifestDigest)
    const { mediaType } = parseManifest(bytes, `the manifest ${image.manifestDigest}`)
    return { mediaType: mediaType || mediaTypes.ociManifest, bytes }
  }
  const manifest = {
    schemaVersion: 2,
    mediaType: mediaTypes.ociManifest,
    config: { mediaType: mediaTypes.ociConfig, digest: image.id, size: sizeOf(content, image.id) },
    layers: layers.map(({ mediaType, digest, size }): Blob => ({ mediaType, digest, size })),
  }
  return { mediaType: mediaTypes.ociManifest, bytes: Buffer.from(JSON.stringify(manifest)) }
}

/** Everything of the archive is known before its first byte is sent, so that a failure is still an answer. */
export const saveImages = async (
  parts: { content: ContentStore; blobs: LayerBlobs },
  images: readonly SavedImage[],
  signal?: AbortSignal,
): Promise<AsyncIterable<Uint8Array>> => {
  const { content } = parts
  const blobs = new Map<string, TarSource>()
  const manifests: object[] = []
  const dockerImages: object[] = []
  const repositories: Record<string, Record<string, string>> = {}
  const path = (digest: string): string => `blobs/sha256/${digestHex(digest)}`

  async function* watched(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    for await (const chunk of source) {
      signal?.throwIfAborted()
      yield chunk
    }
  }
  const add = (digest: string, { size, open }: LayerBytes): void => {
    blobs.set(digest, { name: path(digest), type: "file", size, body: watched(open(0)) })
  }

  for (const { image, names } of images) {
    const layers: SavedLayer[] = []
    for (const placed of placedLayers(image)) layers.push(await savedLayer(parts.blobs, placed))
    const { mediaType, bytes } = await manifestOf(content, image, layers)
    const digest = digestOf(bytes)
    blobs.set(digest, { name: path(digest), type: "file", body: bytes })
    add(image.id, { size: sizeOf(content, image.id), open: () => content.open(image.id) })
    for (const layer of layers) add(layer.digest, layer)
    const descriptor = { mediaType, digest, size: bytes.length }
    const platform = {
      architecture: image.architecture,
      os: image.os,
      ...(image.variant === "" ? {} : { variant: image.variant }),
    }
    if (names.length === 0) manifests.push({ ...descriptor, platform })
    for (const name of names)
      manifests.push({
        ...descriptor,
        annotations: {
          "io.containerd.image.name": formatReference(name),
          "org.opencontainers.image.ref.name": name.tag ?? "",
        },
        platform,
      })
    dockerImages.push({
      Config: path(image.id),
      RepoTags: names.length === 0 ? null : names.map(familiarReference),
      Layers: layers.map((layer) => path(layer.digest)),
    })
    const top = image.layers.at(-1)
    for (const name of names) {
      const [repository = "", tag = ""] = [
        familiarReference({ domain: name.domain, path: name.path }),
        name.tag ?? "",
      ]
      if (top !== undefined)
        repositories[repository] = { ...repositories[repository], [tag]: digestHex(top.diffId) }
    }
  }

  const document = (name: string, value: unknown): TarSource => ({
    name,
    type: "file",
    body: Buffer.from(JSON.stringify(value)),
  })
  return writeTar([
    { name: "blobs/", type: "directory" },
    { name: "blobs/sha256/", type: "directory" },
    ...[...blobs.values()].toSorted((a, b) => (a.name < b.name ? -1 : 1)),
    document("index.json", { schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests }),
    document("manifest.json", dockerImages),
    document("oci-layout", { imageLayoutVersion: "1.0.0" }),
    document("repositories", repositories),
  ])
}
