// Cache mounts in a cache's manifest: one compressed tar for each, beside the layers, marked by an annotation of our own.
// Other builders see layers that no record of the cache leads to, and pass them by.
import { decompress } from "../../../base/decompress.ts"
import { verified } from "../../../base/digest-stream.ts"
import { errorMessage } from "../../../base/errors.ts"
import type { Descriptor } from "../../../oci/descriptor.ts"
import {
  encodeMount,
  packCacheMount,
  parseMount,
  type TravellingMount,
  takeInCacheMount,
} from "../../operations/cache-mount-travel.ts"
import type { WrittenDescriptor } from "../assemble.ts"
import { written } from "../assemble.ts"
import { type Attributes, readCompression } from "../attributes.ts"
import { compressed } from "../compress.ts"
import { layerTypeOf, type OutgoingBlob } from "../outgoing-layers.ts"
import type { Stages } from "../stages.ts"
import type { ExportRooms, ExportWork } from "../work.ts"
import type { ReadPlace } from "./read-place.ts"

/** Of a descriptor: the cache mount whose files the blob has. */
export const cacheMountKey = "sloop.cache-mount"

/** "cache-mounts": undefined = none, "all" = those that the build used or the cache has, else the ids of --mount=type=cache. */
const wantedNames = (attributes: Attributes): ReadonlySet<string> | "all" | undefined => {
  const text = attributes.get("cache-mounts")
  if (text === undefined || /^(0|f|false)$/i.test(text)) return undefined
  return text === "" || /^(1|t|true)$/i.test(text) ? "all" : new Set(text.split(","))
}

/** Packs the wanted ones; what changes while it is packed is left out and told of. */
export const packMounts = async (
  work: Pick<ExportWork, "rooms" | "attributes" | "solved" | "stages" | "hold" | "signal">,
  oci: boolean,
): Promise<{ blob: OutgoingBlob; descriptor: WrittenDescriptor }[]> => {
  const { rooms, attributes, solved, stages, hold, signal } = work
  const names = wantedNames(attributes)
  if (names === undefined) return []
  const scope = solved.request.scope ?? ""
  const mounts = rooms.state.cacheMounts
    .list()
    .filter((mount) => mount.scope === scope)
    .filter(({ usedAt, name }) => (names === "all" ? usedAt >= solved.startedAt : names.has(name)))
  const compression = readCompression(attributes)
  const mediaType = layerTypeOf(compression.kind, oci)
  const packed: { blob: OutgoingBlob; descriptor: WrittenDescriptor }[] = []
  for (const mount of mounts) {
    const what = mount.name || mount.id
    try {
      const blob = await stages.step(`packing cache mount ${what}`, async () => {
        const tar = packCacheMount(rooms, mount, signal)
        const { digest, size } = await rooms.content.ingest(compressed(tar, compression), {}, signal)
        hold.suspect(digest)
        return { mediaType, digest, size, open: (start: number) => rooms.content.open(digest, { start }) }
      })
      packed.push({
        blob,
        descriptor: written(blob, { annotations: { [cacheMountKey]: encodeMount(mount) } }),
      })
    } catch (error) {
      signal.throwIfAborted()
      stages.say(`the cache mount ${what} is left out: ${errorMessage(error)}`)
    }
  }
  return packed
}

export interface OfferedMount {
  readonly mount: TravellingMount
  readonly blob: Descriptor
}

/** Most of one manifest that are looked at. */
const mostMounts = 64

export const mountsAmong = (descriptors: readonly Descriptor[]): OfferedMount[] =>
  descriptors
    .flatMap((blob) => {
      const text = blob.annotations[cacheMountKey]
      const mount = text === undefined ? undefined : parseMount(text)
      return mount === undefined ? [] : [{ mount, blob }]
    })
    .slice(0, mostMounts)

/** Takes in what is not here yet; one that fails is told of and left out. */
export const takeInMounts = async (
  rooms: ExportRooms,
  place: ReadPlace,
  attributes: Attributes,
  mounts: readonly OfferedMount[],
  stages: Stages,
  signal: AbortSignal,
): Promise<void> => {
  const names = wantedNames(attributes)
  for (const { mount, blob } of mounts) {
    if (names === undefined || (names !== "all" && !names.has(mount.name))) continue
    if (rooms.state.cacheMounts.find(mount.id) !== undefined) continue
    const what = `the cache mount ${mount.name || mount.id} of ${place.name}`
    try {
      await stages.step(`importing cache mount ${mount.name || mount.id}`, () => {
        const { digest, size } = blob
        const bytes = decompress(verified(place.blob(blob, signal), { digest, size }, what), what)
        return takeInCacheMount(rooms, mount, bytes, signal)
      })
    } catch (error) {
      signal.throwIfAborted()
      stages.say(`${what} is not taken in: ${errorMessage(error)}`)
    }
  }
}
