// What is known of the images, in memory: parsed once, found by any reference, ready for the start path.
import { failure } from "../base/errors.ts"
import type { ContentStore } from "../content/content.ts"
import { parseConfigDocument } from "../oci/config.ts"
import {
  familiarReference,
  formatReference,
  parseReference,
  type Reference,
  repositoryOf,
  withDefaultTag,
} from "../oci/reference.ts"
import type { ImageRecord, State } from "../state/state.ts"
import type { Image } from "./images.ts"

/** An image that is to be written, and the names that shall lead to it. */
export interface NewImage {
  readonly record: ImageRecord
  readonly names: readonly Reference[]
}

export interface Catalog {
  /** The id that a reference means. Throws "invalid" for a malformed one, "conflict" for an ambiguous short id. */
  lookup(reference: string): string | undefined
  /** As lookup. Throws not-found in Docker's words. */
  resolve(reference: string): string
  load(id: string): Promise<Image>
  /** Names of an image, sorted as Docker does. */
  namesOf(id: string): readonly Reference[]
  /** Names with this repository, of any image. */
  namesIn(repository: string): readonly Reference[]
  idOf(name: Reference): string | undefined
  childrenOf(id: string): readonly string[]
  /** Writes images and names in one durable transaction. */
  put(images: readonly NewImage[]): void
  setName(name: Reference, id: string): void
  removeName(name: Reference): void
  /** Removes the record; its names must be gone. Children lose their parent. */
  remove(id: string): void
}

/** Docker's sentence, with the tag that it looked for. */
export const noSuchImage = (reference: string) => {
  let shown = reference
  try {
    shown = familiarReference(withDefaultTag(parseReference(reference)))
  } catch {
    // An id is shown as it was given.
  }
  return failure("not-found", `No such image: ${shown}`)
}

const byText = (a: Reference, b: Reference): number => (formatReference(a) < formatReference(b) ? -1 : 1)

export const openCatalog = (parts: { content: ContentStore; state: State }): Catalog => {
  const { content, state } = parts
  const parsed = new Map<string, Promise<Image>>()
  const names = new Map<string, Map<string, Reference>>()

  const namesFor = (id: string): Map<string, Reference> => {
    const known = names.get(id) ?? new Map<string, Reference>()
    names.set(id, known)
    return known
  }
  for (const [text, id] of state.references.entries()) namesFor(id).set(text, parseReference(text))

  const namesOf = (id: string): Reference[] => [...(names.get(id)?.values() ?? [])].toSorted(byText)

  /** The image with what is known of its names now. */
  const withNames = (image: Image): Image => {
    const all = namesOf(image.id)
    return {
      ...image,
      tags: all.filter((name) => name.digest === undefined).map(familiarReference),
      digests: all.filter((name) => name.digest !== undefined).map(familiarReference),
    }
  }
  const renamed = (id: string): void => {
    const image = parsed.get(id)
    if (image !== undefined) {
      const changed = image.then(withNames)
      changed.catch(() => {})
      parsed.set(id, changed)
    }
  }

  const parse = async (record: ImageRecord): Promise<Image> => {
    const document = parseConfigDocument(await content.read(record.id), `the config of image ${record.id}`)
    return withNames({ ...record, ...document, tags: [], digests: [] })
  }
  const load = (id: string): Promise<Image> => {
    const known = parsed.get(id)
    if (known !== undefined) return known
    const record = state.images.find(id)
    if (record === undefined) return Promise.reject(noSuchImage(id))
    const image = parse(record)
    parsed.set(id, image)
    image.catch(() => parsed.delete(id))
    return image
  }

  const byPrefix = (reference: string): string | undefined => {
    const prefix = reference.startsWith("sha256:") ? reference : `sha256:${reference}`
    if (!/^sha256:[0-9a-f]+$/.test(prefix)) return undefined
    if (prefix.length === 71) return state.images.find(prefix) === undefined ? undefined : prefix
    const found = state.images.list().filter(({ id }) => id.startsWith(prefix))
    if (found.length > 1)
      throw failure("conflict", `the image id ${reference} is ambiguous: write more of its digits`)
    return found[0]?.id
  }

  const idOf = (name: Reference): string | undefined => {
    // With a digest the tag is only decoration, as in Docker.
    const { tag: _, ...untagged } = name
    const key = name.digest === undefined ? name : untagged
    return state.references.find(formatReference(key))
  }

  const lookup = (reference: string): string | undefined => {
    if (/^(sha256:)?[0-9a-f]{64}$/.test(reference)) return byPrefix(reference)
    if (/^sha256:[0-9a-f]+$/.test(reference)) return byPrefix(reference)
    return idOf(withDefaultTag(parseReference(reference))) ?? byPrefix(reference)
  }

  const writeName = (name: Reference, id: string): (() => void) => {
    const text = formatReference(name)
    const previous = state.references.find(text)
    state.references.put(text, id)
    return () => {
      if (previous !== undefined && previous !== id) {
        names.get(previous)?.delete(text)
        renamed(previous)
      }
      namesFor(id).set(text, name)
      renamed(id)
    }
  }

  return {
    lookup,
    resolve(reference) {
      const id = lookup(reference)
      if (id === undefined) throw noSuchImage(reference)
      return id
    },
    load,
    namesOf,
    namesIn: (repository) =>
      [...names.values()]
        .flatMap((known) => [...known.values()])
        .filter((name) => repositoryOf(name) === repository)
        .toSorted(byText),
    idOf,
    childrenOf: (id) =>
      state.images
        .list()
        .filter(({ parent }) => parent === id)
        .map((child) => child.id),
    put(images) {
      const afterwards = state.transaction(() =>
        images.flatMap(({ record, names: wanted }) => {
          state.images.put(record.id, record)
          return wanted.map((name) => writeName(name, record.id))
        }),
      )
      for (const { record } of images) parsed.delete(record.id)
      for (const finish of afterwards) finish()
    },
    setName(name, id) {
      writeName(name, id)()
    },
    removeName(name) {
      const text = formatReference(name)
      const id = state.references.find(text)
      state.references.remove(text)
      if (id === undefined) return
      names.get(id)?.delete(text)
      renamed(id)
    },
    remove(id) {
      state.transaction(
        () => {
          for (const child of state.images.list().filter(({ parent }) => parent === id)) {
            state.images.put(child.id, { ...child, parent: "" })
            parsed.delete(child.id)
          }
          state.images.remove(id)
        },
        { makesRoom: true },
      )
      parsed.delete(id)
      names.delete(id)
    },
  }
}
