// What the attributes of a cache say of its form.
import { failure } from "../../../base/errors.ts"
import type { CacheLocation } from "../../build.ts"
import { flag } from "../attributes.ts"

/** How a cache is written. */
export interface CacheForm {
  readonly oci: boolean
  readonly asImage: boolean
}

/** Throws "invalid". */
export const cacheFormOf = (attributes: CacheLocation["attributes"]): CacheForm => {
  const oci = flag(attributes, "oci-mediatypes", true)
  const asImage = flag(attributes, "image-manifest", oci)
  if (asImage && !oci)
    throw failure(
      "invalid",
      "invalid configuration for remote cache, OCI mediatypes are required for image-manifest cache format",
    )
  return { oci, asImage }
}

/** Throws "invalid". */
export const cacheModeOf = (attributes: CacheLocation["attributes"]): "min" | "max" => {
  const mode = attributes.get("mode") || "min"
  if (mode !== "min" && mode !== "max")
    throw failure("invalid", `unsupported cache mode "${mode}": use min or max`)
  return mode
}

/** Throws "not-implemented" for the places that this engine does not write to, "invalid" for unknown ones. */
export const checkCacheType = (type: string, direction: "export" | "import"): void => {
  if (type === "registry" || type === "local" || type === "inline") return
  if (type === "gha" || type === "s3" || type === "azblob")
    throw failure(
      "not-implemented",
      `cache ${direction} of type ${type} is not supported here: use type=registry, local or inline`,
    )
  throw failure("invalid", `unknown cache ${direction} type "${type}": use registry, local or inline`)
}
