// Signatures of manifests as cosign writes them: a payload that names the digest, and its signature in an annotation.
import { createPublicKey, type KeyObject, verify } from "node:crypto"
import { failure } from "../base/errors.ts"
import { isJsonObject, parseJsonObject } from "../base/json-bounded.ts"
import { digestHex } from "./digest.ts"

/** Type of the layer that holds a payload. */
export const simpleSigningType = "application/vnd.dev.cosign.simplesigning.v1+json"
/** Type under which signatures are found as referrers. */
export const signatureArtifactType = "application/vnd.dev.cosign.artifact.sig.v1+json"
/** Annotation of that layer: the signature over the payload's bytes, base64. */
export const signatureAnnotation = "dev.cosignproject.cosign/signature"

/** The tag at which signatures of a manifest lie where there are no referrers. */
export const signatureTag = (digest: string): string => `sha256-${digestHex(digest)}.sig`

/** A PEM public key: ECDSA, RSA or Ed25519. Throws Failure "invalid". */
export const parsePublicKey = (pem: string, what: string): KeyObject => {
  let key: KeyObject
  try {
    key = createPublicKey(pem)
  } catch (cause) {
    throw failure("invalid", `${what} is not a PEM public key`, { cause })
  }
  if (!["ec", "rsa", "ed25519"].includes(key.asymmetricKeyType ?? ""))
    throw failure("invalid", `${what} is a key of type ${key.asymmetricKeyType}: use ECDSA, RSA or Ed25519`)
  return key
}

/** What a payload says it signs. Throws Failure "invalid". */
export const readPayload = (payload: Uint8Array): { digest: string; reference: string } => {
  const { critical } = parseJsonObject(payload, "the signature's payload", 1 << 20)
  const image = isJsonObject(critical) ? critical.image : undefined
  const identity = isJsonObject(critical) ? critical.identity : undefined
  const digest = isJsonObject(image) ? image["docker-manifest-digest"] : undefined
  const reference = isJsonObject(identity) ? identity["docker-reference"] : undefined
  if (typeof digest !== "string") throw failure("invalid", "the signature's payload names no manifest")
  return { digest, reference: typeof reference === "string" ? reference : "" }
}

/** Whether the signature over these very bytes is by one of the keys. */
export const isSignedBy = (payload: Uint8Array, signature: string, keys: readonly KeyObject[]): boolean => {
  const bytes = Buffer.from(signature, "base64")
  return keys.some((key) => {
    try {
      return verify(key.asymmetricKeyType === "ed25519" ? null : "sha256", payload, key, bytes)
    } catch {
      // A signature that this kind of key cannot even read.
      return false
    }
  })
}
