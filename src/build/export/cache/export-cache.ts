// Sends cache elsewhere: the layers of chosen steps, a config that says which keys lead to them, and a manifest over both.
import { errorMessage, failure } from "../../../base/errors.ts"
import { mediaTypes } from "../../../oci/media-types.ts"
import { parseReference, type Reference, withDefaultTag } from "../../../oci/reference.ts"
import type { CacheLocation } from "../../build.ts"
import { type AssembledDocument, blobOf, documentOf, type WrittenDescriptor, written } from "../assemble.ts"
import { flag, readCompression } from "../attributes.ts"
import { type OutgoingBlob, type OutgoingLayer, openOutgoingLayers } from "../outgoing-layers.ts"
import { registriesFor } from "../registries.ts"
import { sendBlob, sendBlobs } from "../registry.ts"
import { remoteLayer } from "../remote-layers.ts"
import type { Stages } from "../stages.ts"
import type { Exported, ExportWork } from "../work.ts"
import { chooseSteps, type ForestLayer, forestOf, recordsOf } from "./choose-steps.ts"
import { type CacheForm, cacheFormOf, cacheModeOf } from "./form.ts"
import { cacheConfigType, createdKey, descriptionKey, encodeCacheConfig, uncompressedKey } from "./format.ts"
import { packMounts } from "./mounts.ts"

/** What is exported and how, without the --output that it has none of. */
export type CacheWork = Omit<ExportWork, "request">

/** Where a cache goes. */
interface Place {
  readonly targets: readonly Reference[]
  /** Each tells of itself in `stages`. */
  blobs(blobs: readonly OutgoingBlob[], stages: Stages): Promise<void>
  document(document: AssembledDocument): Promise<void>
}

/** What pushes call pushing. */
const writing = (stages: Stages): Stages => ({
  ...stages,
  step: (id, work) => stages.step(id.replace(/^pushing /, "writing layer "), work),
})
const silent = (stages: Stages): Stages => ({ ...stages, step: (_, work) => work(() => {}) })

const registryPlace = async (work: CacheWork): Promise<Place> => {
  const { rooms, attributes, options, signal } = work
  const reference = attributes.get("ref") ?? ""
  if (reference === "") throw failure("invalid", "cache export to a registry needs ref=NAME")
  const target = withDefaultTag(parseReference(reference))
  if (target.digest !== undefined)
    throw failure("invalid", `cannot export cache to "${reference}": name it by a tag, not by a digest`)
  const registries = registriesFor(rooms, target.domain, flag(attributes, "registry.insecure", false))
  const credentials = await options.credentials(target.domain, signal)
  const remote = registries.repository(target, { actions: "pull,push", credentials })
  return {
    targets: [target],
    blobs: (blobs, stages) =>
      sendBlobs(blobs, (blob, stopped) => sendBlob(rooms, remote, target, blob, stages, stopped), signal),
    async document({ bytes, mediaType }) {
      await remote.putDocument(target.tag ?? "latest", { bytes, mediaType }, signal)
    },
  }
}

const directoryPlace = ({ signal }: CacheWork, { directory, attributes }: CacheLocation): Place => {
  if ((attributes.get("dest") ?? "") === "")
    throw failure("invalid", "local cache exporter requires dest: add dest=DIRECTORY")
  if (directory === undefined)
    throw failure(
      "not-implemented",
      "a local cache is written by the client that holds its directory, and this one offers none: use buildx or sloop build, or type=registry",
    )
  return {
    targets: [],
    blobs: (blobs, stages) =>
      sendBlobs(
        blobs,
        async (blob, stopped) => {
          if (await directory.has(blob.digest)) return
          await stages.step(`pushing ${blob.digest}`, () => directory.write(blob, blob.open(0), stopped))
        },
        signal,
      ),
    async document(document) {
      const { digest, size, mediaType, bytes } = document
      await directory.write({ digest, size, mediaType }, blobOf(bytes, mediaType).open(0), signal)
    },
  }
}

const annotated = (layer: OutgoingLayer, { createdAt, description }: ForestLayer): WrittenDescriptor =>
  written(layer, {
    annotations: {
      ...(createdAt === 0 ? {} : { [createdKey]: new Date(createdAt).toISOString() }),
      ...(description === "" ? {} : { [descriptionKey]: description }),
      [uncompressedKey]: layer.diffId,
    },
  })

const manifestOf = (
  config: OutgoingBlob,
  layers: readonly WrittenDescriptor[],
  { oci, asImage }: CacheForm,
) =>
  asImage
    ? documentOf({ mediaType: mediaTypes.ociManifest, ...{ config: written(config), layers } }, [])
    : documentOf(
        {
          mediaType: oci ? mediaTypes.ociIndex : mediaTypes.dockerList,
          ...{ manifests: [...layers, written(config)] },
        },
        [],
      )

const write = async (work: CacheWork, location: CacheLocation): Promise<Exported> => {
  const { attributes, stages } = work
  const form = cacheFormOf(attributes)
  const mode = cacheModeOf(attributes)
  const compression = readCompression(attributes)
  const place = location.type === "registry" ? await registryPlace(work) : directoryPlace(work, location)
  const steps = chooseSteps(work.steps, work.solved.images, mode)
  const { layers: forest, tops } = forestOf(steps)
  const mounts = await packMounts(work, form.oci)
  if (forest.length === 0 && mounts.length === 0) {
    stages.say("skipping cache export for empty result")
    return { response: [] }
  }
  const outgoing = openOutgoingLayers(work, compression, form.oci, (placed, oci) =>
    remoteLayer(work, placed, oci, place.targets),
  )
  const layers = await stages.step("preparing build cache for export", async () => {
    const made: OutgoingLayer[] = []
    for (const placed of forest) made.push(await outgoing.one(placed))
    return made
  })
  await place.blobs([...layers, ...mounts.map(({ blob }) => blob)], writing(stages))
  const bytes = encodeCacheConfig({
    layers: layers.map(({ digest }, at) => ({ blob: digest, parent: forest[at]?.parent ?? -1 })),
    records: recordsOf(steps, ({ result }) => tops.get(result.chainId)),
  })
  const config = blobOf(bytes, cacheConfigType)
  await stages.step(`writing config ${config.digest}`, () => place.blobs([config], silent(stages)))
  const descriptors = new Map(
    forest.flatMap((one, at) => {
      const layer = layers[at]
      return layer === undefined ? [] : [[layer.digest, annotated(layer, one)] as const]
    }),
  )
  const manifest = manifestOf(
    config,
    [...descriptors.values(), ...mounts.map(({ descriptor }) => descriptor)],
    form,
  )
  const what = form.asImage ? "cache image manifest" : "cache manifest"
  await stages.step(`writing ${what} ${manifest.digest}`, () => place.document(manifest))
  return { response: [["cache.manifest", JSON.stringify(written(manifest))]] }
}

/** Names of cache exports in progress. */
export const cacheExportNames: Readonly<Record<string, string>> = {
  registry: "exporting cache to registry",
  local: "exporting cache to client directory",
}

/** With ignore-error=true a failure is told and nothing more. */
export const exportCache = async (work: CacheWork, location: CacheLocation): Promise<Exported> => {
  try {
    return await write(work, location)
  } catch (error) {
    work.signal.throwIfAborted()
    if (!flag(location.attributes, "ignore-error", false)) throw error
    work.stages.say(`the cache is not exported: ${errorMessage(error)}`)
    return { response: [] }
  }
}
