// Where the bytes of a pushed layer come from: the target has them, they are here, or another registry has them that the
// image is known from.
import type { ContentStore } from "../../content/content.ts"
import type { Descriptor } from "../../oci/descriptor.ts"
import { type Reference, repositoryOf } from "../../oci/reference.ts"
import type {
  Credentials,
  Registries,
  RemoteRepository,
  UploadSource,
} from "../../registry-client/registry-client.ts"
import type { LayerBlobs, PlacedLayer } from "../keeping/layer-blobs.ts"

export type Delivery =
  | { readonly kind: "there" }
  | { readonly kind: "send"; readonly source: UploadSource }
  /** Nobody has these very bytes any more. */
  | { readonly kind: "lost" }

/** Other repositories that are asked for a blob. */
const mostAsked = 4

export const planDelivery = async (
  parts: { content: ContentStore; blobs: LayerBlobs; registries: Registries },
  remote: RemoteRepository,
  target: Reference,
  blob: Descriptor,
  placed: PlacedLayer,
  /** Names with a digest under which registries know the image. */
  known: readonly Reference[],
  credentials: Credentials | undefined,
  signal?: AbortSignal,
): Promise<Delivery> => {
  const { digest, size } = blob
  if (await remote.hasBlob(digest, signal)) return { kind: "there" }
  if (parts.content.has(digest))
    return { kind: "send", source: { digest, size, open: (start) => parts.content.open(digest, { start }) } }
  const found = placed.layer.blob === digest ? parts.blobs.find(placed) : undefined
  if (found !== undefined) return { kind: "send", source: { digest, ...found } }
  const own = repositoryOf(target)
  const others = known.filter((name) => repositoryOf(name) !== own).slice(0, mostAsked)
  for (const name of others) {
    const other = parts.registries.repository(name, {
      actions: "pull",
      // Credentials belong to one registry alone.
      credentials: name.domain === target.domain ? credentials : undefined,
    })
    const has = await other.hasBlob(digest, signal).catch(() => false)
    signal?.throwIfAborted()
    if (has) return { kind: "send", source: { digest, size, open: (from) => other.blob(blob, from, signal) } }
  }
  return { kind: "lost" }
}
