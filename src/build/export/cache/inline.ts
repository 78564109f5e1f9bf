// The cache within the image itself: records in the config that point to the image's own layers.

import { failure } from "../../../base/errors.ts"
import { chainIds } from "../../../oci/chain-id.ts"
import type { BuiltImage } from "../../build.ts"
import { flag } from "../attributes.ts"
import type { ExportWork } from "../work.ts"
import { chooseSteps, recordsOf } from "./choose-steps.ts"
import { encodeRecords } from "./format.ts"

/** Asked for by --cache-to type=inline or the build argument BUILDKIT_INLINE_CACHE. */
const wantsInline = ({ options, solved }: Pick<ExportWork, "options" | "solved">): boolean =>
  options.cacheTo.some(({ type }) => type === "inline") ||
  flag(solved.request.buildArgs, "BUILDKIT_INLINE_CACHE", false)

/** The records for this image as JSON; undefined when nobody wants them or there are none. */
export const inlineCacheOf = (
  work: Pick<ExportWork, "options" | "solved" | "steps">,
  image: BuiltImage,
): Uint8Array | undefined => {
  if (!wantsInline(work)) return undefined
  const mode = work.options.cacheTo.find(({ type }) => type === "inline")?.attributes.get("mode")
  if (mode === "max")
    throw failure(
      "invalid",
      "an inline cache has the image's own layers only: leave mode=max out, or export the cache with type=registry",
    )
  const places = new Map(
    chainIds(image.layers.map(({ diffId }) => diffId)).map((chainId, at) => [chainId, at]),
  )
  const steps = chooseSteps(work.steps, [image], "min")
  if (steps.length === 0) return undefined
  return encodeRecords(recordsOf(steps, ({ result }) => places.get(result.chainId)))
}
