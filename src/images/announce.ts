// Events of images: the image's labels travel with them, as Docker's do.
import type { Events } from "../events/events.ts"
import type { Catalog } from "./catalog.ts"

export type ImageAction = "load" | "import" | "tag" | "untag" | "delete" | "save"

/** `name` is the reference that was used, or the id again. Call it while the image is still there. */
export type Announce = (action: ImageAction, id: string, name: string) => Promise<void>

export const announcer =
  (events: Events, catalog: Catalog): Announce =>
  async (action, id, name) => {
    // An image whose config is damaged has no labels, but things still happen to it (it is removed, above all).
    const labels = await catalog.load(id).then(
      (image) => image.config.labels,
      () => ({}),
    )
    events.publish({ type: "image", action, id, attributes: { ...labels, name } })
  }
