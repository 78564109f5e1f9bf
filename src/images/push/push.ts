// push: an image goes to a registry as the bytes that it came as. What the registry has is not sent again, what another of
// its repositories has is mounted.
import { digestOf } from "../../base/digest-stream.ts"
import { failure } from "../../base/errors.ts"
import { shortId } from "../../base/ids.ts"
import type { Limiter } from "../../base/limiter.ts"
import type { ContentStore } from "../../content/content.ts"
import type { Events } from "../../events/events.ts"
import type { Descriptor } from "../../oci/descriptor.ts"
import { parseManifest } from "../../oci/manifest.ts"
import { isForeignLayerType, mediaTypes } from "../../oci/media-types.ts"
import { formatPlatform, type Platform, platformScore } from "../../oci/platform.ts"
import {
  familiarName,
  familiarReference,
  parseReference,
  type Reference,
  repositoryOf,
  withDefaultTag,
} from "../../oci/reference.ts"
import type { Registries, RemoteRepository, UploadSource } from "../../registry-client/registry-client.ts"
import type { ImageRecord } from "../../state/state.ts"
import { announceTravel } from "../announce.ts"
import type { ImageProgress, PushRequest } from "../images.ts"
import { type PlacedLayer, placedLayers } from "../keeping/layer-blobs.ts"
import type { Workshop } from "../making/create.ts"
import { compressedLayer } from "./compressed-layer.ts"
import { type Delivery, planDelivery } from "./delivery.ts"

export interface PushParts extends Workshop {
  readonly registries: Registries
  readonly events: Events
  /** Blobs sent at once. */
  readonly uploads: Limiter
}

type Report = (progress: ImageProgress) => void

/** Repositories that a blob is tried to be mounted from. */
const mostMounts = 3
/** Milliseconds between two lines of the same layer. */
const interval = 100

/** A manifest with everything that it leads to. */
interface Parcel {
  readonly bytes: Uint8Array
  readonly mediaType: string
  readonly config: Descriptor
  readonly layers: readonly { readonly blob: Descriptor; readonly placed: PlacedLayer }[]
}

const parcelOf = (bytes: Uint8Array, record: ImageRecord, what: string): Parcel => {
  const manifest = parseManifest(bytes, what)
  const placed = placedLayers(record)
  return {
    bytes,
    mediaType: manifest.mediaType || mediaTypes.ociManifest,
    config: manifest.config,
    layers: manifest.layers.map((blob, at) => {
      const own = { layer: { diffId: blob.digest, blob: blob.digest, size: 0 }, chainId: "" }
      return { blob, placed: placed[at] ?? own }
    }),
  }
}

/**
 * The image's own manifest, or one that is made and kept for it: the same image is the same manifest at every push. `anew`:
 * the bytes that the own one names are nowhere to be had.
 */
const pack = async (
  parts: PushParts,
  record: ImageRecord,
  anew: boolean,
  suspect: (blob: string) => void,
  signal?: AbortSignal,
): Promise<Parcel> => {
  const { content, catalog } = parts
  if (!anew && record.manifestDigest !== "" && content.has(record.manifestDigest))
    return parcelOf(
      await content.read(record.manifestDigest),
      record,
      `the manifest ${record.manifestDigest}`,
    )
  const layers: ImageRecord["layers"][number][] = []
  const descriptors: object[] = []
  for (const placed of placedLayers(record)) {
    const { layer, digest, size, mediaType } = await compressedLayer(parts, placed, suspect, signal)
    layers.push(layer)
    descriptors.push({ mediaType, digest, size })
    if (digest !== placed.layer.blob) suspect(placed.layer.blob)
  }
  const config = { mediaType: mediaTypes.ociConfig, digest: record.id, size: content.size(record.id) ?? 0 }
  const bytes = Buffer.from(
    JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.ociManifest, config, layers: descriptors }),
  )
  async function* whole() {
    yield bytes
  }
  const manifestDigest = digestOf(bytes)
  suspect(manifestDigest)
  await content.ingest(whole(), { digest: manifestDigest })
  await content.sync()
  const packed = { ...record, layers, manifestDigest }
  if (parts.state.images.find(record.id) !== undefined) catalog.put([{ record: packed, names: [] }])
  return parcelOf(bytes, packed, `the manifest ${manifestDigest}`)
}

