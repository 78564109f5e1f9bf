// pull: a reference at a registry becomes an image. Layers come at once and are unpacked while they come, lowest first;
// the name is written last.
import { crashPoint } from "../../base/crash-point.ts"
import { failure } from "../../base/errors.ts"
import { chainIdOf, chainIds } from "../../oci/chain-id.ts"
import { type ConfigDocument, parseConfigDocument } from "../../oci/config.ts"
import type { Descriptor } from "../../oci/descriptor.ts"
import {
  formatPlatform,
  hostPlatform,
  normalisePlatform,
  type Platform,
  parsePlatform,
  platformScore,
} from "../../oci/platform.ts"
import {
  familiarName,
  familiarReference,
  parseReference,
  type Reference,
  withDefaultTag,
} from "../../oci/reference.ts"
import type { RemoteRepository } from "../../registry-client/registry-client.ts"
import type { ImageRecord } from "../../state/state.ts"
import { announceTravel } from "../announce.ts"
import type { ImageProgress, PullRequest } from "../images.ts"
import { requireTrust } from "../trust/signatures.ts"
import { during, type PullParts, pullLayers } from "./pull-layers.ts"
import { type ResolvedManifest, resolveManifest } from "./resolve.ts"

type Report = (progress: ImageProgress) => void

const largestConfig = 4 << 20

/** A small blob of the registry, in the content store when this returns. */
const fetchSmall = async (
  parts: PullParts,
  remote: RemoteRepository,
  blob: Descriptor,
  suspect: (blob: string) => void,
  signal?: AbortSignal,
): Promise<Uint8Array> => {
  if (blob.size > largestConfig)
    throw failure(
      "invalid",
      `cannot pull from ${remote.name}: its config ${blob.digest} has ${blob.size} bytes; at most ${largestConfig} are accepted`,
    )
  suspect(blob.digest)
  try {
    if (!parts.content.has(blob.digest))
      await parts.content.ingest(
        remote.blob(blob, 0, signal),
        { digest: blob.digest, size: blob.size },
        signal,
      )
  } catch (error) {
    throw during(error, `cannot fetch the config ${blob.digest} of ${remote.name}`)
  }
  return parts.content.read(blob.digest)
}

/** Reads a config and refuses what this engine cannot run. */
const suitableConfig = (
  bytes: Uint8Array,
  resolved: ResolvedManifest,
  name: string,
  wanted: Platform | undefined,
): ConfigDocument => {
  const { manifest, chosen } = resolved
  const document = parseConfigDocument(bytes, `the config ${manifest.config.digest} of ${name}`)
  if (document.os !== "" && document.os !== "linux")
    throw failure(
      "invalid",
      `cannot pull ${name}: image operating system "${document.os}" cannot be used on this platform`,
    )
  if (document.diffIds.length !== manifest.layers.length)
    throw failure(
      "invalid",
      `cannot pull ${name}: layers from manifest don't match image configuration (${manifest.layers.length} and ${document.diffIds.length})`,
    )
  const actual = {
    os: document.os || "linux",
    architecture: document.architecture,
    variant: document.variant,
  }
  if (wanted !== undefined && !chosen && platformScore(wanted, actual) === 0)
    throw failure(
      "not-found",
      `image with reference ${name} was found but does not match the specified platform: wanted ${formatPlatform(wanted)}, actual: ${formatPlatform(actual)}`,
    )
  return document
}

/** The image that is here already, when it still is what the registry has under this name. */
const findCurrent = async (
  parts: PullParts,
  remote: RemoteRepository,
  reference: Reference,
  platform: Platform,
  signal?: AbortSignal,
): Promise<{ id: string; digest: string } | undefined> => {
  const id = parts.catalog.idOf(reference)
  const record = id === undefined ? undefined : parts.state.images.find(id)
  if (id === undefined || record === undefined) return undefined
  const image = await parts.catalog.load(id).catch(() => undefined)
  // A lower variant may have been the choice for another wish.
  if (image === undefined || formatPlatform(normalisePlatform(image)) !== formatPlatform(platform))
    return undefined
  if (record.chainId !== "" && !parts.snapshots.has(record.chainId)) return undefined
  const found = await remote.look(reference.digest ?? reference.tag ?? "", signal)
  if (found === undefined) return undefined
  const named = parts.catalog.idOf({ domain: reference.domain, path: reference.path, digest: found.digest })
  return named === id ? { id, digest: found.digest } : undefined
}

