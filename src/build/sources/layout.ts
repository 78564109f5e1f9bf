// OCI layouts that a client holds: read blob by blob, by digest, and taken into the store when a step needs the files.
import { digestOf, verified } from "../../base/digest-stream.ts"
import { failure } from "../../base/errors.ts"
import { parseJsonObject } from "../../base/json-bounded.ts"
import { type TarSource, writeTar } from "../../base/tar-writer.ts"
import type { Images } from "../../images/images.ts"
import { chainIds } from "../../oci/chain-id.ts"
import { parseConfigDocument } from "../../oci/config.ts"
import type { Descriptor } from "../../oci/descriptor.ts"
import { isDigest } from "../../oci/digest.ts"
import { manifestsFor, parseIndex } from "../../oci/index.ts"
import { type Manifest, parseManifest } from "../../oci/manifest.ts"
import { isIndexType } from "../../oci/media-types.ts"
import { formatPlatform, type Platform } from "../../oci/platform.ts"
import type { ContextSource } from "../build.ts"
import type { ResolvedImage } from "../graph/graph.ts"
import type { LayersTree, StepRun } from "../operations/operations.ts"

type Layout = Extract<ContextSource, { type: "layout" }>

/** Manifests, indexes and configs. */
const largestDocument = 4 << 20
const deepestIndex = 4

const readDocument = async (layout: Layout, digest: string, signal: AbortSignal): Promise<Uint8Array> => {
  if (!isDigest(digest))
    throw failure("invalid", `an OCI layout names "${digest}", which is no sha256 digest`)
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of layout.read(digest)) {
    signal.throwIfAborted()
    size += chunk.length
    if (size > largestDocument)
      throw failure(
        "invalid",
        `the document ${digest} of an OCI layout has more than ${largestDocument} bytes`,
      )
    chunks.push(Buffer.from(chunk))
  }
  const bytes = Buffer.concat(chunks)
  if (digestOf(bytes) !== digest)
    throw failure("invalid", `the document ${digest} of an OCI layout is not what its digest says`)
  return bytes
}

interface Found {
  readonly digest: string
  readonly bytes: Uint8Array
  readonly manifest: Manifest
}

const findManifest = async (layout: Layout, platform: Platform, signal: AbortSignal): Promise<Found> => {
  let digest = layout.digest
  for (let depth = 0; depth <= deepestIndex; depth++) {
    const what = `the document ${digest} of an OCI layout`
    const bytes = await readDocument(layout, digest, signal)
    const document = parseJsonObject(bytes, what)
    const type = typeof document.mediaType === "string" ? document.mediaType : ""
    if (!isIndexType(type) && !("manifests" in document))
      return { digest, bytes, manifest: parseManifest(bytes, what) }
    const [descriptor] = manifestsFor(parseIndex(bytes, what), platform)
    if (descriptor === undefined)
      throw failure(
        "not-found",
        `no match for platform in manifest ${digest}: not found (${formatPlatform(platform)})`,
      )
    digest = descriptor.digest
  }
  throw failure("invalid", `the indexes of an OCI layout nest deeper than ${deepestIndex} levels`)
}

/** Config of the image in a layout that suits the platform. */
export const resolveLayout = async (
  images: Images,
  layout: Layout,
  platform: Platform,
  signal: AbortSignal,
): Promise<ResolvedImage> => {
  const { manifest, digest } = await findManifest(layout, platform, signal)
  const bytes = await readDocument(layout, manifest.config.digest, signal)
  const config = parseConfigDocument(bytes, `the config ${manifest.config.digest} of an OCI layout`)
  const here = await images.find(manifest.config.digest)
  return { digest: layout.digest, config, imageId: here?.id ?? "", manifest: digest }
}

const blobOf = (layout: Layout, descriptor: Pick<Descriptor, "digest" | "size">): TarSource => ({
  name: `blobs/sha256/${descriptor.digest.replace("sha256:", "")}`,
  type: "file",
  size: descriptor.size,
  body: verified(
    layout.read(descriptor.digest),
    descriptor,
    `the blob ${descriptor.digest} of an OCI layout`,
  ),
})

/** The layout's one manifest with what it names, as an archive. */
const archiveOf = (layout: Layout, found: Found): TarSource[] => {
  const { bytes, digest, manifest } = found
  const blobs = new Map([manifest.config, ...manifest.layers].map((blob) => [blob.digest, blob]))
  const mediaType = manifest.mediaType || "application/vnd.oci.image.manifest.v1+json"
  const index = { schemaVersion: 2, manifests: [{ mediaType, digest, size: bytes.length }] }
  const text = (name: string, body: Uint8Array): TarSource => ({ name, type: "file", body })
  return [
    text("oci-layout", Buffer.from('{"imageLayoutVersion":"1.0.0"}')),
    text("index.json", Buffer.from(JSON.stringify(index))),
    text(`blobs/sha256/${digest.replace("sha256:", "")}`, bytes),
    ...[...blobs.values()].map((blob) => blobOf(layout, blob)),
  ]
}

/** The layers of a resolved layout; taken into the store when they are not there. */
export const layoutTree = async (
  images: Images,
  layout: Layout,
  resolved: ResolvedImage,
  platform: Platform,
  run: StepRun,
): Promise<LayersTree> => {
  run.hold.keep(chainIds(resolved.config.diffIds))
  const here = resolved.imageId === "" ? undefined : await images.find(resolved.imageId)
  if (here !== undefined) return { kind: "layers", chainId: here.chainId, layers: here.layers }
  const found = await findManifest(layout, platform, run.signal)
  const tar = writeTar(archiveOf(layout, found))
  const [id = ""] = await images.load(tar, () => undefined, run.signal)
  const image = await images.get(id)
  return { kind: "layers", chainId: image.chainId, layers: image.layers }
}
