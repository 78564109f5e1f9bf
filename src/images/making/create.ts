// New images made here: import (a root file system becomes a layer) and commit (a container's changes become one).
import { createHash } from "node:crypto"
import { decompress } from "../../base/decompress.ts"
import { failure } from "../../base/errors.ts"
import { extendChain } from "../../oci/chain-id.ts"
import { type ConfigDocument, encodeConfigDocument } from "../../oci/config.ts"
import { parseExecutionConfig } from "../../oci/execution-config.ts"
import { hostPlatform, parsePlatform } from "../../oci/platform.ts"
import { parseReference, type Reference, withDefaultTag } from "../../oci/reference.ts"
import type { ImageRecord } from "../../state/state.ts"
import type { Catalog } from "../catalog.ts"
import type { Image, Images, NewBuiltImage } from "../images.ts"
import type { Garbage } from "../keeping/garbage.ts"
import type { Foundation } from "../prepare.ts"
import { applyChanges } from "./changes.ts"

export interface Workshop extends Foundation {
  readonly catalog: Catalog
  readonly garbage: Garbage
}

/** A diff that holds nothing is no layer: archives of zeros only, or of the root directory at most. */
const emptyTarSize = 10_240

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes
}

/** A name for a new image: no digest, which only the bytes decide. */
export const targetName = (text: string, refusal: string): Reference => {
  const name = withDefaultTag(parseReference(text))
  if (name.digest !== undefined) throw failure("invalid", refusal)
  if (name.path === "library/sha256" && name.domain === "docker.io")
    throw failure("invalid", "refusing to create an ambiguous tag using digest algorithm as name")
  return name
}

/** Writes the config blob and then, last, the image and its name. `lazy`: its layers need not be on the disk before. */
const register = async (
  workshop: Workshop,
  document: Omit<ConfigDocument, "document">,
  parts: { layers: ImageRecord["layers"]; chainId: string; parent: string; names: readonly Reference[] },
  suspect: (blob: string) => void,
  { bytes = encodeConfigDocument(document), lazy = false } = {},
): Promise<string> => {
  const { digest: id } = await workshop.content.ingest(once(bytes))
  suspect(id)
  const record: ImageRecord = {
    id,
    manifestDigest: "",
    createdAt: document.created,
    size: parts.layers.reduce((sum, layer) => sum + layer.size, 0),
    chainId: parts.chainId,
    layers: parts.layers,
    addedAt: Date.now(),
    parent: parts.parent,
  }
  await Promise.all([workshop.content.sync(), lazy ? undefined : workshop.snapshots.persist(parts.chainId)])
  workshop.catalog.put([{ record, names: parts.names }])
  return id
}

/** Stores a tar as a blob and commits it over `parent`. */
const addLayer = async (
  workshop: Workshop,
  tar: AsyncIterable<Uint8Array>,
  parent: string,
  suspect: (blob: string) => void,
  options: { signal?: AbortSignal | undefined; isLayer: (size: number) => boolean },
): Promise<{ layer: ImageRecord["layers"][number]; chainId: string } | undefined> => {
  const { content, snapshots } = workshop
  const { digest, size: length } = await content.ingest(tar, {}, options.signal)
  suspect(digest)
  if (!options.isLayer(length)) return undefined
  const chainId = extendChain(parent, digest)
  const { size } = await snapshots.commitLayer({
    chainId,
    parent,
    tar: content.open(digest),
    link: (path) => content.link(digest, path),
    ...(options.signal ? { signal: options.signal } : {}),
  })
  return { layer: { diffId: digest, blob: digest, size }, chainId }
}

/** As Images.register; `isNew` when there was no such image. */
export const registerImage = (
  workshop: Workshop,
  { config, document, layers, chainId, parent, names }: NewBuiltImage,
): Promise<{ id: string; isNew: boolean }> =>
  workshop.garbage.during(async (suspect) => {
    const references = names.map((name) =>
      targetName(name, "refusing to create a tag with a digest reference"),
    )
    const bytes = document ?? encodeConfigDocument(config)
    const id = `sha256:${createHash("sha256").update(bytes).digest("hex")}`
    const before = workshop.state.images.find(id)
    if (before !== undefined && workshop.content.has(id)) {
      // Of a step that came from the cache only the names may be new.
      for (const name of references)
        if (workshop.catalog.idOf(name) !== id) workshop.catalog.setName(name, id)
      return { id, isNew: false }
    }
    await register(workshop, config, { layers, chainId, parent, names: references }, suspect, {
      bytes,
      lazy: true,
    })
    return { id, isNew: true }
  })

