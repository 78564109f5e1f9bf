// --cache-from: asked by key when the own cache has nothing. Layers come in verified by digest and diffID, or not at all.
import { decompress } from "../../../base/decompress.ts"
import { verified } from "../../../base/digest-stream.ts"
import { failure } from "../../../base/errors.ts"
import { Limiter } from "../../../base/limiter.ts"
import type { Hold } from "../../../images/images.ts"
import { chainIdOf, chainIds, extendChain } from "../../../oci/chain-id.ts"
import type { ImageRecord } from "../../../state/state.ts"
import type { BuildRequest, CacheLocation } from "../../build.ts"
import type { CacheRecord } from "../../cache/cache.ts"
import type { LayersTree } from "../../operations/operations.ts"
import type { ReportBuild } from "../../progress.ts"
import type { ImportedCache } from "../export.ts"
import { inStages } from "../stages.ts"
import type { ExportRooms } from "../work.ts"
import { checkCacheType } from "./form.ts"
import { descriptionKey } from "./format.ts"
import { takeInMounts } from "./mounts.ts"
import { type OfferedLayer, type OfferedRecord, readCache } from "./read-cache.ts"
import { openReadPlace } from "./read-place.ts"

type LayerRecord = ImageRecord["layers"][number]

export interface ImportOptions {
  readonly credentials: BuildRequest["credentials"]
  readonly report: ReportBuild
  /** Keeps what is brought; the solve's own. */
  readonly hold: Hold
  readonly signal: AbortSignal
}

/** What a location offers; one that cannot be read is told of and offers nothing, as BuildKit has it. */
const readLocation = async (
  rooms: ExportRooms,
  location: CacheLocation,
  { credentials, report, signal }: ImportOptions,
): Promise<ReadonlyMap<string, OfferedRecord>> => {
  const { attributes, type } = location
  const name = attributes.get("ref") ?? attributes.get("src") ?? type
  try {
    return await inStages(`importing cache manifest from ${name}`, name, report, async (stages) => {
      const place = await openReadPlace(rooms, location, credentials, signal)
      const { records, mounts } = await readCache(place)
      await takeInMounts(rooms, place, attributes, mounts, stages, signal)
      if (records.length === 0 && mounts.length === 0) stages.say(`no cache found in ${name}`)
      return new Map(records.map((record) => [record.key, record]))
    })
  } catch {
    signal.throwIfAborted()
    return new Map()
  }
}

/** A layer's record when its files are here and bytes that are known to be it can be had again. */
const present = (
  rooms: ExportRooms,
  { diffId, blob }: OfferedLayer,
  chainId: string,
): LayerRecord | undefined => {
  const { snapshots, content, state } = rooms
  const snapshot = state.snapshots.find(chainId)
  if (!snapshots.has(chainId) || snapshot === undefined) return undefined
  const { size } = snapshot
  if (snapshots.tar(chainId) !== undefined || content.has(diffId)) return { diffId, blob: diffId, size }
  // That this blob is this layer is the cache's claim alone, unless an image here proved it.
  const proven = state.images
    .list()
    .some(({ layers }) => layers.some((known) => known.diffId === diffId && known.blob === blob.digest))
  return proven && content.has(blob.digest) ? { diffId, blob: blob.digest, size } : undefined
}

/** Layers that come in at once. */
const downloadsAtOnce = 3

