// Attestations beside an image: in-toto statements in a manifest of their own, which the index marks as belonging to it.
import { failure } from "../../base/errors.ts"
import { mediaTypes } from "../../oci/media-types.ts"
import { formatPlatform } from "../../oci/platform.ts"
import type { BuiltImage, ExportOptions } from "../build.ts"
import { type AssembledDocument, blobOf, documentOf, type WrittenDescriptor, written } from "./assemble.ts"
import { type Attributes, flag } from "./attributes.ts"
import { packageUrl } from "./package-url.ts"
import { provenanceOf, readProvenance } from "./provenance.ts"
import type { ExportWork } from "./work.ts"

/** An attestation that this export carries. */
export interface Attestation {
  readonly type: "provenance"
  readonly attributes: Attributes
}

const statementType = "application/vnd.in-toto+json"

/** Those that are wanted at all. Throws not-implemented for SBOMs, "invalid" for what is wrong. */
export const checkAttestations = (asked: ExportOptions["attestations"]): Attestation[] => {
  const found: Attestation[] = []
  for (const [type, attributes] of asked) {
    if (flag(attributes, "disabled", false)) continue
    if (type === "sbom")
      throw failure(
        "not-implemented",
        "this engine makes no SBOM: leave --sbom out, and scan the finished image with a tool of your choice",
      )
    if (type !== "provenance")
      throw failure("invalid", `unknown attestation type "${type}": provenance is supported`)
    readProvenance(attributes)
    found.push({ type, attributes })
  }
  return found
}

/** Those that this export carries: `inline-only` ones go only where images are pushed, as BuildKit has it. */
export const attestationsFor = (work: ExportWork): Attestation[] => {
  const inline = flag(
    work.attributes,
    "attestation-inline",
    /^(image|moby|registry)$/.test(work.request.type),
  )
  return checkAttestations(work.options.attestations).filter(
    ({ attributes }) => inline || !flag(attributes, "inline-only", false),
  )
}

/** The manifest with an image's statements; undefined when there are none. */
export const attestationManifest = (
  work: ExportWork,
  image: BuiltImage,
  subject: WrittenDescriptor,
  attestations: readonly Attestation[],
): AssembledDocument | undefined => {
  if (attestations.length === 0) return undefined
  const names = (work.attributes.get("name") ?? "").split(",").filter((name) => name !== "")
  const [, hex = ""] = subject.digest.split(":")
  const statements = attestations.map(({ attributes }) => {
    const { predicateType, predicate } = provenanceOf(work.solved, image, attributes)
    const statement = {
      _type: "https://in-toto.io/Statement/v0.1",
      predicateType,
      subject: names.map((name) => ({
        name: packageUrl(name, formatPlatform(image.platform)),
        digest: { sha256: hex },
      })),
      predicate,
    }
    const blob = blobOf(Buffer.from(JSON.stringify(statement)), statementType)
    return { blob, predicateType }
  })
  const artifact = flag(work.attributes, "oci-artifact", false)
  const config = artifact
    ? blobOf(Buffer.from("{}"), mediaTypes.ociEmpty)
    : blobOf(
        Buffer.from(
          JSON.stringify({
            ...{ architecture: "unknown", os: "unknown", config: {} },
            rootfs: { type: "layers", diff_ids: statements.map(({ blob }) => blob.digest) },
          }),
        ),
        mediaTypes.ociConfig,
      )
  const document = documentOf(
    {
      mediaType: mediaTypes.ociManifest,
      ...(artifact ? { artifactType: "application/vnd.docker.attestation.manifest.v1+json" } : {}),
      ...{
        config: written(config),
        layers: statements.map(({ blob, predicateType }) =>
          written(blob, { annotations: { "in-toto.io/predicate-type": predicateType } }),
        ),
      },
      ...(artifact ? { subject: written(subject) } : {}),
    },
    [...statements.map(({ blob }) => blob), config],
  )
  return {
    ...document,
    platform: { architecture: "unknown", os: "unknown" },
    annotations: {
      "vnd.docker.reference.digest": subject.digest,
      "vnd.docker.reference.type": "attestation-manifest",
    },
  }
}
