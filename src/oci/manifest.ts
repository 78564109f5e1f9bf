// An image manifest: its config and its layers.
import { failure } from "../base/errors.ts"
import { type JsonObject, parseJsonObject } from "../base/json-bounded.ts"
import { type Descriptor, parseDescriptor, parseStrings } from "./descriptor.ts"
import { isConfigType, isForeignLayerType, isIndexType, isLayerType, isManifestType } from "./media-types.ts"

export interface Manifest {
  readonly kind: "manifest"
  readonly mediaType: string
  readonly config: Descriptor
  readonly layers: readonly Descriptor[]
  readonly annotations: Readonly<Record<string, string>>
}

/** Refuses documents that one reader could take for a manifest and another for an index. */
export const refuseMixed = (document: JsonObject, wanted: "manifest" | "index", what: string): string => {
  const { mediaType = "", schemaVersion } = document
  if (typeof mediaType !== "string") throw failure("invalid", `${what} has a media type that is not a string`)
  if (schemaVersion !== undefined && schemaVersion !== 2)
    throw failure(
      "invalid",
      `${what} has schema version ${JSON.stringify(schemaVersion)}; only 2 is supported`,
    )
  const known = wanted === "manifest" ? isManifestType(mediaType) : isIndexType(mediaType)
  if (mediaType !== "" && !known)
    throw failure("invalid", `${what} says that it is "${mediaType}", not an ${wanted}`)
  const foreign = wanted === "manifest" ? ["manifests", "fsLayers"] : ["layers", "config", "fsLayers"]
  for (const key of foreign)
    if (document[key] !== undefined)
      throw failure("invalid", `${what} is ambiguous: it is an ${wanted}, but holds "${key}"`)
  return mediaType
}

/** `what` names the document in messages. Throws Failure "invalid", also for artifacts that are no image. */
export const parseManifest = (bytes: Uint8Array, what: string): Manifest => {
  const document = parseJsonObject(bytes, what)
  const mediaType = refuseMixed(document, "manifest", what)
  const config = parseDescriptor(document.config, `the config of ${what}`)
  if (config.mediaType !== "" && !isConfigType(config.mediaType))
    throw failure("invalid", `${what} is no image: its config is "${config.mediaType}"`)
  const layers = document.layers
  if (!Array.isArray(layers)) throw failure("invalid", `${what} has no list of layers`)
  return {
    kind: "manifest",
    mediaType,
    config,
    layers: layers.map((layer, at) => {
      const descriptor = parseDescriptor(layer, `layer ${at + 1} of ${what}`)
      const known = isLayerType(descriptor.mediaType) || isForeignLayerType(descriptor.mediaType)
      if (descriptor.mediaType !== "" && !known)
        throw failure(
          "invalid",
          `layer ${at + 1} of ${what} has the unsupported type "${descriptor.mediaType}"`,
        )
      return descriptor
    }),
    annotations: parseStrings(document.annotations, `the annotations of ${what}`),
  }
}