/** Brings layers in, each once however many records want it. */
const openFetching = (rooms: ExportRooms, hold: Hold) => {
  const { content, snapshots } = rooms
  const limit = new Limiter(downloadsAtOnce)
  const blobs = new Map<string, Promise<void>>()
  const committed = new Map<string, Promise<LayerRecord>>()
  const whatOf = ({ blob, place }: OfferedLayer): string =>
    `the layer ${blob.digest} of the cache ${place.name}`

  /** What failed may be tried again. */
  const once = <T>(made: Map<string, Promise<T>>, key: string, make: () => Promise<T>): Promise<T> => {
    const known = made.get(key)
    if (known !== undefined) return known
    const one = make()
    made.set(key, one)
    one.catch(() => made.delete(key))
    return one
  }
  const download = (layer: OfferedLayer, signal: AbortSignal): Promise<void> =>
    once(blobs, layer.blob.digest, () =>
      limit.run(async () => {
        const { digest, size } = layer.blob
        hold.suspect(digest)
        if (content.has(digest)) return
        const bytes = verified(layer.place.blob(layer.blob, signal), { digest, size }, whatOf(layer))
        await content.ingest(bytes, { digest, size }, signal)
      }),
    )
  const commit = async (layer: OfferedLayer, parent: string, signal: AbortSignal): Promise<LayerRecord> => {
    const { diffId, blob } = layer
    const chainId = extendChain(parent, diffId)
    const known = present(rooms, layer, chainId)
    if (known !== undefined) return known
    await download(layer, signal)
    const what = whatOf(layer)
    const tar = () => verified(decompress(content.open(blob.digest), what), { digest: diffId }, what)
    if (snapshots.has(chainId)) for await (const _ of tar()) signal.throwIfAborted()
    const { size } = await snapshots.commitLayer({ ...{ chainId, parent, signal }, tar: tar() })
    return { diffId, blob: blob.digest, size }
  }

  return async (layers: readonly OfferedLayer[], signal: AbortSignal): Promise<LayerRecord[]> => {
    const chain = chainIds(layers.map(({ diffId }) => diffId))
    // Before anything is looked at, so that what is found stays.
    hold.keep(chain)
    for (const [at, layer] of layers.entries())
      if (present(rooms, layer, chain[at] ?? "") === undefined) download(layer, signal).catch(() => {})
    const records: LayerRecord[] = []
    for (const [at, layer] of layers.entries())
      records.push(await once(committed, chain[at] ?? "", () => commit(layer, chain[at - 1] ?? "", signal)))
    return records
  }
}

/**
 * Reads the locations' manifests at once and in the background. Throws "not-implemented" for kinds of places that this
 * engine does not read.
 */
export const openImportedCaches = (
  rooms: ExportRooms,
  locations: readonly CacheLocation[],
  options: ImportOptions,
): ImportedCache => {
  for (const { type } of locations) checkCacheType(type, "import")
  // An inline cache is read from the image's registry.
  const reading = locations.map((location) => readLocation(rooms, location, options))
  for (const one of reading) one.catch(() => {})
  const fetchLayers = openFetching(rooms, options.hold)
  const find = async (
    key: string,
  ): Promise<{ layers: readonly OfferedLayer[]; createdAt: number } | undefined> => {
    for (const one of reading) {
      const record = (await one).get(key)
      const layers = record?.layers()
      if (record !== undefined && layers !== undefined) return { layers, createdAt: record.createdAt }
    }
    return undefined
  }

  return {
    async ready() {
      // Who waits for no mounts waits for manifests only when its own cache has nothing.
      await Promise.all(reading.filter((_, at) => locations[at]?.attributes.has("cache-mounts")))
    },
    async find(key) {
      const found = await find(key)
      const top = found?.layers.at(-1)
      if (found === undefined || top === undefined) return undefined
      return {
        ...{ key, chainId: chainIdOf(found.layers.map(({ diffId }) => diffId)) },
        ...{ diffId: top.diffId, blob: top.blob.digest, size: top.blob.size },
        ...{ description: (top.blob.annotations[descriptionKey] ?? "").slice(0, 4096), kind: "regular" },
        ...{ createdAt: found.createdAt, usedAt: Date.now(), uses: 0 },
      } satisfies CacheRecord
    },
    async bring(record, signal): Promise<LayersTree> {
      const found = await find(record.key)
      if (found === undefined) throw failure("not-found", `no imported cache has the key ${record.key}`)
      const layers = await fetchLayers(found.layers, signal)
      return { kind: "layers", chainId: record.chainId, layers }
    },
  }
}
