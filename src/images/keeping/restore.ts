// Images whose layers are missing when the engine starts: unpacked again from their blobs, or, when a build made them a moment
// before the machine went down, given up.
import { errorMessage } from "../../base/errors.ts"
import { createLog } from "../../base/log.ts"
import { chainIds } from "../../oci/chain-id.ts"
import { familiarReference } from "../../oci/reference.ts"
import type { ImageRecord } from "../../state/state.ts"
import type { Workshop } from "../making/create.ts"
import { prepareImage } from "../prepare.ts"

const log = createLog("images")

/** Only a build answers before its layers are on the disk, and its image is made again by building it again. */
const giveUp = ({ catalog }: Workshop, record: ImageRecord): void => {
  const names = catalog.namesOf(record.id)
  for (const name of names) catalog.removeName(name)
  catalog.remove(record.id)
  log.warn(
    "an image was removed: its layers had not reached the disk when the machine went down; build it again",
    {
      image: record.id,
      names: names.map(familiarReference).join(", "),
    },
  )
}

/** Looks at every image; `lost`: chainIDs that power loss took. Never throws: one that cannot be helped is told of in the log. */
export const restoreSnapshots = async (workshop: Workshop, lost: ReadonlySet<string>): Promise<void> => {
  const { content, snapshots, state, catalog } = workshop
  for (const record of state.images.list()) {
    const chain = chainIds(record.layers.map(({ diffId }) => diffId))
    if (chain.every((chainId) => snapshots.has(chainId))) continue
    const blobs = record.layers.map(({ blob }) => blob)
    if (chain.some((chainId, at) => lost.has(chainId) && !content.has(blobs[at] ?? ""))) {
      giveUp(workshop, record)
      continue
    }
    const source = {
      config: record.id,
      manifestDigest: record.manifestDigest,
      layers: blobs,
      names: [],
      parent: record.parent,
    }
    try {
      catalog.put([{ record: await prepareImage(workshop, source, () => {}), names: [] }])
      log.warn("the layers of an image were unpacked again", { image: record.id })
    } catch (error) {
      log.error("the layers of an image are missing and cannot be unpacked again", {
        image: record.id,
        error: errorMessage(error),
      })
    }
  }
}
