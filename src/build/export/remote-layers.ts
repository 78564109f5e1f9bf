// Layers of base images whose own compressed bytes are not kept here: a registry that has them gives them, so that they
// travel under the digest by which everybody knows them.
import type { PlacedLayer } from "../../images/images.ts"
import type { Descriptor } from "../../oci/descriptor.ts"
import { parseManifest } from "../../oci/manifest.ts"
import { parseReference, type Reference } from "../../oci/reference.ts"
import type { RemoteRepository } from "../../registry-client/registry-client.ts"
import { flag } from "./attributes.ts"
import { layerTypeOf, type OutgoingLayer } from "./outgoing-layers.ts"
import { registriesFor } from "./registries.ts"
import type { ExportWork } from "./work.ts"

/** Other repositories that are asked for a blob. */
const mostAsked = 4

type Parts = Pick<ExportWork, "rooms" | "options" | "attributes" | "signal">

/** What a stored manifest says of a blob, and the names under which registries know its image. */
const recorded = async (
  { rooms }: Parts,
  blob: string,
): Promise<{ descriptor: Descriptor; names: Reference[] } | undefined> => {
  const { content, state } = rooms
  for (const record of state.images.list()) {
    if (!record.layers.some((layer) => layer.blob === blob)) continue
    if (record.manifestDigest === "" || !content.has(record.manifestDigest)) continue
    const what = `the manifest ${record.manifestDigest}`
    const manifest = parseManifest(await content.read(record.manifestDigest), what)
    const descriptor = manifest.layers.find(({ digest }) => digest === blob)
    if (descriptor === undefined) continue
    const names = state.references
      .entries()
      .filter(([, id]) => id === record.id)
      .map(([text]) => parseReference(text))
      .filter((name) => name.digest !== undefined)
    return { descriptor, names }
  }
  return undefined
}

const kindOf = (mediaType: string): "gzip" | "zstd" | "uncompressed" =>
  /zstd$/.test(mediaType) ? "zstd" : /gzip$/.test(mediaType) ? "gzip" : "uncompressed"

/** The layer as one of `targets`, or another registry that is known to have had it, has it; undefined when none does. */
export const remoteLayer = async (
  work: Parts,
  placed: PlacedLayer,
  oci: boolean,
  targets: readonly Reference[],
): Promise<OutgoingLayer | undefined> => {
  const { blob, diffId } = placed.layer
  const known = await recorded(work, blob)
  if (known === undefined) return undefined
  const { descriptor, names } = known
  const { signal } = work
  const insecure = flag(work.attributes, "registry.insecure", false)
  for (const name of [...targets, ...names.slice(0, mostAsked)]) {
    const isTarget = targets.includes(name)
    const registries = registriesFor(work.rooms, name.domain, insecure && isTarget)
    const credentials = await work.options.credentials(name.domain, signal)
    const remote: RemoteRepository = registries.repository(name, { actions: "pull", credentials })
    const has = await remote.hasBlob(blob, signal).catch(() => false)
    signal.throwIfAborted()
    if (!has) continue
    return {
      ...{ diffId, digest: blob, size: descriptor.size, original: "" },
      mediaType: layerTypeOf(kindOf(descriptor.mediaType), oci),
      open: (from) => remote.blob(descriptor, from, signal),
    }
  }
  return undefined
}
