// What can be refused of exports before anything is built: a build of ten minutes must not end in a misspelt attribute.
import { failure } from "../../base/errors.ts"
import type { ExportOptions, ExportRequest } from "../build.ts"
import { checkAttestations } from "./attestation.ts"
import { flag, readCompression, readNames } from "./attributes.ts"
import { cacheFormOf, cacheModeOf, checkCacheType } from "./cache/form.ts"

/** Progress names of exports, as BuildKit has them; but a local image is there already, and only its document is written. */
export const exportNames = {
  image: "writing image",
  moby: "writing image",
  registry: "exporting to image",
  oci: "exporting to oci image format",
  docker: "exporting to docker image format",
  local: "exporting to client directory",
  tar: "exporting to client tarball",
} as const

export type ExportType = keyof typeof exportNames

/** The type of an export; undefined for those that export nothing. Throws "invalid" for unknown ones. */
export const exportTypeOf = ({ type }: Pick<ExportRequest, "type">): ExportType | undefined => {
  if (type === "cacheonly" || type === "") return undefined
  if (Object.hasOwn(exportNames, type)) return type as ExportType
  throw failure(
    "invalid",
    `exporter "${type}" could not be found: use image, registry, oci, docker, tar, local or cacheonly`,
  )
}

/** Throws "invalid" for an export that has nowhere to go. */
export const destinationOf = <T extends "write" | "writeTree">(
  request: ExportRequest,
  way: T,
): NonNullable<ExportRequest[T]> => {
  const write = request[way]
  if (write === undefined)
    throw failure(
      "invalid",
      way === "write"
        ? `dest file is required for ${request.type} exporter: add dest=FILE, or dest=- for standard output`
        : `dest directory is required for ${request.type} exporter: add dest=DIRECTORY`,
    )
  return write
}

const checkExport = (request: ExportRequest): void => {
  const { attributes } = request
  const type = exportTypeOf(request)
  if (type === undefined) return
  if (type === "tar") destinationOf(request, "write")
  if (type === "local") destinationOf(request, "writeTree")
  if (type === "oci" || type === "docker")
    destinationOf(request, flag(attributes, "tar", true) ? "write" : "writeTree")
  if (type === "tar" || type === "local") return
  readCompression(attributes)
  for (const key of ["push", "push-by-digest", "oci-mediatypes", "rewrite-timestamp", "store"])
    flag(attributes, key, false)
  if (type !== "registry" && !flag(attributes, "push", false)) readNames(attributes)
}

/** Throws what the exports would throw whatever is built. */
export const checkExports = ({
  exports,
  cacheTo,
  attestations,
}: Pick<ExportOptions, "exports" | "cacheTo" | "attestations">): void => {
  for (const request of exports) checkExport(request)
  for (const { type, attributes } of cacheTo) {
    checkCacheType(type, "export")
    if (type === "inline") continue
    cacheFormOf(attributes)
    cacheModeOf(attributes)
    readCompression(attributes)
  }
  checkAttestations(attestations)
}
