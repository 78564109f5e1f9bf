// From results to documents: config, manifest and, for several platforms or with attestations, an index over them.
import { digestOf } from "../../base/digest-stream.ts"
import { failure } from "../../base/errors.ts"
import { mediaTypes } from "../../oci/media-types.ts"
import { normalisePlatform, type Platform } from "../../oci/platform.ts"
import type { BuiltImage } from "../build.ts"
import { attestationManifest, attestationsFor } from "./attestation.ts"
import { type Annotation, annotationsAt, flag, readAnnotations, readCompression } from "./attributes.ts"
import { inlineCacheOf } from "./cache/inline.ts"
import { configBytes } from "./config-bytes.ts"
import {
  type FindLayer,
  type OutgoingBlob,
  type OutgoingLayer,
  openOutgoingLayers,
} from "./outgoing-layers.ts"
import type { ExportWork } from "./work.ts"

/** As documents have it. */
export interface WrittenDescriptor {
  readonly mediaType: string
  readonly digest: string
  readonly size: number
  readonly annotations?: Readonly<Record<string, string>>
  readonly platform?: Readonly<Record<string, string>>
}

/** A manifest or index, with what a registry must have before it. */
export interface AssembledDocument extends WrittenDescriptor {
  readonly bytes: Uint8Array
  readonly blobs: readonly OutgoingBlob[]
}

export interface AssembledImage {
  readonly image: BuiltImage
  readonly configDigest: string
  readonly layers: readonly OutgoingLayer[]
  readonly manifest: AssembledDocument
}

export interface Assembled {
  readonly root: WrittenDescriptor
  readonly images: readonly AssembledImage[]
  /** What others refer to comes first; the root is the last. */
  readonly documents: readonly AssembledDocument[]
}

async function* from(bytes: Uint8Array, start: number): AsyncGenerator<Uint8Array> {
  yield bytes.subarray(start)
}

export const blobOf = (bytes: Uint8Array, mediaType: string): OutgoingBlob => ({
  digest: digestOf(bytes),
  size: bytes.length,
  mediaType,
  open: (start) => from(bytes, start),
})

export const documentOf = (
  value: { readonly mediaType: string },
  blobs: readonly OutgoingBlob[],
): AssembledDocument => {
  const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, ...value }, undefined, 2))
  return { bytes, blobs, mediaType: value.mediaType, digest: digestOf(bytes), size: bytes.length }
}

const writtenPlatform = (platform: Platform): Record<string, string> => {
  const { os, architecture, variant } = normalisePlatform(platform)
  return { architecture, os, ...(variant === "" ? {} : { variant }) }
}

/** The descriptor alone. */
export const written = (
  { mediaType, digest, size }: WrittenDescriptor,
  rest: Pick<WrittenDescriptor, "annotations" | "platform"> = {},
): WrittenDescriptor => ({ mediaType, digest, size, ...rest })

const unlessEmpty = (annotations: Readonly<Record<string, string>>) =>
  Object.keys(annotations).length === 0 ? {} : { annotations }

interface Settings {
  readonly oci: boolean
  readonly annotations: readonly Annotation[]
}

const assembleImage = async (
  work: ExportWork,
  image: BuiltImage,
  layers: readonly OutgoingLayer[],
  { oci, annotations }: Settings,
): Promise<AssembledImage> => {
  const config = blobOf(
    configBytes(image, work.epoch, inlineCacheOf(work, image)),
    oci ? mediaTypes.ociConfig : mediaTypes.dockerConfig,
  )
  const document = documentOf(
    {
      mediaType: oci ? mediaTypes.ociManifest : mediaTypes.dockerManifest,
      ...{ config: written(config), layers: layers.map((layer) => written(layer)) },
      ...unlessEmpty(annotationsAt(annotations, "manifest", image.platform)),
    },
    [...layers, config],
  )
  const manifest = {
    ...document,
    platform: writtenPlatform(image.platform),
    ...unlessEmpty(annotationsAt(annotations, "manifest-descriptor", image.platform)),
  }
  return { image, configDigest: config.digest, layers, manifest }
}

