// What a manifest or an index says that a registry must know: its type, what it refers to, what it is about.
import { errorMessage } from "../base/errors.ts"
import { isJsonObject, type JsonObject, parseJsonObject } from "../base/json-bounded.ts"
import { isIndexType, isManifestType, isSchema1Type } from "../oci/media-types.ts"
import type { RegistryManifestRecord } from "../state/state.ts"
import { isRegisteredDigest } from "./names.ts"
import { Refusal } from "./refusal.ts"

const largestAnnotations = 64 << 10

const invalid = (message: string): Refusal => new Refusal("MANIFEST_INVALID", message)

const digestIn = (value: unknown, what: string): string => {
  const digest = isJsonObject(value) ? value.digest : undefined
  if (typeof digest !== "string" || !isRegisteredDigest(digest)) throw invalid(`${what} has no valid digest`)
  return digest
}

const textOf = (value: unknown): string | undefined =>
  typeof value === "string" && value !== "" ? value : undefined

const annotationsOf = (value: unknown): Record<string, string> | undefined => {
  if (!isJsonObject(value)) return undefined
  const pairs = Object.entries(value).filter((pair): pair is [string, string] => typeof pair[1] === "string")
  if (pairs.length === 0 || JSON.stringify(pairs).length > largestAnnotations) return undefined
  return Object.fromEntries(pairs)
}

export interface Reading {
  readonly mediaType: string
  /** Blobs that must be there. */
  readonly blobs: readonly string[]
  /** Manifests that must be there. */
  readonly manifests: readonly string[]
  readonly subject: string | undefined
  readonly artifactType: string | undefined
  readonly annotations: Record<string, string> | undefined
}

const isForeign = (layer: unknown): boolean =>
  isJsonObject(layer) && Array.isArray(layer.urls) && layer.urls.length > 0

const listOf = (value: unknown, what: string): readonly unknown[] => {
  if (value === undefined || value === null) return []
  if (!Array.isArray(value)) throw invalid(`${what} is not a list`)
  return value
}

/** What a manifest of any type refers to. Throws MANIFEST_INVALID. */
export const readManifest = (bytes: Uint8Array, contentType: string | undefined): Reading => {
  let document: JsonObject
  try {
    document = parseJsonObject(bytes, "the manifest")
  } catch (error) {
    throw invalid(errorMessage(error))
  }
  const said = contentType?.split(";")[0]?.trim()
  const own = textOf(document.mediaType)
  const mediaType = own ?? said ?? ""
  if (own !== undefined && said !== undefined && own !== said)
    throw invalid(`the manifest says that it is "${own}", the request that it is "${said}"`)
  if (isSchema1Type(mediaType) || document.schemaVersion === 1)
    throw invalid("manifests of schema 1 are not accepted: push with a client of this decade")
  if (document.schemaVersion !== 2) throw invalid("the manifest's schemaVersion is not 2")
  if (!isIndexType(mediaType) && !isManifestType(mediaType))
    throw invalid(`manifests of type "${mediaType.slice(0, 100)}" are not accepted`)
  const subject = document.subject === undefined ? undefined : digestIn(document.subject, "the subject")
  const annotations = annotationsOf(document.annotations)
  if (isIndexType(mediaType)) {
    if (document.layers !== undefined || document.config !== undefined)
      throw invalid("the manifest is ambiguous: an index with layers")
    const manifests = listOf(document.manifests, "the list of manifests").map((entry) =>
      digestIn(entry, "a listed manifest"),
    )
    return {
      mediaType,
      blobs: [],
      manifests,
      subject,
      artifactType: textOf(document.artifactType),
      annotations,
    }
  }
  if (document.manifests !== undefined)
    throw invalid("the manifest is ambiguous: it lists manifests and layers")
  const config = document.config
  const layers = listOf(document.layers, "the list of layers").filter((layer) => !isForeign(layer))
  return {
    mediaType,
    blobs: [digestIn(config, "the config"), ...layers.map((layer) => digestIn(layer, "a layer"))],
    manifests: [],
    subject,
    // "Listing Referrers": the config's type stands in for a type of its own.
    artifactType:
      textOf(document.artifactType) ?? (isJsonObject(config) ? textOf(config.mediaType) : undefined),
    annotations,
  }
}

/** The record of a manifest in a repository; `stored` is the content store's name for its bytes. */
export const recordOf = (
  reading: Reading,
  place: { repository: string; digest: string; stored: string; size: number },
): RegistryManifestRecord => ({
  repository: place.repository,
  digest: place.digest,
  ...(place.stored === place.digest ? {} : { content: place.stored }),
  mediaType: reading.mediaType,
  size: place.size,
  references: [...reading.blobs, ...reading.manifests],
  pushedAt: Date.now(),
  ...(reading.subject === undefined ? {} : { subject: reading.subject }),
  ...(reading.artifactType === undefined ? {} : { artifactType: reading.artifactType }),
  ...(reading.annotations === undefined ? {} : { annotations: reading.annotations }),
})
