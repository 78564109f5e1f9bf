// Opens the exporters: each --output by its type, then the caches.
import { failure } from "../../base/errors.ts"
import type { ExportRequest } from "../build.ts"
import type { Exporters } from "./export.ts"
import { exportLocalImage } from "./local-image.ts"
import { inStages } from "./stages.ts"
import { type Exported, type ExportRooms, type ExportWork, epochOf } from "./work.ts"

/** Progress names of exports, as BuildKit has them. */
const names = {
  image: "exporting to image",
  moby: "exporting to image",
  registry: "exporting to image",
  oci: "exporting to oci image format",
  docker: "exporting to docker image format",
  local: "exporting to client directory",
  tar: "exporting to client tarball",
} as const

const isKnown = (type: string): type is keyof typeof names => Object.hasOwn(names, type)

const perform = async (type: keyof typeof names, work: ExportWork): Promise<Exported> => {
  switch (type) {
    case "image":
    case "moby":
      return exportLocalImage(work)
    default:
      throw failure("not-implemented", `exporting as ${type} is not supported`)
  }
}

export const openExporters = (rooms: ExportRooms): Exporters => ({
  async run(solved, steps, options, report, signal) {
    const response = new Map<string, string>()
    let imageId: string | undefined
    const hold = rooms.images.sharing.hold()
    try {
      const exportOne = async (request: ExportRequest, at: number): Promise<void> => {
        const { type } = request
        if (type === "cacheonly" || type === "") return
        if (!isKnown(type))
          throw failure(
            "invalid",
            `exporter "${type}" could not be found: use image, registry, oci, docker, tar, local or cacheonly`,
          )
        const exported = await inStages(names[type], `${solved.id} ${at}`, report, (stages) =>
          perform(type, {
            ...{ rooms, solved, options, steps, request, hold, stages, signal },
            images: solved.images,
            attributes: request.attributes,
            epoch: epochOf(request, solved),
          }),
        )
        for (const [key, value] of exported.response) response.set(key, value)
        imageId ??= exported.imageId
      }
      for (const [at, request] of options.exports.entries()) {
        signal.throwIfAborted()
        await exportOne(request, at)
      }
    } finally {
      hold.release()
    }
    return { response, ...(imageId === undefined ? {} : { imageId }) }
  },
})
