// Manifests and indexes by tag or digest: fetched within bounds, their digest checked, their type made certain.
import { digestOf } from "../base/digest-stream.ts"
import { type Failure, failure } from "../base/errors.ts"
import { parseJsonObject } from "../base/json-bounded.ts"
import type { Descriptor } from "../oci/descriptor.ts"
import { isDigest } from "../oci/digest.ts"
import { isIndexType, isManifestType, isSchema1Type, mediaTypes } from "../oci/media-types.ts"
import type { Answer } from "./http.ts"
import { cannot, type Step } from "./refusal.ts"
import type { RemoteDocument } from "./registry-client.ts"
import type { Session } from "./session.ts"

/** As other engines have it. */
export const largestDocument = 4 << 20

const accepted = [
  mediaTypes.ociIndex,
  mediaTypes.ociManifest,
  mediaTypes.dockerList,
  mediaTypes.dockerManifest,
  // Asked for only so that an old image is refused by its name and not as "unknown".
  mediaTypes.dockerSchema1Signed,
].join(", ")

/** One repository at one endpoint. */
export interface Place {
  readonly session: Session
  /** "library/busybox" */
  readonly path: string
  readonly scopes: readonly string[]
  readonly pulls: boolean
  /** "busybox", "registry.example:5000/app" */
  readonly name: string
}

export const stepAt = (place: Place, what: string, reference?: string): Step => ({
  what,
  repository: place.name,
  pulls: place.pulls,
  ...(reference === undefined
    ? {}
    : { reference: `${place.name}${isDigest(reference) ? "@" : ":"}${reference}` }),
})

const documentPath = (place: Place, reference: string): string => `/v2/${place.path}/manifests/${reference}`

const typeOf = (answer: Answer): string =>
  String(answer.headers["content-type"] ?? "")
    .split(";", 1)[0]
    ?.trim()
    .toLowerCase() ?? ""

const isDocumentType = (type: string): boolean => isIndexType(type) || isManifestType(type)

const schema1 = (step: Step): Failure =>
  failure(
    "invalid",
    `${step.reference ?? step.repository} has a manifest of schema version 1, which is not supported: ask its author to push it again with a newer client`,
  )

/** Reads a body that must be small. Throws "invalid" as soon as it is not. */
export const readSmall = async (answer: Answer, most: number, step: Step): Promise<Buffer> => {
  const tooLarge = () => {
    answer.discard()
    return failure(
      "invalid",
      `${cannot(step)}: the registry sends more than ${most} bytes, the most that is accepted`,
    )
  }
  if (Number(answer.headers["content-length"] ?? 0) > most) throw tooLarge()
  const parts: Uint8Array[] = []
  let size = 0
  for await (const chunk of answer.body) {
    size += chunk.length
    if (size > most) throw tooLarge()
    parts.push(chunk)
  }
  return Buffer.concat(parts, size)
}

/** The one type that header and document agree on. Throws "invalid" when they do not, or when it is none of ours. */
const certainType = (header: string, bytes: Uint8Array, step: Step): string => {
  const what = `the manifest of ${step.reference ?? step.repository}`
  const document = parseJsonObject(bytes, what)
  if (isSchema1Type(header) || document.schemaVersion === 1 || "fsLayers" in document) throw schema1(step)
  const said = typeof document.mediaType === "string" ? document.mediaType : ""
  if (isSchema1Type(said)) throw schema1(step)
  const known = isDocumentType(header) ? header : ""
  if (known !== "" && said !== "" && known !== said)
    throw failure("invalid", `${what} is ambiguous: it was sent as "${known}", but says that it is "${said}"`)
  const type = known || said
  if (type === "") return "manifests" in document ? mediaTypes.ociIndex : mediaTypes.ociManifest
  if (!isDocumentType(type)) throw failure("invalid", `${what} has the unsupported type "${type}"`)
  return type
}

export const getDocument = async (
  place: Place,
  reference: string,
  signal?: AbortSignal,
): Promise<RemoteDocument> => {
  const step = stepAt(place, "fetch the manifest of", reference)
  const answer = await place.session.ask({
    method: "GET",
    path: documentPath(place, reference),
    headers: { Accept: accepted },
    scopes: place.scopes,
    step,
    accept: [200],
    signal,
  })
  const bytes = await readSmall(answer, largestDocument, step)
  const digest = digestOf(bytes)
  const told = String(answer.headers["docker-content-digest"] ?? "")
  const wanted = isDigest(reference) ? reference : isDigest(told) ? told : digest
  if (wanted !== digest)
    throw failure(
      "invalid",
      `manifest verification failed for digest ${wanted}: the registry sent other bytes for ${step.reference ?? place.name} (${digest})`,
    )
  return { bytes, digest, mediaType: certainType(typeOf(answer), bytes, step) }
}

/** What a reference names now, by HEAD; undefined when the registry does not say all of it. */
export const lookAt = async (
  place: Place,
  reference: string,
  signal?: AbortSignal,
): Promise<Descriptor | undefined> => {
  const answer = await place.session.ask({
    method: "HEAD",
    path: documentPath(place, reference),
    headers: { Accept: accepted },
    scopes: place.scopes,
    step: stepAt(place, "look at the manifest of", reference),
    accept: [200, 400, 401, 403, 404, 405, 429],
    signal,
  })
  answer.discard()
  const digest = String(answer.headers["docker-content-digest"] ?? "")
  const size = Number(answer.headers["content-length"] ?? Number.NaN)
  // A refusal has no body here: the GET that follows gets its words.
  if (answer.status !== 200 || !isDigest(digest) || !Number.isSafeInteger(size)) return undefined
  return { mediaType: typeOf(answer), digest, size, annotations: {} }
}

export const putDocument = async (
  place: Place,
  reference: string,
  document: { bytes: Uint8Array; mediaType: string },
  signal?: AbortSignal,
): Promise<{ digest: string; listsReferrers: boolean }> => {
  const step = stepAt(place, "store the manifest of", reference)
  async function* open() {
    yield document.bytes
  }
  const answer = await place.session.ask({
    method: "PUT",
    path: documentPath(place, reference),
    headers: { "Content-Type": document.mediaType },
    body: { size: document.bytes.length, open },
    scopes: place.scopes,
    step: { ...step, what: `store the manifest ${reference} in` },
    accept: [200, 201, 202],
    signal,
  })
  answer.discard()
  return { digest: digestOf(document.bytes), listsReferrers: answer.headers["oci-subject"] !== undefined }
}

export const deleteDocument = async (
  place: Place,
  reference: string,
  signal?: AbortSignal,
): Promise<void> => {
  const answer = await place.session.ask({
    method: "DELETE",
    path: documentPath(place, reference),
    scopes: place.scopes,
    step: stepAt(place, "delete the manifest of", reference),
    accept: [200, 202, 204],
    signal,
  })
  answer.discard()
}
