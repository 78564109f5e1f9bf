// The default export: the layers are in the engine's store already, so that a config, a record and names are all there is to write.
import { failure } from "../../base/errors.ts"
import { formatPlatform } from "../../oci/platform.ts"
import type { BuiltImage } from "../build.ts"
import { attestationsFor } from "./attestation.ts"
import { readNames } from "./attributes.ts"
import { inlineCacheOf } from "./cache/inline.ts"
import { configBytes, exportedConfig } from "./config-bytes.ts"
import type { OutgoingLayer } from "./outgoing-layers.ts"
import type { Exported, ExportWork } from "./work.ts"

/** Throws not-implemented for results of several platforms: the store keeps an image for one. */
const onlyImage = (work: ExportWork): BuiltImage => {
  const [image, ...others] = work.images
  if (image === undefined) throw failure("internal", "the build has no result that could be exported")
  if (others.length > 0)
    throw failure(
      "not-implemented",
      `the local store keeps an image for one platform, and this build made ${work.images.map((one) => formatPlatform(one.platform)).join(", ")}: build for one platform, push it with --push, or write an archive with --output type=oci,dest=FILE`,
    )
  return image
}

/** Layers that were compressed in this engine's own way are known by that from now on: a push has nothing to do. */
const asPushed = (image: BuiltImage, outgoing: readonly OutgoingLayer[]): BuiltImage["layers"] =>
  image.layers.map((layer, at) => {
    const { digest, recipe } = outgoing[at] ?? {}
    return digest === undefined || recipe === undefined ? layer : { ...layer, blob: digest, recipe }
  })

/** Stores the image under its names; `outgoing` are its layers as they are pushed. */
export const exportLocalImage = async (
  work: ExportWork,
  outgoing: readonly OutgoingLayer[] = [],
): Promise<Exported> => {
  const image = onlyImage(work)
  const { familiar, full } = readNames(work.attributes)
  const { rooms, stages, solved } = work
  // The store keeps no attestations, as Docker's does not; what cannot be made at all is refused even so.
  attestationsFor(work)
  const document = configBytes(image, work.epoch, inlineCacheOf(work, image))
  const imageId = await rooms.images.register({
    config: exportedConfig(image, work.epoch),
    document,
    layers: asPushed(image, outgoing),
    chainId: image.chainId,
    parent: solved.request.face === "classic" ? image.base : "",
    names: full,
  })
  await stages.step(`writing image ${imageId}`, async () => {})
  for (const name of full) await stages.step(`naming to ${name}`, async () => {})
  return {
    imageId,
    response: [
      ["containerimage.digest", imageId],
      ["containerimage.config.digest", imageId],
      ...(familiar.length === 0 ? [] : ([["image.name", full.join(",")]] as const)),
    ],
  }
}
