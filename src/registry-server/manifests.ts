// Manifests and indexes: pushed, pulled, deleted, by tag or digest. Distribution specification 1.1, "Manifests".
import { createHash } from "node:crypto"
import { digestOf } from "../base/digest-stream.ts"
import { mediaTypes } from "../oci/media-types.ts"
import type { Exchange } from "./exchange.ts"
import { readManifest, recordOf } from "./manifest-document.ts"
import { isTag, requireManifestReference } from "./names.ts"
import { Refusal } from "./refusal.ts"
import { contentOf, type Store } from "./store.ts"

/** Bytes. The specification asks for at least 4 MiB. */
const largestManifest = 4 << 20

const unknownManifest = (reference: string): Refusal =>
  new Refusal("MANIFEST_UNKNOWN", "manifest unknown", { detail: { reference } })

/** GET and HEAD. */
export const serveManifest = async (
  exchange: Exchange,
  { repositories, content, cache, images }: Store,
  repository: string,
  text: string,
): Promise<void> => {
  const reference = requireManifestReference(text)
  await cache?.refresh(repository, reference)
  const digest = isTag(reference) ? repositories.tagged(repository, reference) : reference
  const record = digest === undefined ? undefined : repositories.manifest(repository, digest)
  const served = record === undefined ? await images?.manifest(repository, reference) : undefined
  const found =
    record === undefined
      ? served
      : { digest: record.digest, mediaType: record.mediaType, bytes: await content.read(contentOf(record)) }
  if (found === undefined) {
    if (!repositories.has(repository))
      throw new Refusal("NAME_UNKNOWN", "repository name not known to registry", {
        detail: { name: repository },
      })
    throw unknownManifest(reference)
  }
  const headers = { "Docker-Content-Digest": found.digest, ETag: `"${found.digest}"` }
  if (exchange.header("if-none-match") === headers.ETag) {
    exchange.empty(304, headers)
    return
  }
  exchange.bytes(200, found.mediaType, found.bytes, headers)
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
    // An index may list blobs too: BuildKit's caches do, and registries have always taken them.
    ...manifest.manifests.filter(
      (child) =>
        repositories.manifest(repository, child) === undefined &&
        repositories.blob(repository, child) === undefined,
    ),
  ]
  if (missing.length > 0) {
    store.released([stored])
    throw new Refusal("MANIFEST_BLOB_UNKNOWN", "the manifest refers to what this repository does not hold", {
      detail: { digests: missing.slice(0, 16) },
    })
  }
  const record = recordOf(manifest, { repository, digest, stored, size: bytes.length })
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
