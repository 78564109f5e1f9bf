// The engine's own images as a registry can serve them: manifests over the tars that are here, so that no byte is copied.
import { digestOf } from "../base/digest-stream.ts"
import type { ContentStore } from "../content/content.ts"
import { mediaTypes } from "../oci/media-types.ts"
import { parseReference } from "../oci/reference.ts"
import type { ImageRecord, State } from "../state/state.ts"
import type { Catalog } from "./catalog.ts"
import { type LayerBlobs, placedLayers } from "./keeping/layer-blobs.ts"

export interface PublishedDocument {
  readonly bytes: Uint8Array
  readonly mediaType: string
  readonly digest: string
}

export interface PublishedBlob {
  /** Bytes. */
  readonly size: number
  open(from: number): AsyncIterable<Uint8Array>
}

/** Images by repository path, for names whose domain is one of the registry's own. */
export interface PublishedImages {
  repositories(): string[]
  tags(repository: string): string[]
  /** By tag or digest. */
  manifest(repository: string, reference: string): Promise<PublishedDocument | undefined>
  blob(repository: string, digest: string): PublishedBlob | undefined
}

export const openPublished = (
  parts: { content: ContentStore; state: State; catalog: Catalog; blobs: LayerBlobs },
  domains: readonly string[],
): PublishedImages => {
  const { content, state, catalog, blobs } = parts

  const namesOf = (repository: string) =>
    domains.flatMap((domain) => catalog.namesIn(`${domain}/${repository}`))
  const recordsOf = (repository: string): ImageRecord[] =>
    namesOf(repository).flatMap((name) => {
      const id = catalog.idOf(name)
      const record = id === undefined ? undefined : state.images.find(id)
      return record === undefined ? [] : [record]
    })

  /** The manifest that an image came with while all its blobs are here, else one over its tars; undefined when a layer has neither. */
  const documentOf = async (record: ImageRecord): Promise<PublishedDocument | undefined> => {
    const placed = placedLayers(record)
    const whole = placed.every((layer) => blobs.find(layer) !== undefined)
    if (whole && record.manifestDigest !== "" && content.has(record.manifestDigest)) {
      const bytes = await content.read(record.manifestDigest)
      const { mediaType } = JSON.parse(Buffer.from(bytes).toString("utf8")) as { mediaType?: string }
      return { bytes, mediaType: mediaType ?? mediaTypes.ociManifest, digest: record.manifestDigest }
    }
    const layers = []
    for (const layer of placed) {
      const tar = blobs.tar(layer)
      if (tar === undefined) return undefined
      layers.push({ mediaType: mediaTypes.ociLayer, digest: layer.layer.diffId, size: tar.size })
    }
    const config = { mediaType: mediaTypes.ociConfig, digest: record.id, size: content.size(record.id) ?? 0 }
    const mediaType = mediaTypes.ociManifest
    const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType, config, layers }))
    return { bytes, mediaType, digest: digestOf(bytes) }
  }

  return {
    repositories: () => [
      ...new Set(
        state.references
          .entries()
          .map(([text]) => parseReference(text))
          .filter(({ domain }) => domains.includes(domain))
          .map(({ path }) => path),
      ),
    ],
    tags: (repository) => [
      ...new Set(namesOf(repository).flatMap(({ tag }) => (tag === undefined ? [] : [tag]))),
    ],
    async manifest(repository, reference) {
      if (!reference.includes(":")) {
        const name = namesOf(repository).find(({ tag }) => tag === reference)
        const id = name === undefined ? undefined : catalog.idOf(name)
        const record = id === undefined ? undefined : state.images.find(id)
        return record === undefined ? undefined : documentOf(record)
      }
      for (const record of recordsOf(repository)) {
        const document = await documentOf(record)
        if (document?.digest === reference) return document
      }
      return undefined
    },
    blob(repository, digest) {
      for (const record of recordsOf(repository)) {
        if (record.id === digest) {
          const size = content.size(digest)
          return size === undefined ? undefined : { size, open: (start) => content.open(digest, { start }) }
        }
        for (const placed of placedLayers(record)) {
          if (placed.layer.diffId === digest) return blobs.tar(placed)
          if (placed.layer.blob === digest) return blobs.find(placed)
        }
      }
      return undefined
    },
  }
}