/** One reference. Gives the image's id and whether anything new came. */
const pullOne = (
  parts: PullParts,
  remote: RemoteRepository,
  reference: Reference,
  wanted: Platform | undefined,
  report: Report,
  signal?: AbortSignal,
): Promise<{ id: string; changed: boolean }> =>
  parts.garbage.lease(async ({ suspect, keep }) => {
    const { content, catalog, state } = parts
    const name = familiarReference(reference)
    const platform = wanted ?? hostPlatform()
    const begin = () =>
      report({ id: reference.digest ?? reference.tag ?? "", status: `Pulling from ${reference.path}` })
    const current = await findCurrent(parts, remote, reference, platform, signal)
    if (current !== undefined) {
      await requireTrust(parts.policy, remote, reference, [current.digest], signal)
      begin()
      report({ status: `Digest: ${current.digest}` })
      return { id: current.id, changed: false }
    }
    const resolved = await resolveManifest(remote, reference, platform, signal)
    const { manifest, document, digest } = resolved
    await requireTrust(parts.policy, remote, reference, [digest, document.digest], signal)
    const config = suitableConfig(
      await fetchSmall(parts, remote, manifest.config, suspect, signal),
      resolved,
      name,
      wanted,
    )
    begin()
    suspect(document.digest)
    // Before anything is looked at, so that what is found stays.
    keep(chainIds(config.diffIds))
    for (const layer of manifest.layers) suspect(layer.digest)
    async function* bytes() {
      yield document.bytes
    }
    await content.ingest(bytes(), { digest: document.digest }, signal)
    const layers = await pullLayers(
      parts,
      remote,
      { layers: manifest.layers, diffIds: config.diffIds },
      report,
      signal,
    )
    signal?.throwIfAborted()
    crashPoint("pull:committed")
    await Promise.all([content.sync(), parts.snapshots.persist(chainIdOf(config.diffIds))])
    crashPoint("pull:synced")
    const id = manifest.config.digest
    const before = state.images.find(id)
    const record: ImageRecord = {
      id,
      manifestDigest: document.digest,
      createdAt: config.created,
      size: layers.reduce((sum, layer) => sum + layer.size, 0),
      chainId: chainIdOf(config.diffIds),
      layers,
      addedAt: before?.addedAt ?? Date.now(),
      parent: before?.parent ?? "",
    }
    // The same image in other blobs: those it had before may be nobody's now.
    for (const { blob } of before?.layers ?? []) suspect(blob)
    if (before !== undefined && before.manifestDigest !== "") suspect(before.manifestDigest)
    const { domain, path } = reference
    const names =
      reference.digest === undefined ? [reference, { domain, path, digest }] : [{ domain, path, digest }]
    const changed = names.some((given) => catalog.idOf(given) !== id)
    catalog.put([{ record, names }])
    crashPoint("pull:named")
    report({ status: `Digest: ${digest}` })
    return { id, changed }
  })

/** As Images.pull. */
export const pullImages = async (
  parts: PullParts,
  request: PullRequest,
  report: Report,
  signal?: AbortSignal,
): Promise<string[]> => {
  const given = parseReference(request.reference)
  const all = request.all === true && given.tag === undefined && given.digest === undefined
  const platform = request.platform ? parsePlatform(request.platform) : undefined
  if (platform !== undefined && platform.os !== "linux")
    throw failure(
      "invalid",
      `cannot pull for ${formatPlatform(platform)}: operating system "${platform.os}" is not supported`,
    )
  const remote = parts.registries.repository(given, { actions: "pull", credentials: request.credentials })
  const references = all
    ? (await remote.tags(signal)).map((tag): Reference => ({ domain: given.domain, path: given.path, tag }))
    : [withDefaultTag(given)]
  if (references.length === 0)
    throw failure("not-found", `repository ${familiarName(given)} not found: it has no tags`)
  const ids = new Set<string>()
  let changed = false
  for (const reference of references) {
    const pulled = await pullOne(parts, remote, reference, platform, report, signal)
    changed ||= pulled.changed
    ids.add(pulled.id)
    await announceTravel(parts.events, parts.catalog, "pull", pulled.id, {
      reference: familiarReference(reference),
      repository: familiarName(reference),
    })
  }
  const shown = all ? familiarName(given) : familiarReference(withDefaultTag(given))
  report({
    status: changed
      ? `Status: Downloaded newer image for ${shown}`
      : `Status: Image is up to date for ${shown}`,
  })
  return [...ids]
}