const sourceOf = (content: ContentStore, blob: Descriptor): UploadSource => ({
  digest: blob.digest,
  size: blob.size,
  open: (from) => content.open(blob.digest, { start: from }),
})

/** Repositories of the same registry that have a blob, as far as names here tell. */
const mountSources = (parts: PushParts, target: Reference, digest: string): string[] => {
  const paths = new Set<string>()
  for (const record of parts.state.images.list()) {
    if (!record.layers.some(({ blob }) => blob === digest)) continue
    for (const name of parts.catalog.namesOf(record.id))
      if (name.digest !== undefined && name.domain === target.domain && name.path !== target.path)
        paths.add(name.path)
  }
  return [...paths].slice(0, mostMounts)
}

const pushLayer = async (
  parts: PushParts,
  remote: RemoteRepository,
  target: Reference,
  layer: Parcel["layers"][number],
  delivery: Delivery,
  report: Report,
  signal?: AbortSignal,
): Promise<void> => {
  const { blob } = layer
  const { diffId } = layer.placed.layer
  const { digest, size: total } = blob
  const tell = (status: string, current?: number) =>
    report({ id: shortId(diffId), status, layer: true, ...(current === undefined ? {} : { current, total }) })
  if (isForeignLayerType(blob.mediaType) && blob.urls !== undefined) {
    tell("Skipped foreign layer")
    return
  }
  if (delivery.kind === "there") {
    tell("Layer already exists")
    return
  }
  if (delivery.kind === "lost")
    throw failure(
      "not-found",
      `cannot push the layer ${digest} to ${remote.name}: neither the registry nor this engine has its bytes; pull the image again`,
    )
  let last = 0
  const progress = (current: number) => {
    const now = performance.now()
    if (now - last < interval && current < total) return
    last = now
    tell("Pushing", current)
  }
  const { mountedFrom } = await remote.putBlob(delivery.source, {
    from: mountSources(parts, target, digest),
    progress,
    ...(signal ? { signal } : {}),
  })
  tell(mountedFrom === undefined ? "Pushed" : `Mounted from ${mountedFrom}`)
}

/** Throws not-found for an image that is for another platform than the wanted one. */
const requirePlatform = async (
  parts: PushParts,
  id: string,
  target: Reference,
  wanted: Platform,
): Promise<void> => {
  const image = await parts.catalog.load(id)
  if (platformScore(wanted, image) > 0) return
  throw failure(
    "not-found",
    `image with reference ${familiarReference(target)} was found but does not match the specified platform: wanted ${formatPlatform(wanted)}, actual: ${formatPlatform(image)}`,
  )
}

/**
 * What is sent, and where the bytes come from. Where nobody has a layer's own bytes any more, the layer is compressed anew
 * and the image gets another manifest, which is told.
 */
const plan = async (
  parts: PushParts,
  remote: RemoteRepository,
  target: Reference,
  record: ImageRecord,
  credentials: PushRequest["credentials"],
  suspect: (blob: string) => void,
  report: Report,
  signal?: AbortSignal,
): Promise<{ parcel: Parcel; deliveries: ReadonlyMap<string, Delivery> }> => {
  const known = parts.catalog.namesOf(record.id).filter(({ digest }) => digest !== undefined)
  const planned = async (parcel: Parcel): Promise<Map<string, Delivery>> => {
    const wanted = new Map(
      parcel.layers
        .filter(({ blob }) => !isForeignLayerType(blob.mediaType) || blob.urls === undefined)
        .map(({ blob, placed }) => [blob.digest, { blob, placed }]),
    )
    const found = [...wanted.values()].map(({ blob, placed }) =>
      parts.uploads.run(
        async (): Promise<[string, Delivery]> => [
          blob.digest,
          await planDelivery(parts, remote, target, blob, placed, known, credentials, signal),
        ],
      ),
    )
    return new Map(await Promise.all(found))
  }
  const parcel = await pack(parts, record, false, suspect, signal)
  const deliveries = await planned(parcel)
  const lost = parcel.layers.find(({ blob }) => deliveries.get(blob.digest)?.kind === "lost")
  if (lost === undefined) return { parcel, deliveries }
  report({
    status: `The compressed bytes of layer ${shortId(lost.placed.layer.diffId)} are not kept here and no registry that is known to have them gives them: it is compressed anew, and the image's digest changes`,
  })
  const again = await pack(parts, record, true, suspect, signal)
  return { parcel: again, deliveries: await planned(again) }
}

