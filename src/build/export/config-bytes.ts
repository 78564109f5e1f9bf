// The config blob of a built image: times no later than SOURCE_DATE_EPOCH, the cache in it when that is inline.
import { type ConfigDocument, encodeConfigDocument, type HistoryStep } from "../../oci/config.ts"
import type { BuiltImage } from "../build.ts"

/** The field of a config in which BuildKit and this engine keep an inline cache. */
export const inlineCacheField = "moby.buildkit.cache.v0"

const clamped = (time: number, epoch: number): number => Math.min(time, epoch * 1000)

/** Steps of the base image keep their times. */
const clampHistory = (image: BuiltImage, epoch: number): HistoryStep[] =>
  image.config.history.map((step, at) =>
    at < image.baseHistory ? step : { ...step, created: clamped(step.created, epoch) },
  )

/** The config as it is exported. `epoch` in seconds. */
export const exportedConfig = (
  image: BuiltImage,
  epoch: number | undefined,
): Omit<ConfigDocument, "document"> =>
  epoch === undefined
    ? image.config
    : {
        ...image.config,
        created: clamped(image.config.created, epoch),
        history: clampHistory(image, epoch),
      }

/** The blob's bytes: the same for the same image. `inlineCache`: records as JSON. */
export const configBytes = (
  image: BuiltImage,
  epoch: number | undefined,
  inlineCache?: Uint8Array,
): Uint8Array => {
  const bytes = encodeConfigDocument(exportedConfig(image, epoch))
  if (inlineCache === undefined) return bytes
  const document = JSON.parse(Buffer.from(bytes).toString("utf8")) as Record<string, unknown>
  return Buffer.from(
    JSON.stringify({ ...document, [inlineCacheField]: Buffer.from(inlineCache).toString("base64") }),
  )
}
