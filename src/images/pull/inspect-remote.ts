// What a registry has under a name, without pulling it: the descriptor and its platforms.
import { failure } from "../../base/errors.ts"
import { parseConfigDocument } from "../../oci/config.ts"
import type { Descriptor } from "../../oci/descriptor.ts"
import { isAttestation, parseIndex } from "../../oci/index.ts"
import { parseManifest } from "../../oci/manifest.ts"
import { isIndexType } from "../../oci/media-types.ts"
import type { Platform } from "../../oci/platform.ts"
import { familiarReference, parseReference, withDefaultTag } from "../../oci/reference.ts"
import type { Credentials, Registries } from "../../registry-client/registry-client.ts"

export interface RemoteImage {
  readonly descriptor: Descriptor
  readonly platforms: readonly Platform[]
}

const largestConfig = 4 << 20

export const inspectRemote = async (
  registries: Registries,
  text: string,
  credentials: Credentials | undefined,
  signal?: AbortSignal,
): Promise<RemoteImage> => {
  const reference = withDefaultTag(parseReference(text))
  const name = familiarReference(reference)
  const remote = registries.repository(reference, { actions: "pull", credentials })
  const { bytes, mediaType, digest } = await remote.document(reference.digest ?? reference.tag ?? "", signal)
  const descriptor = { mediaType, digest, size: bytes.length, annotations: {} }
  if (isIndexType(mediaType)) {
    const index = parseIndex(bytes, `the index of ${name}`)
    const platforms = index.manifests
      .filter((entry) => !isAttestation(entry))
      .flatMap(({ platform }) => (platform === undefined ? [] : [platform]))
    return { descriptor, platforms }
  }
  const { config } = parseManifest(bytes, `the manifest of ${name}`)
  if (config.size > largestConfig)
    throw failure(
      "invalid",
      `the config of ${name} has ${config.size} bytes; at most ${largestConfig} are accepted`,
    )
  const parts: Uint8Array[] = []
  for await (const chunk of remote.blob(config, 0, signal)) parts.push(chunk)
  const { os, architecture, variant } = parseConfigDocument(Buffer.concat(parts), `the config of ${name}`)
  return { descriptor, platforms: [{ os, architecture, variant }] }
}