const pushOne = (
  parts: PushParts,
  remote: RemoteRepository,
  target: Reference,
  credentials: PushRequest["credentials"],
  report: Report,
  signal?: AbortSignal,
): Promise<string> =>
  parts.garbage.lease(async ({ suspect, keep }) => {
    const { catalog, state } = parts
    const id = catalog.idOf(target)
    const record = id === undefined ? undefined : state.images.find(id)
    if (id === undefined || record === undefined)
      throw failure("not-found", `An image does not exist locally with the tag: ${familiarName(target)}`)
    // Removed meanwhile, it is still sent whole.
    keep(placedLayers(record).map(({ chainId }) => chainId))
    for (const blob of [record.id, record.manifestDigest, ...record.layers.map((layer) => layer.blob)])
      if (blob !== "") suspect(blob)
    for (const { diffId } of record.layers.toReversed())
      report({ id: shortId(diffId), status: "Preparing", layer: true })
    const { parcel, deliveries } = await plan(
      parts,
      remote,
      target,
      record,
      credentials,
      suspect,
      report,
      signal,
    )
    const stopping = new AbortController()
    const stopped = signal === undefined ? stopping.signal : AbortSignal.any([signal, stopping.signal])
    const sending = new Map<string, Promise<void>>()
    for (const layer of parcel.layers.toReversed()) {
      if (sending.has(layer.blob.digest)) continue
      const delivery = deliveries.get(layer.blob.digest) ?? { kind: "there" }
      const sent = parts.uploads.run(() => pushLayer(parts, remote, target, layer, delivery, report, stopped))
      sending.set(layer.blob.digest, sent)
      sent.catch(() => stopping.abort(failure("cancelled", "the push was stopped")))
    }
    const ended = await Promise.allSettled(sending.values())
    signal?.throwIfAborted()
    const failed = ended.filter((end) => end.status === "rejected").map(({ reason }) => reason as unknown)
    const first = failed.find((reason) => reason !== stopping.signal.reason)
    if (first !== undefined) throw first
    const { config, bytes, mediaType } = parcel
    if (!(await remote.hasBlob(config.digest, signal)))
      await remote.putBlob(sourceOf(parts.content, config), { from: [], ...(signal ? { signal } : {}) })
    const tag = target.tag ?? ""
    const { digest } = await remote.putDocument(tag || digestOf(bytes), { bytes, mediaType }, signal)
    // It may have been removed meanwhile.
    if (state.images.find(id) !== undefined)
      catalog.setName({ domain: target.domain, path: target.path, digest }, id)
    report({ status: `${tag}: digest: ${digest} size: ${bytes.length}` })
    report({ status: "", stored: { tag, digest, size: bytes.length } })
    await announceTravel(parts.events, catalog, "push", id, {
      reference: familiarReference(target),
      repository: familiarName(target),
    })
    return digest
  })

/** As Images.push. */
export const pushImages = async (
  parts: PushParts,
  request: PushRequest,
  report: Report,
  signal?: AbortSignal,
): Promise<string[]> => {
  const given = parseReference(request.reference)
  if (given.digest !== undefined)
    throw failure("invalid", "cannot push a digest reference: name the image by a tag, and push that")
  const all = request.all === true && given.tag === undefined
  const targets = all
    ? parts.catalog.namesIn(repositoryOf(given)).filter(({ digest }) => digest === undefined)
    : [withDefaultTag(given)]
  const remote = parts.registries.repository(given, {
    actions: "pull,push",
    credentials: request.credentials,
  })
  report({ status: `The push refers to repository [${repositoryOf(given)}]` })
  if (targets.length === 0 || targets.some((target) => parts.catalog.idOf(target) === undefined))
    throw failure("not-found", `An image does not exist locally with the tag: ${familiarName(given)}`)
  const digests: string[] = []
  for (const target of targets) {
    const id = parts.catalog.idOf(target)
    if (request.platform !== undefined && id !== undefined)
      await requirePlatform(parts, id, target, request.platform)
  }
  for (const target of targets)
    digests.push(await pushOne(parts, remote, target, request.credentials, report, signal))
  return digests
}
