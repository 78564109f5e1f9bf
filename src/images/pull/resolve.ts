// From a reference at a registry to the one manifest that suits a platform.
import { failure } from "../../base/errors.ts"
import { manifestsFor, parseIndex } from "../../oci/index.ts"
import { type Manifest, parseManifest } from "../../oci/manifest.ts"
import { isIndexType } from "../../oci/media-types.ts"
import { formatPlatform, type Platform } from "../../oci/platform.ts"
import { familiarReference, type Reference } from "../../oci/reference.ts"
import type { RemoteDocument, RemoteRepository } from "../../registry-client/registry-client.ts"

/** Indexes may hold indexes, but not for ever. */
const deepestIndex = 4

export interface ResolvedManifest {
  /** Of what the reference names: a manifest, or the index that leads to it. */
  readonly digest: string
  /** Whether the platform was chosen from an index. */
  readonly chosen: boolean
  readonly document: RemoteDocument
  readonly manifest: Manifest
}

/** Throws not-found in Docker's words when nothing suits. */
export const resolveManifest = async (
  remote: RemoteRepository,
  reference: Reference,
  platform: Platform,
  signal?: AbortSignal,
): Promise<ResolvedManifest> => {
  const top = await remote.document(reference.digest ?? reference.tag ?? "latest", signal)
  const name = familiarReference(reference)
  let document = top
  for (let depth = 0; isIndexType(document.mediaType); depth++) {
    if (depth >= deepestIndex)
      throw failure("invalid", `cannot pull ${name}: its indexes nest deeper than ${deepestIndex} levels`)
    const index = parseIndex(document.bytes, `the index ${document.digest} of ${name}`)
    const [descriptor] = manifestsFor(index, platform)
    if (descriptor === undefined)
      throw failure(
        "not-found",
        `no matching manifest for ${formatPlatform(platform)} in the manifest list entries of ${name}`,
      )
    document = await remote.document(descriptor.digest, signal)
    if (document.bytes.length !== descriptor.size)
      throw failure(
        "invalid",
        `cannot pull ${name}: its manifest ${descriptor.digest} has ${document.bytes.length} bytes, but ${descriptor.size} were announced`,
      )
    if (descriptor.mediaType !== "" && descriptor.mediaType !== document.mediaType)
      throw failure(
        "invalid",
        `cannot pull ${name}: its manifest ${descriptor.digest} is announced as "${descriptor.mediaType}", but says that it is "${document.mediaType}"`,
      )
  }
  const manifest = parseManifest(document.bytes, `the manifest ${document.digest} of ${name}`)
  return { digest: top.digest, chosen: document !== top, document, manifest }
}