/** As Images.import. */
export const importImage = (
  workshop: Workshop,
  tar: AsyncIterable<Uint8Array>,
  options: Parameters<Images["import"]>[1],
  signal?: AbortSignal,
): Promise<string> =>
  workshop.garbage.during(async (suspect) => {
    // What can be refused is refused before the first byte is read.
    const names = options.reference ? [targetName(options.reference, "cannot import digest reference")] : []
    const platform = options.platform ? parsePlatform(options.platform) : hostPlatform()
    if (platform.os !== "linux")
      throw failure("invalid", `operating system "${platform.os}" is not supported`)
    const config = applyChanges(parseExecutionConfig(undefined, "a new image"), options.changes ?? [])
    const made = await addLayer(
      workshop,
      decompress(tar, "the root file system archive", workshop.bounds),
      "",
      suspect,
      {
        signal,
        isLayer: (size) => {
          if (size === 0) throw failure("invalid", "the root file system archive is empty")
          return true
        },
      },
    )
    if (made === undefined) throw failure("invalid", "the root file system archive is empty")
    const comment = options.message || "Imported from -"
    const created = Date.now()
    return register(
      workshop,
      {
        ...platform,
        author: "",
        comment,
        created,
        config,
        diffIds: [made.layer.diffId],
        history: [{ created, createdBy: "", comment, author: "", emptyLayer: false }],
      },
      { layers: [made.layer], chainId: made.chainId, parent: "", names },
      suspect,
    )
  })

/** As Images.commit. */
export const commitImage = (workshop: Workshop, request: Parameters<Images["commit"]>[0]): Promise<string> =>
  workshop.garbage.during(async (suspect) => {
    const { parent } = request
    const names = request.reference
      ? [targetName(request.reference, "cannot commit to a digest reference")]
      : []
    let meaningful = false
    async function* diff() {
      for await (const chunk of workshop.snapshots.diff(request.snapshotKey)) {
        meaningful ||= chunk.some((byte) => byte !== 0)
        yield chunk
      }
    }
    const made = await addLayer(workshop, diff(), parent.chainId, suspect, {
      isLayer: (size) => meaningful || size > emptyTarSize,
    })
    const created = Date.now()
    const step = {
      created,
      createdBy: request.createdBy,
      comment: request.comment ?? "",
      author: request.author ?? "",
      emptyLayer: made === undefined,
    }
    return register(
      workshop,
      {
        architecture: parent.architecture,
        variant: parent.variant,
        os: parent.os,
        author: request.author ?? "",
        comment: request.comment ?? "",
        created,
        config: request.config,
        diffIds: [...parent.diffIds, ...(made === undefined ? [] : [made.layer.diffId])],
        history: [...parent.history, step],
      },
      {
        layers: [...parent.layers, ...(made === undefined ? [] : [made.layer])],
        chainId: made?.chainId ?? parent.chainId,
        parent: parent.id,
        names,
      },
      suspect,
    )
  })

/** As Images.squash. */
export const squashImage = (
  workshop: Workshop,
  image: Image,
  reference: string | undefined,
  signal?: AbortSignal,
): Promise<string> =>
  workshop.garbage.during(async (suspect) => {
    const names = reference ? [targetName(reference, "cannot squash to a digest reference")] : []
    const made = await addLayer(workshop, workshop.snapshots.flatten(image.chainId), "", suspect, {
      signal,
      isLayer: () => true,
    })
    if (made === undefined) throw failure("internal", `the image ${image.id} has no files to squash`)
    const created = Date.now()
    const comment = `${image.layers.length} layers of ${image.id} in one`
    const { architecture, variant, os, author, config } = image
    return register(
      workshop,
      {
        ...{ architecture, variant, os, author, config, created },
        comment: "",
        diffIds: [made.layer.diffId],
        history: [
          ...image.history.map((step) => ({ ...step, emptyLayer: true })),
          { created, createdBy: "squash", comment, author: "", emptyLayer: false },
        ],
      },
      { layers: [made.layer], chainId: made.chainId, parent: "", names },
      suspect,
    )
  })
