// Events of images: the image's labels travel with them, as Docker's do.
import type { Events } from "../events/events.ts"
import type { Catalog } from "./catalog.ts"

export type ImageAction = "load" | "import" | "create" | "tag" | "untag" | "delete" | "save"

/** `name` is the reference that was used, or the id again. Call it while the image is still there. */
export type Announce = (action: ImageAction, id: string, name: string) => Promise<void>

/** Tells of a pull or a push. They are known by the reference, as Docker has it, and by the repository's name. */
export const announceTravel = async (
  events: Events,
  catalog: Catalog,
  action: "pull" | "push",
  id: string,
  name: { reference: string; repository: string },
): Promise<void> => {
  const labels = await catalog.load(id).then(
    (image) => image.config.labels,
    () => ({}),
  )
  const attributes = { ...labels, name: name.repository }
  events.publish({ type: "image", action, id: name.reference, attributes })
}

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
