// An index: manifests by platform, or the images of a layout by name.
import { failure } from "../base/errors.ts"
import { parseJsonObject } from "../base/json-bounded.ts"
import { type Descriptor, parseDescriptor, parseStrings } from "./descriptor.ts"
import { refuseMixed } from "./manifest.ts"
import { type Platform, platformScore } from "./platform.ts"

export interface Index {
  readonly kind: "index"
  readonly mediaType: string
  readonly manifests: readonly Descriptor[]
  readonly annotations: Readonly<Record<string, string>>
}

const mostManifests = 4096

/** `what` names the document in messages. Throws Failure "invalid". */
export const parseIndex = (bytes: Uint8Array, what: string): Index => {
  const document = parseJsonObject(bytes, what)
  const mediaType = refuseMixed(document, "index", what)
  const manifests = document.manifests
  if (!Array.isArray(manifests)) throw failure("invalid", `${what} has no list of manifests`)
  if (manifests.length > mostManifests)
    throw failure(
      "invalid",
      `${what} lists ${manifests.length} manifests; at most ${mostManifests} are accepted`,
    )
  return {
    kind: "index",
    mediaType,
    manifests: manifests.map((entry, at) => parseDescriptor(entry, `manifest ${at + 1} of ${what}`)),
    annotations: parseStrings(document.annotations, `the annotations of ${what}`),
  }
}

/** Whether a descriptor is an attestation, which belongs to an image but is none. */
export const isAttestation = (descriptor: Descriptor): boolean =>
  descriptor.annotations["vnd.docker.reference.type"] !== undefined || descriptor.platform?.os === "unknown"

/** The manifests that suit a platform, best first. One without a platform suits any, but less than all others. */
export const manifestsFor = (index: Index, wanted: Platform): Descriptor[] => {
  const score = (descriptor: Descriptor): number =>
    descriptor.platform === undefined || descriptor.platform.os === ""
      ? 1
      : platformScore(wanted, descriptor.platform)
  return index.manifests
    .filter((descriptor) => !isAttestation(descriptor) && score(descriptor) > 0)
    .toSorted((a, b) => score(b) - score(a))
}
