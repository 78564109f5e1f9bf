// oci-archive: an OCI image layout, index.json leading to manifests, configs and layers under blobs/.
import { digestOf } from "../../base/digest-stream.ts"
import { failure } from "../../base/errors.ts"
import { parseJsonObject } from "../../base/json-bounded.ts"
import type { Descriptor } from "../../oci/descriptor.ts"
import { digestHex } from "../../oci/digest.ts"
import { isAttestation, manifestsFor, parseIndex } from "../../oci/index.ts"
import { type Manifest, parseManifest } from "../../oci/manifest.ts"
import { isIndexType } from "../../oci/media-types.ts"
import { formatPlatform, hostPlatform, type Platform } from "../../oci/platform.ts"
import { parseReference, type Reference, withDefaultTag } from "../../oci/reference.ts"
import { checkedConfig, type ImageSource } from "../prepare.ts"
import type { Archive } from "./archive.ts"

/** A manifest found in a layout, with the names that lead to it. */
export interface FoundManifest {
  readonly digest: string
  readonly path: string
  readonly manifest: Manifest
  readonly names: readonly Reference[]
}

const deepestIndex = 8

const blobPath = (digest: string): string => `blobs/sha256/${digestHex(digest)}`

const readBlob = async (archive: Archive, descriptor: Descriptor, what: string): Promise<Uint8Array> => {
  const bytes = await archive.read(blobPath(descriptor.digest), what)
  const digest = digestOf(bytes)
  if (digest !== descriptor.digest || bytes.length !== descriptor.size)
    throw failure(
      "invalid",
      `${what} announces ${descriptor.size} bytes with the digest ${descriptor.digest}; the archive holds ${bytes.length} bytes with ${digest}`,
    )
  return bytes
}

/** The name in a descriptor's annotations. A bare tag ("latest", as skopeo writes) names no repository. */
const nameOf = (descriptor: Descriptor): Reference[] => {
  const name =
    descriptor.annotations["io.containerd.image.name"] ??
    descriptor.annotations["org.opencontainers.image.ref.name"]
  if (name === undefined || !/[:/]/.test(name)) return []
  const { digest: _, ...reference } = parseReference(name)
  return [withDefaultTag(reference)]
}

/** Follows a descriptor to manifests: itself, or what suits the platform in its index. Bad candidates fall to the next. */
const follow = async (
  archive: Archive,
  descriptor: Descriptor,
  platform: Platform,
  depth: number,
): Promise<FoundManifest> => {
  const what = `the descriptor ${descriptor.digest}`
  const bytes = await readBlob(archive, descriptor, what)
  const document = parseJsonObject(bytes, what)
  const nested = isIndexType(descriptor.mediaType) || (descriptor.mediaType === "" && "manifests" in document)
  if (!nested)
    return {
      digest: descriptor.digest,
      path: blobPath(descriptor.digest),
      manifest: parseManifest(bytes, `the manifest ${descriptor.digest}`),
      names: [],
    }
  if (depth >= deepestIndex)
    throw failure("invalid", `the indexes of the archive nest deeper than ${deepestIndex} levels`)
  const index = parseIndex(bytes, `the index ${descriptor.digest}`)
  // An archive may list platforms whose blobs it does not hold.
  const held = manifestsFor(index, platform).find(({ digest }) => archive.has(blobPath(digest)))
  if (held === undefined)
    throw failure(
      "not-found",
      `no matching manifest for ${formatPlatform(platform)} in the archive's index ${descriptor.digest}`,
    )
  return follow(archive, held, platform, depth + 1)
}

/** The manifests that index.json leads to, each once with all its names. */
export const ociManifests = async (archive: Archive): Promise<FoundManifest[]> => {
  const index = parseIndex(await archive.read("index.json", "the archive"), "index.json")
  const found = new Map<string, FoundManifest>()
  const platform = hostPlatform()
  const entries = index.manifests.filter((descriptor) => !isAttestation(descriptor))
  // One unnamed image for many platforms may stand in index.json itself.
  const alone =
    entries.every((entry) => entry.platform !== undefined) && new Set(entries.flatMap(nameOf)).size === 0
  const chosen = alone ? manifestsFor(index, platform).slice(0, 1) : entries
  if (entries.length > 0 && chosen.length === 0)
    throw failure(
      "not-found",
      `no matching manifest for ${formatPlatform(platform)} in the archive's index.json`,
    )
  for (const entry of chosen) {
    const manifest = await follow(archive, entry, platform, 0)
    const before = found.get(manifest.digest)
    found.set(manifest.digest, { ...manifest, names: [...(before?.names ?? []), ...nameOf(entry)] })
  }
  return [...found.values()]
}

/** Verifies all documents of the layout before any layer is stored. */
export const readOciArchive = async (archive: Archive): Promise<ImageSource[]> => {
  if (archive.has("oci-layout")) {
    const layout = parseJsonObject(await archive.read("oci-layout", "the archive"), "oci-layout")
    if (layout.imageLayoutVersion !== "1.0.0")
      throw failure("invalid", "oci-layout has an unknown version; only 1.0.0 is supported")
  }
  const found = await ociManifests(archive)
  for (const { manifest, digest } of found) {
    const what = `the manifest ${digest}`
    const bytes = await readBlob(archive, manifest.config, what)
    checkedConfig(bytes, manifest.layers.length, `the image config ${manifest.config.digest}`)
  }
  const sources: ImageSource[] = []
  for (const { manifest, digest, path, names } of found) {
    const what = `the manifest ${digest}`
    for (const descriptor of [manifest.config, ...manifest.layers]) {
      const stored = await archive.store(blobPath(descriptor.digest), what)
      if (stored.digest !== descriptor.digest || stored.size !== descriptor.size)
        throw failure(
          "invalid",
          `${what} announces ${descriptor.size} bytes with the digest ${descriptor.digest}; the archive holds ${stored.size} bytes with ${stored.digest}`,
        )
    }
    await archive.store(path, "index.json")
    sources.push({
      config: manifest.config.digest,
      manifestDigest: digest,
      layers: manifest.layers.map((layer) => layer.digest),
      names,
      parent: "",
    })
  }
  return sources
}
