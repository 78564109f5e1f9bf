// Opens the images of an engine: the rooms below, the catalog and the verbs put together.
import { mkdirSync } from "node:fs"
import { type DecompressionBounds, defaultBounds } from "../base/decompress.ts"
import { errorMessage } from "../base/errors.ts"
import { KeyedMutex } from "../base/keyed-mutex.ts"
import { Limiter } from "../base/limiter.ts"
import { createLog } from "../base/log.ts"
import type { ContentStore } from "../content/content.ts"
import type { Events } from "../events/events.ts"
import { familiarReference } from "../oci/reference.ts"
import { openRegistries, type Registries } from "../registry-client/registry-client.ts"
import type { Snapshotter } from "../snapshots/snapshotter.ts"
import type { State } from "../state/state.ts"
import { announcer } from "./announce.ts"
import { loadImages } from "./archives/load.ts"
import { saveImages, selectImages } from "./archives/save.ts"
import { openCatalog } from "./catalog.ts"
import type { Image, Images } from "./images.ts"
import { openGarbage } from "./keeping/garbage.ts"
import { openLayerBlobs } from "./keeping/layer-blobs.ts"
import { pruneImages, removeImage } from "./keeping/removal.ts"
import { restoreSnapshots } from "./keeping/restore.ts"
import { storedBytes, trimImages } from "./keeping/trim.ts"
import { compareTrees } from "./making/compare.ts"
import { commitImage, importImage, registerImage, squashImage, targetName } from "./making/create.ts"
import { openPublished } from "./published.ts"
import { openDownloads } from "./pull/downloads.ts"
import { acceptAll, type Policy } from "./trust/policy.ts"

const log = createLog("images")

/** `root` is a directory of this room alone (made with mode 0700). `bounds` limit what archives may unpack to. */
export const openImages = (parts: {
  content: ContentStore
  snapshots: Snapshotter
  state: State
  events: Events
  root: string
  bounds?: DecompressionBounds
  /** Compressed layers stay beside what came out of them. */
  keepCompressed?: boolean | undefined
  /** Without mirrors and insecure registries unless given. */
  registries?: Registries
  /** Lets every image in unless given. */
  policy?: Policy | undefined
  /** Layers moved at once: 3 and 5 unless given. */
  concurrency?: { readonly downloads?: number | undefined; readonly uploads?: number | undefined }
}): Images => {
  const { content, snapshots, state, events } = parts
  mkdirSync(parts.root, { recursive: true, mode: 0o700 })
  const catalog = openCatalog({ content, state })
  const blobs = openLayerBlobs({ content, snapshots, keepCompressed: parts.keepCompressed ?? false })
  const garbage = openGarbage({ content, snapshots, state, blobs })
  const announce = announcer(events, catalog)
  // One removal at a time: what forbids it must still be so when it is done.
  const removing = new KeyedMutex()
  const bounds = parts.bounds ?? defaultBounds
  const workshop = { content, snapshots, state, catalog, garbage, bounds, blobs }
  const registries =
    parts.registries ?? openRegistries({ mirrors: [], insecure: [], certificates: [], agent: "sloop" })
  const downloads = openDownloads(content, parts.concurrency?.downloads ?? 3)
  const pulling = { ...workshop, registries, downloads, events, policy: parts.policy ?? acceptAll }
  const pushing = { ...workshop, registries, events, uploads: new Limiter(parts.concurrency?.uploads ?? 5) }
  const removal = { catalog, garbage, snapshots, state, announce }

  const list = async (): Promise<Image[]> => {
    const images: Image[] = []
    for (const { id } of state.images.list()) {
      try {
        images.push(await catalog.load(id))
      } catch (error) {
        // One damaged image must not hide the others.
        log.error("an image cannot be read", { image: id, error: errorMessage(error) })
      }
    }
    return images.toSorted((a, b) => b.created - a.created)
  }

  return {
    // Async, so that a malformed reference is a rejection and never a throw at the call.
    get: async (reference) => catalog.load(catalog.resolve(reference)),
    async find(reference) {
      const id = catalog.lookup(reference)
      return id === undefined ? undefined : catalog.load(id)
    },
    list,
    async load(tar, report, signal) {
      const loaded = await loadImages(workshop, tar, report, signal)
      const told: string[] = []
      for (const { record, names } of loaded) {
        await announce("load", record.id, record.id)
        told.push(...(names.length === 0 ? [record.id] : names.map(familiarReference)))
      }
      return told
    },
    async *save(references, signal) {
      const images = await selectImages(catalog, references)
      const tar = await saveImages(workshop, images, signal)
      for (const { image } of images) await announce("save", image.id, image.id)
      yield* tar
    },
    async import(tar, options, signal) {
      const id = await importImage(workshop, tar, options, signal)
      await announce("import", id, id)
      if (options.reference) await announce("tag", id, familiarReference(targetName(options.reference, "")))
      return id
    },
    registries,
    // Loaded by the first image that travels: an idle engine stays small.
    pull: async (request, report, signal) =>
      (await import("./pull/pull.ts")).pullImages(pulling, request, report, signal),
    push: async (request, report, signal) =>
      (await import("./push/push.ts")).pushImages(pushing, request, report, signal),
    async tag(source, target) {
      const name = targetName(target, "refusing to create a tag with a digest reference")
      const id = catalog.resolve(source)
      catalog.setName(name, id)
      await announce("tag", id, familiarReference(name))
    },
    remove: (reference, options, users) =>
      removing.run("", () => removeImage(removal, reference, options, users)),
    async prune(options, users) {
      const result = await removing.run("", async () => pruneImages(removal, await list(), options, users))
      events.publish({
        type: "image",
        action: "prune",
        id: "",
        attributes: { reclaimed: String(result.reclaimed) },
      })
      return result
    },
    trim: (budget, users, lastUsed) =>
      removing.run("", () => trimImages({ ...removal, content }, budget, users, lastUsed)),
    async commit(request) {
      const id = await commitImage(workshop, request)
      if (request.reference) await announce("tag", id, familiarReference(targetName(request.reference, "")))
      return id
    },
    async register(image) {
      const { id, isNew } = await registerImage(workshop, image)
      if (isNew) await announce("create", id, id)
      for (const name of image.names) await announce("tag", id, familiarReference(targetName(name, "")))
      return id
    },
    async squash(reference, options, signal) {
      const id = await squashImage(
        workshop,
        await catalog.load(catalog.resolve(reference)),
        options.reference,
        signal,
      )
      if (options.reference) await announce("tag", id, familiarReference(targetName(options.reference, "")))
      return id
    },
    async compare(from, to) {
      const [one, other] = [from, to].map(
        (reference) => state.images.find(catalog.resolve(reference))?.chainId ?? "",
      )
      return one === other ? [] : compareTrees(snapshots, one ?? "", other ?? "")
    },
    view: (image) => snapshots.view(image.chainId),
    published: (domains) => openPublished({ content, state, catalog, blobs }, domains),
    sharing: {
      during: (work) => garbage.during(() => work()),
      released: (digests) => garbage.released(digests),
      hold: () => garbage.hold(),
      stored: () => storedBytes({ content, state }),
      unneeded: (chainId) => garbage.unneeded(chainId),
    },
    async recover(lost = []) {
      // Nothing else writes blobs yet, so what is unfinished belongs to a process that has ended.
      await content.recover()
      await garbage.during(() => restoreSnapshots(workshop, new Set(lost)))
      await garbage.collect()
      // Parsed now, so that the first start does not wait for it.
      await list()
    },
  }
}
