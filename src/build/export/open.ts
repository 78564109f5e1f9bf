// Opens the exporters: each --output by its type, then the caches.
import type { BuiltImage, CacheLocation, ExportRequest } from "../build.ts"
import { exportArchive } from "./archive.ts"
import { flag } from "./attributes.ts"
import { cacheExportNames, exportCache } from "./cache/export-cache.ts"
import { checkExports, type ExportType, exportNames, exportTypeOf } from "./check.ts"
import type { Exporters } from "./export.ts"
import { exportFiles } from "./files.ts"
import { exportLocalImage } from "./local-image.ts"
import { prepareShipment, ship } from "./registry.ts"
import { squashed, withTimes } from "./reshape.ts"
import { inStages } from "./stages.ts"
import { type Exported, type ExportRooms, type ExportWork, epochOf } from "./work.ts"

const perform = async (type: ExportType, work: ExportWork): Promise<Exported> => {
  switch (type) {
    case "image":
    case "moby":
      return exportImage(work)
    case "registry":
      return ship(work, await prepareShipment(work))
    case "oci":
    case "docker":
      return exportArchive(work, type)
    case "local":
    case "tar":
      return exportFiles(work, type)
  }
}

/** The results as they leave: squashed, and with times no later than SOURCE_DATE_EPOCH, where that is asked for. */
const reshape = async (work: ExportWork): Promise<readonly BuiltImage[]> => {
  const { stages, epoch } = work
  let { images } = work
  if (work.options.squash)
    images = await stages.step("squashing layers", () =>
      Promise.all(images.map((image) => squashed(work, image))),
    )
  if (!flag(work.attributes, "rewrite-timestamp", false)) return images
  if (epoch === undefined) {
    stages.say("rewrite-timestamp is specified, but no source-date-epoch was found")
    return images
  }
  return stages.step(`rewriting layers with source-date-epoch ${epoch}`, () =>
    Promise.all(images.map((image) => withTimes(work, image, epoch))),
  )
}

/** Into the store, and with push=true to a registry too; results of several platforms can only be pushed. */
const exportImage = async (work: ExportWork): Promise<Exported> => {
  const pushes = flag(work.attributes, "push", false)
  const stores = flag(work.attributes, "store", true) && !(pushes && work.images.length > 1)
  if (!pushes) return stores ? exportLocalImage(work) : { response: [] }
  const shipment = await prepareShipment(work)
  const [first] = shipment.assembled.images
  const stored = stores ? await exportLocalImage(work, first?.layers) : undefined
  const { response } = await ship(work, shipment)
  return { response, ...(stored?.imageId === undefined ? {} : { imageId: stored.imageId }) }
}

export const openExporters = (rooms: ExportRooms): Exporters => ({
  async run(solved, steps, options, report, signal) {
    const response = new Map<string, string>()
    let imageId: string | undefined
    checkExports(options)
    const hold = rooms.images.sharing.hold()
    try {
      const exportOne = async (request: ExportRequest, at: number): Promise<void> => {
        const type = exportTypeOf(request)
        if (type === undefined) return
        const epoch = epochOf(request, solved)
        const exported = await inStages(exportNames[type], `${solved.id} ${at}`, report, async (stages) => {
          const parts = { rooms, solved, options, steps, request, hold, stages, signal }
          const attributes = request.attributes
          const images = await reshape({ ...parts, images: solved.images, attributes, epoch })
          return perform(type, { ...parts, images, attributes, epoch })
        })
        for (const [key, value] of exported.response) response.set(key, value)
        imageId ??= exported.imageId
      }
      const exportCacheTo = async (location: CacheLocation, at: number): Promise<void> => {
        const name = cacheExportNames[location.type]
        if (name === undefined) return
        const { response: told } = await inStages(name, `${solved.id} cache ${at}`, report, (stages) =>
          exportCache(
            {
              ...{ rooms, solved, options, steps, hold, stages, signal },
              ...{ images: solved.images, attributes: location.attributes, epoch: undefined },
            },
            location,
          ),
        )
        for (const [key, value] of told) response.set(key, value)
      }
      for (const [at, request] of options.exports.entries()) {
        signal.throwIfAborted()
        await exportOne(request, at)
      }
      for (const [at, location] of options.cacheTo.entries()) {
        signal.throwIfAborted()
        await exportCacheTo(location, at)
      }
    } finally {
      hold.release()
    }
    return { response, ...(imageId === undefined ? {} : { imageId }) }
  },
})

export { openImportedCaches } from "./cache/import-cache.ts"
