// Finds a manifest's signatures at its registry and proves one of them.
import type { KeyObject } from "node:crypto"
import { digestOf } from "../../base/digest-stream.ts"
import { errorKind, failure } from "../../base/errors.ts"
import { parseJsonObject } from "../../base/json-bounded.ts"
import { type Descriptor, parseDescriptor } from "../../oci/descriptor.ts"
import { type Reference, repositoryOf } from "../../oci/reference.ts"
import {
  isSignedBy,
  readPayload,
  signatureAnnotation,
  signatureArtifactType,
  signatureTag,
  simpleSigningType,
} from "../../oci/signature.ts"
import type { RemoteDocument, RemoteRepository } from "../../registry-client/registry-client.ts"
import type { Policy } from "./policy.ts"

/** More than anybody needs, and few enough to be read. */
const mostSignatures = 32
const largestPayload = 1 << 20

const isAbsent = (error: unknown): undefined => {
  if (errorKind(error) === "not-found") return undefined
  throw error
}

/** Manifests that hold signatures of a digest: referrers, and the tag that stood in for them. */
async function* signatureManifests(
  remote: RemoteRepository,
  digest: string,
  signal?: AbortSignal,
): AsyncGenerator<RemoteDocument> {
  const tagged = await remote.document(signatureTag(digest), signal).catch(isAbsent)
  if (tagged !== undefined) yield tagged
  const { manifests } = await remote.referrers(digest, undefined, signal)
  for (const entry of manifests.slice(0, mostSignatures)) {
    if (entry.artifactType !== undefined && entry.artifactType !== signatureArtifactType) continue
    const document = await remote.document(entry.digest, signal).catch(isAbsent)
    if (document !== undefined) yield document
  }
}

const signaturesIn = (document: RemoteDocument): Descriptor[] => {
  const { layers } = parseJsonObject(document.bytes, "a manifest of signatures")
  if (!Array.isArray(layers)) return []
  return layers
    .slice(0, mostSignatures)
    .map((layer) => parseDescriptor(layer, "a signature"))
    .filter(
      ({ mediaType, size, annotations }) =>
        mediaType === simpleSigningType &&
        size <= largestPayload &&
        annotations[signatureAnnotation] !== undefined,
    )
}

const readSmall = async (
  remote: RemoteRepository,
  blob: Descriptor,
  signal?: AbortSignal,
): Promise<Buffer> => {
  const chunks: Uint8Array[] = []
  for await (const chunk of remote.blob(blob, 0, signal)) chunks.push(chunk)
  return Buffer.concat(chunks)
}

/** How many signatures were found, and the reference that a proven one was made for; undefined when none is proven. */
export const findProof = async (
  remote: RemoteRepository,
  digest: string,
  keys: readonly KeyObject[],
  signal?: AbortSignal,
): Promise<{ found: number; proven?: { reference: string } }> => {
  let found = 0
  for await (const document of signatureManifests(remote, digest, signal)) {
    for (const layer of signaturesIn(document)) {
      found++
      const payload = await readSmall(remote, layer, signal)
      const signature = layer.annotations[signatureAnnotation] ?? ""
      if (digestOf(payload) !== layer.digest || !isSignedBy(payload, signature, keys)) continue
      const said = readPayload(payload)
      // A true signature of another image proves nothing here.
      if (said.digest === digest) return { found, proven: { reference: said.reference } }
    }
  }
  return { found }
}

/** Throws forbidden unless the policy lets the manifest in. `digests` are the manifest's and that of the index it came from. */
export const requireTrust = async (
  policy: Policy,
  remote: RemoteRepository,
  reference: Reference,
  digests: readonly string[],
  signal?: AbortSignal,
): Promise<void> => {
  const demand = policy.demandFor(repositoryOf(reference))
  if (demand.kind === "accept") return
  if (demand.kind === "reject")
    throw failure("forbidden", `the image policy does not accept images of ${remote.name}`)
  let found = 0
  for (const digest of new Set(digests)) {
    const proof = await findProof(remote, digest, demand.keys, signal)
    if (proof.proven !== undefined) return
    found += proof.found
  }
  const reason =
    found === 0
      ? "it has no signature"
      : `none of its ${found} signatures is by ${demand.keyFiles.join(" or ")}`
  throw failure(
    "forbidden",
    `the image policy asks for a signature of ${remote.name}@${digests[0]}, but ${reason}`,
  )
}
