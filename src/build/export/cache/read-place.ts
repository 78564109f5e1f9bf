// Where imported cache is read: a registry's repository or a client's directory. Every document is proven by its digest.
import { digestOf } from "../../../base/digest-stream.ts"
import { failure } from "../../../base/errors.ts"
import type { Descriptor } from "../../../oci/descriptor.ts"
import { isDigest } from "../../../oci/digest.ts"
import { parseReference, withDefaultTag } from "../../../oci/reference.ts"
import type { BuildRequest, CacheLocation } from "../../build.ts"
import { flag } from "../attributes.ts"
import { registriesFor } from "../registries.ts"
import type { ExportRooms } from "../work.ts"
import { largestCacheConfig } from "./format.ts"

export interface ReadPlace {
  /** For messages: the reference, or the directory. */
  readonly name: string
  root(): Promise<Uint8Array>
  /** A manifest. */
  document(descriptor: Descriptor): Promise<Uint8Array>
  /** A blob in memory; of at most 32 MiB. */
  small(descriptor: Descriptor): Promise<Uint8Array>
  blob(descriptor: Descriptor, signal: AbortSignal): AsyncIterable<Uint8Array>
}

/** Whole, bounded and proven. Throws "invalid". */
const gathered = async (
  bytes: AsyncIterable<Uint8Array>,
  digest: string,
  what: string,
): Promise<Uint8Array> => {
  const parts: Uint8Array[] = []
  let size = 0
  for await (const chunk of bytes) {
    size += chunk.length
    if (size > largestCacheConfig)
      throw failure(
        "invalid",
        `${what} is larger than ${largestCacheConfig} bytes: it is no cache's document`,
      )
    parts.push(chunk)
  }
  const whole = Buffer.concat(parts, size)
  if (digestOf(whole) !== digest)
    throw failure("invalid", `${what} has the digest ${digestOf(whole)}, but ${digest} was asked for`)
  return whole
}

const registryPlace = async (
  rooms: ExportRooms,
  { attributes }: CacheLocation,
  credentials: BuildRequest["credentials"],
  signal: AbortSignal,
): Promise<ReadPlace> => {
  const reference = attributes.get("ref") ?? ""
  if (reference === "") throw failure("invalid", "registry cache importer requires ref")
  const from = withDefaultTag(parseReference(reference))
  const registries = registriesFor(rooms, from.domain, flag(attributes, "registry.insecure", false))
  const remote = registries.repository(from, {
    actions: "pull",
    credentials: await credentials(from.domain, signal),
  })
  return {
    name: reference,
    root: async () => (await remote.document(from.digest ?? from.tag ?? "latest", signal)).bytes,
    document: async ({ digest }) => (await remote.document(digest, signal)).bytes,
    small: (descriptor) =>
      gathered(
        remote.blob(descriptor, 0, signal),
        descriptor.digest,
        `the blob ${descriptor.digest} of ${reference}`,
      ),
    blob: (descriptor, stopped) => remote.blob(descriptor, 0, stopped),
  }
}

const directoryPlace = ({ attributes, directory }: CacheLocation, signal: AbortSignal): ReadPlace => {
  const name = attributes.get("src") ?? ""
  if (name === "") throw failure("invalid", "local cache importer requires src")
  const digest = attributes.get("digest") ?? ""
  if (!isDigest(digest)) throw failure("invalid", "local cache importer requires explicit digest")
  if (directory === undefined)
    throw failure(
      "not-implemented",
      "a local cache is read by the client that holds its directory, and this one offers none: use buildx or sloop build, or type=registry",
    )
  const read = (wanted: string) =>
    gathered(directory.read(wanted, signal), wanted, `the blob ${wanted} of ${name}`)
  return {
    name,
    root: () => read(digest),
    document: (descriptor) => read(descriptor.digest),
    small: (descriptor) => read(descriptor.digest),
    blob: (descriptor, stopped) => directory.read(descriptor.digest, stopped),
  }
}

/** Throws "invalid" for attributes that are missing or wrong. */
export const openReadPlace = async (
  rooms: ExportRooms,
  location: CacheLocation,
  credentials: BuildRequest["credentials"],
  signal: AbortSignal,
): Promise<ReadPlace> =>
  location.type === "local"
    ? directoryPlace(location, signal)
    : registryPlace(rooms, location, credentials, signal)
