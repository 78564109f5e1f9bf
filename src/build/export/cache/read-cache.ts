// Reads a cache's manifest: of its own, or the one that lies within an image's config. Nothing of it is believed but digests.
import { failure } from "../../../base/errors.ts"
import { isJsonObject, type JsonObject, parseJsonObject } from "../../../base/json-bounded.ts"
import { type Descriptor, parseDescriptor } from "../../../oci/descriptor.ts"
import { isDigest } from "../../../oci/digest.ts"
import { isAttestation } from "../../../oci/index.ts"
import { inlineCacheField } from "../config-bytes.ts"
import {
  type CacheEntry,
  type CacheLayer,
  cacheConfigType,
  largestCacheConfig,
  parseCacheConfig,
  parseInlineRecords,
  uncompressedKey,
} from "./format.ts"
import { mountsAmong, type OfferedMount } from "./mounts.ts"
import type { ReadPlace } from "./read-place.ts"

/** A layer that can be brought. */
export interface OfferedLayer {
  readonly diffId: string
  readonly blob: Descriptor
  readonly place: ReadPlace
}

export interface OfferedRecord {
  readonly key: string
  /** Lowest first; undefined when not all of them are described. Looked up only for keys that are wanted. */
  layers(): readonly OfferedLayer[] | undefined
  readonly createdAt: number
}

/** As many as an image may have. */
const deepestChain = 480
const mostEntries = 20_000
/** Images of an index that are looked into. */
const mostImages = 32

const descriptorsOf = (value: unknown, what: string): Descriptor[] => {
  if (!Array.isArray(value) || value.length > mostEntries)
    throw failure("invalid", `${what} has no list of layers, or too long a one`)
  return value.map((entry, at) => parseDescriptor(entry, `entry ${at + 1} of ${what}`))
}

const chainOf = (entry: CacheEntry, layers: readonly CacheLayer[]): readonly number[] => {
  if (entry.layer === undefined) return entry.chain ?? []
  const chain: number[] = []
  for (let at = entry.layer; at !== -1 && chain.length <= deepestChain; at = layers[at]?.parent ?? -1)
    chain.push(at)
  return chain.reverse()
}

/** Records that lead to layers; the others only link. */
const offered = (
  records: readonly CacheEntry[],
  layers: readonly CacheLayer[],
  layerAt: (index: number) => OfferedLayer | undefined,
): OfferedRecord[] =>
  records
    .filter(({ digest, layer, chain }) => isDigest(digest) && (layer !== undefined || chain !== undefined))
    .map((entry) => ({
      key: entry.digest,
      createdAt: entry.createdAt,
      layers() {
        const chain = chainOf(entry, layers)
        if (chain.length === 0 || chain.length > deepestChain) return undefined
        const known = chain.map(layerAt).filter((layer) => layer !== undefined)
        return known.length < chain.length ? undefined : known
      },
    }))

const readOwn = async (
  place: ReadPlace,
  config: Descriptor,
  blobs: readonly Descriptor[],
): Promise<OfferedRecord[]> => {
  const what = `the cache config of ${place.name}`
  if (config.size > largestCacheConfig)
    throw failure("invalid", `${what} has ${config.size} bytes; at most ${largestCacheConfig} are accepted`)
  const { layers, records } = parseCacheConfig(await place.small(config), what)
  const byDigest = new Map(blobs.map((blob) => [blob.digest, blob]))
  return offered(records, layers, (index) => {
    const blob = byDigest.get(layers[index]?.blob ?? "")
    const diffId = blob?.annotations[uncompressedKey] ?? ""
    return blob === undefined || !isDigest(diffId) ? undefined : { diffId, blob, place }
  })
}

/** What an image says in its config; [] for one that says nothing. */
const readInline = async (place: ReadPlace, document: JsonObject): Promise<OfferedRecord[]> => {
  const what = `the image ${place.name}`
  const blobs = descriptorsOf(document.layers, what)
  const config = parseDescriptor(document.config, `the config of ${what}`)
  const { rootfs, [inlineCacheField]: cache } = parseJsonObject(
    await place.small(config),
    `the config of ${what}`,
    largestCacheConfig,
  )
  const diffIds = isJsonObject(rootfs) && Array.isArray(rootfs.diff_ids) ? rootfs.diff_ids : []
  if (typeof cache !== "string" || diffIds.length !== blobs.length) return []
  const records = parseInlineRecords(Buffer.from(cache, "base64"), blobs.length, `the cache in ${what}`)
  const layers = blobs.map(({ digest }, at) => ({ blob: digest, parent: at - 1 }))
  return offered(records, layers, (index) => {
    const blob = blobs[index]
    const diffId: unknown = diffIds[index]
    return blob === undefined || typeof diffId !== "string" || !isDigest(diffId)
      ? undefined
      : { diffId, blob, place }
  })
}

/** What a cache offers: results of steps, and cache mounts. */
export interface OfferedCache {
  readonly records: readonly OfferedRecord[]
  readonly mounts: readonly OfferedMount[]
}

/** All that the place's root leads to. Throws "invalid" for what is no cache, and as the place does. */
export const readCache = async (place: ReadPlace): Promise<OfferedCache> => {
  const what = `the cache manifest of ${place.name}`
  const document = parseJsonObject(await place.root(), what, largestCacheConfig)
  if (document.manifests === undefined) {
    const config = parseDescriptor(document.config, `the config of ${what}`)
    if (config.mediaType !== cacheConfigType)
      return { records: await readInline(place, document), mounts: [] }
    const layers = descriptorsOf(document.layers, what)
    return { records: await readOwn(place, config, layers), mounts: mountsAmong(layers) }
  }
  const entries = descriptorsOf(document.manifests, what)
  const config = entries.find(({ mediaType }) => mediaType === cacheConfigType)
  if (config !== undefined)
    return { records: await readOwn(place, config, entries), mounts: mountsAmong(entries) }
  const found: OfferedRecord[] = []
  for (const entry of entries.filter((one) => !isAttestation(one)).slice(0, mostImages)) {
    const image = parseJsonObject(
      await place.document(entry),
      `the manifest ${entry.digest} of ${place.name}`,
    )
    // An index in an index is no image's.
    if (image.manifests === undefined) found.push(...(await readInline(place, image)))
  }
  return { records: found, mounts: [] }
}