/** OCI's types where they are wanted, or where Docker's cannot say what must be said. */
const wantsOci = (work: ExportWork, otherwise: boolean, annotations: readonly Annotation[]): boolean =>
  flag(work.attributes, "oci-mediatypes", otherwise) ||
  readCompression(work.attributes).kind === "zstd" ||
  flag(work.attributes, "oci-artifact", false) ||
  annotations.some(({ place }) => place !== "manifest")

/** Compresses what must be and makes all documents; nothing is written but to the content store. */
export const assemble = async (
  work: ExportWork,
  ociByDefault: boolean,
  find?: FindLayer,
): Promise<Assembled> => {
  const { stages, images } = work
  if (images.length === 0) throw failure("internal", "the build has no result that could be exported")
  const annotations = readAnnotations(
    work.attributes,
    images.map(({ platform }) => platform),
  )
  const attested = attestationsFor(work)
  const oci = attested.length > 0 || wantsOci(work, ociByDefault, annotations)
  const outgoing = openOutgoingLayers(work, readCompression(work.attributes), oci, find)
  const layers = await stages.step("exporting layers", async () => {
    const all: OutgoingLayer[][] = []
    for (const image of images) all.push(await outgoing.of(image))
    return all
  })
  const made: AssembledImage[] = []
  for (const [at, image] of images.entries()) {
    const assembled = await assembleImage(work, image, layers[at] ?? [], { oci, annotations })
    await stages.step(`exporting manifest ${assembled.manifest.digest}`, async () => {})
    await stages.step(`exporting config ${assembled.configDigest}`, async () => {})
    made.push(assembled)
  }
  const [only] = made
  const indexAnnotations = annotationsAt(annotations, "index")
  const about = annotationsAt(annotations, "index-descriptor")
  if (made.length === 1 && only !== undefined && attested.length === 0) {
    if (Object.keys(indexAnnotations).length + Object.keys(about).length > 0)
      throw failure("invalid", "index annotations not supported for single platform export")
    const { manifest } = only
    return {
      root: written(manifest, {
        platform: manifest.platform ?? {},
        ...unlessEmpty(manifest.annotations ?? {}),
      }),
      images: made,
      documents: [manifest],
    }
  }
  const proofs: AssembledDocument[] = []
  for (const { image, manifest } of made) {
    const proof = attestationManifest(work, image, manifest, attested)
    if (proof === undefined) continue
    await stages.step(`exporting attestation manifest ${proof.digest}`, async () => {})
    proofs.push(proof)
  }
  const manifests = [...made.map(({ manifest }) => manifest), ...proofs]
  const index = documentOf(
    {
      mediaType: oci ? mediaTypes.ociIndex : mediaTypes.dockerList,
      ...{
        manifests: manifests.map(({ platform, annotations: own, ...document }) =>
          written(document, {
            ...(own === undefined ? {} : { annotations: own }),
            ...(platform === undefined ? {} : { platform }),
          }),
        ),
      },
      ...unlessEmpty(indexAnnotations),
    },
    [],
  )
  await stages.step(`exporting manifest list ${index.digest}`, async () => {})
  return { root: written(index, unlessEmpty(about)), images: made, documents: [...manifests, index] }
}

/** What every export of documents answers. */
export const responseOf = (
  assembled: Assembled,
  names: readonly string[],
): (readonly [key: string, value: string])[] => {
  const single = assembled.documents.length === 1 ? assembled.images[0]?.configDigest : undefined
  return [
    ["containerimage.digest", assembled.root.digest],
    ...(single === undefined ? [] : ([["containerimage.config.digest", single]] as const)),
    ["containerimage.descriptor", Buffer.from(JSON.stringify(assembled.root)).toString("base64")],
    ...(names.length === 0 ? [] : ([["image.name", names.join(",")]] as const)),
  ]
}
