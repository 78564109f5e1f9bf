// Manifests and indexes: pushed, pulled, deleted, by tag or digest. Distribution specification 1.1, "Manifests".
import { createHash } from "node:crypto"
import { digestOf } from "../base/digest-stream.ts"
import { errorMessage } from "../base/errors.ts"
import { isJsonObject, type JsonObject, parseJsonObject } from "../base/json-bounded.ts"
import { isIndexType, isManifestType, isSchema1Type, mediaTypes } from "../oci/media-types.ts"
import type { RegistryManifestRecord } from "../state/state.ts"
import type { Exchange } from "./exchange.ts"
import { isRegisteredDigest, isTag, requireManifestReference } from "./names.ts"
import { Refusal } from "./refusal.ts"
import { contentOf, type Store } from "./store.ts"

/** Bytes. The specification asks for at least 4 MiB. */
const largestManifest = 4 << 20
const largestAnnotations = 64 << 10

const invalid = (message: string): Refusal => new Refusal("MANIFEST_INVALID", message)

export const unknownManifest = (reference: string): Refusal =>
  new Refusal("MANIFEST_UNKNOWN", "manifest unknown", { detail: { reference } })

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

interface Reading {
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
const readManifest = (bytes: Uint8Array, contentType: string | undefined): Reading => {
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

/** GET and HEAD. */
export const serveManifest = async (
  exchange: Exchange,
  { repositories, content }: Store,
  repository: string,
  text: string,
): Promise<void> => {
  const reference = requireManifestReference(text)
  const digest = isTag(reference) ? repositories.tagged(repository, reference) : reference
  const record = digest === undefined ? undefined : repositories.manifest(repository, digest)
  if (record === undefined) {
    if (!repositories.has(repository))
      throw new Refusal("NAME_UNKNOWN", "repository name not known to registry", {
        detail: { name: repository },
      })
    throw unknownManifest(reference)
  }
  const headers = { "Docker-Content-Digest": record.digest, ETag: `"${record.digest}"` }
  if (exchange.header("if-none-match") === headers.ETag) {
    exchange.empty(304, headers)
    return
  }
  exchange.bytes(200, record.mediaType, await content.read(contentOf(record)), headers)
}

/** PUT. */
export const putManifest = async (
  exchange: Exchange,
  store: Store,
  repository: string,
  text: string,
): Promise<void> => {
  const { repositories, content } = store
  const reference = requireManifestReference(text)
  const tooLong = () =>
    new Refusal("MANIFEST_INVALID", `a manifest has at most ${largestManifest} bytes`, { status: 413 })
  if (Number(exchange.header("content-length") ?? 0) > largestManifest) throw tooLong()
  const bytes = await exchange.body(largestManifest, tooLong)
  const stored = digestOf(bytes)
  const digest = reference.startsWith("sha512:") ? sha512Of(bytes) : stored
  if (!isTag(reference) && reference !== digest)
    throw new Refusal("DIGEST_INVALID", "provided digest did not match uploaded content", {
      detail: { provided: reference, found: digest },
    })
  const manifest = readManifest(bytes, exchange.header("content-type"))
  await content.ingest(once(bytes), { digest: stored })
  await content.sync()
  // From here to the end nothing waits: what was found is there when the manifest is.
  const missing = [
    ...manifest.blobs.filter((blob) => repositories.blob(repository, blob) === undefined),
    ...manifest.manifests.filter((child) => repositories.manifest(repository, child) === undefined),
  ]
  if (missing.length > 0) {
    store.released([stored])
    throw new Refusal("MANIFEST_BLOB_UNKNOWN", "the manifest refers to what this repository does not hold", {
      detail: { digests: missing.slice(0, 16) },
    })
  }
  const record: RegistryManifestRecord = {
    repository,
    digest,
    ...(stored === digest ? {} : { content: stored }),
    mediaType: manifest.mediaType,
    size: bytes.length,
    references: [...manifest.blobs, ...manifest.manifests],
    pushedAt: Date.now(),
    ...(manifest.subject === undefined ? {} : { subject: manifest.subject }),
    ...(manifest.artifactType === undefined ? {} : { artifactType: manifest.artifactType }),
    ...(manifest.annotations === undefined ? {} : { annotations: manifest.annotations }),
  }
  repositories.putManifest(record, isTag(reference) ? reference : undefined)
  exchange.empty(201, {
    Location: `/v2/${repository}/manifests/${digest}`,
    "Docker-Content-Digest": digest,
    ...(manifest.subject === undefined ? {} : { "OCI-Subject": manifest.subject }),
  })
}

/** DELETE: a tag, or a manifest with all its tags. */
export const deleteManifest = (exchange: Exchange, store: Store, repository: string, text: string): void => {
  const reference = requireManifestReference(text)
  if (isTag(reference)) {
    if (!store.repositories.removeTag(repository, reference)) throw unknownManifest(reference)
  } else {
    const removed = store.repositories.removeManifest(repository, reference)
    if (removed === undefined) throw unknownManifest(reference)
    store.released([contentOf(removed)])
  }
  exchange.empty(202)
}

const sha512Of = (bytes: Uint8Array): string => `sha512:${createHash("sha512").update(bytes).digest("hex")}`

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes
}

/** GET …/referrers/DIGEST: what in this repository is about a manifest, whether that exists or not. */
export const serveReferrers = (
  exchange: Exchange,
  { repositories }: Store,
  repository: string,
  digest: string,
): void => {
  const wanted = exchange.query.get("artifactType")
  const manifests = repositories
    .referrers(repository, digest)
    .filter(({ artifactType }) => wanted === null || artifactType === wanted)
    .map(({ mediaType, digest: own, size, artifactType, annotations }) => ({
      mediaType,
      digest: own,
      size,
      ...(artifactType === undefined ? {} : { artifactType }),
      ...(annotations === undefined ? {} : { annotations }),
    }))
  exchange.json(
    { schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests },
    wanted === null ? {} : { "OCI-Filters-Applied": "artifactType" },
    mediaTypes.ociIndex,
  )
}
