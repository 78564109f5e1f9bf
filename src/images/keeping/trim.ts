// Keeps what images take on the disk under a budget: dangling images go, the one that was not used for longest first.
import { errorKind } from "../../base/errors.ts"
import type { ContentStore } from "../../content/content.ts"
import { digestHex } from "../../oci/digest.ts"
import type { ImageRecord, State } from "../../state/state.ts"
import type { Catalog } from "../catalog.ts"
import type { RemovedImage } from "../images.ts"
import { type RemovalParts, removeImage } from "./removal.ts"

type Users = Parameters<typeof removeImage>[3]

/** Bytes of committed layers and of blobs. */
export const storedBytes = async ({
  content,
  state,
}: {
  content: ContentStore
  state: State
}): Promise<number> => {
  let bytes = 0
  for (const record of state.snapshots.list())
    if (record.kind === "committed") bytes += record.disk ?? record.size
  for await (const { size } of content.list()) bytes += size
  return bytes
}

/** Images that no name leads to and nobody stands on, oldest use first. */
const candidates = (state: State, catalog: Catalog, users: Users, lastUsed: (image: ImageRecord) => number) =>
  state.images
    .list()
    .filter(
      ({ id }) =>
        catalog.namesOf(id).every(({ digest }) => digest !== undefined) &&
        catalog.childrenOf(id).length === 0 &&
        users(id).length === 0,
    )
    .toSorted((a, b) => lastUsed(a) - lastUsed(b))

/** As Images.trim. */
export const trimImages = async (
  parts: RemovalParts & { content: ContentStore; state: State; catalog: Catalog },
  budget: number,
  users: Users,
  lastUsed: (image: ImageRecord) => number,
): Promise<{ removed: RemovedImage[]; stored: number }> => {
  const removed: RemovedImage[] = []
  let stored = await storedBytes(parts)
  while (stored > budget) {
    const [oldest] = candidates(parts.state, parts.catalog, users, lastUsed)
    if (oldest === undefined) break
    try {
      removed.push(...(await removeImage(parts, digestHex(oldest.id), { force: true, prune: true }, users)))
    } catch (error) {
      // Somebody began to use it: what is left is for the next time.
      if (errorKind(error) !== "conflict" && errorKind(error) !== "not-found") throw error
      break
    }
    stored = await storedBytes(parts)
  }
  return { removed, stored }
}
