// Referrers: what points at a manifest. Asked of the API, else read from the tag "sha256-<hex>" that stands in for it.
import { errorKind } from "../base/errors.ts"
import type { Descriptor } from "../oci/descriptor.ts"
import { digestHex } from "../oci/digest.ts"
import { type Index, parseIndex } from "../oci/index.ts"
import { isIndexType, mediaTypes } from "../oci/media-types.ts"
import { getDocument, largestDocument, type Place, readSmall, stepAt } from "./documents.ts"

const none: Index = { kind: "index", mediaType: mediaTypes.ociIndex, manifests: [], annotations: {} }

/** The tag under which a registry without the API keeps the list. */
export const referrersTag = (digest: string): string => `sha256-${digestHex(digest)}`

const ofType = (index: Index, artifactType: string | undefined): Index =>
  artifactType === undefined
    ? index
    : { ...index, manifests: index.manifests.filter((entry) => entry.artifactType === artifactType) }

export const getReferrers = async (
  place: Place,
  digest: string,
  artifactType?: string,
  signal?: AbortSignal,
): Promise<Index> => {
  const step = stepAt(place, `list what refers to ${digest} in`)
  const query = artifactType === undefined ? "" : `?${new URLSearchParams({ artifactType })}`
  const answer = await place.session.ask({
    method: "GET",
    path: `/v2/${place.path}/referrers/${digest}${query}`,
    headers: { Accept: mediaTypes.ociIndex },
    scopes: place.scopes,
    step,
    accept: [200, 400, 404, 405, 501],
    signal,
  })
  const type = String(answer.headers["content-type"] ?? "").split(";", 1)[0]
  if (answer.status === 200 && isIndexType(type ?? "")) {
    const bytes = await readSmall(answer, largestDocument, step)
    return ofType(parseIndex(bytes, `the list of what refers to ${digest}`), artifactType)
  }
  answer.discard()
  try {
    const { bytes, mediaType } = await getDocument(place, referrersTag(digest), signal)
    if (!isIndexType(mediaType)) return none
    return ofType(parseIndex(bytes, `the list of what refers to ${digest}`), artifactType)
  } catch (error) {
    if (errorKind(error) === "not-found") return none
    throw error
  }
}

/** The list with one more entry, as bytes for the tag that stands in for the API. */
export const withReferrer = (index: Index, entry: Descriptor): Uint8Array => {
  const { platform: _, ...plain } = entry
  return Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: mediaTypes.ociIndex,
      manifests: [...index.manifests.filter(({ digest }) => digest !== entry.digest), plain],
    }),
  )
}
