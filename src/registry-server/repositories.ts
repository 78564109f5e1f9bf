// What the registry holds, by repository: blobs, manifests, tags. Every change is one durable transaction.
import type { RegistryBlobRecord, RegistryManifestRecord, RegistryTagRecord, State } from "../state/state.ts"
import { contentOf } from "./store.ts"

export interface Repositories {
  names(): string[]
  has(repository: string): boolean
  blob(repository: string, digest: string): RegistryBlobRecord | undefined
  manifest(repository: string, digest: string): RegistryManifestRecord | undefined
  tagged(repository: string, tag: string): string | undefined
  /** Sorted as the specification asks: by code point. */
  tags(repository: string): string[]
  /** Manifests of a repository whose subject is the digest. */
  referrers(repository: string, subject: string): RegistryManifestRecord[]
  blobs(repository: string): RegistryBlobRecord[]
  manifests(repository: string): RegistryManifestRecord[]
  linkBlob(blob: Omit<RegistryBlobRecord, "linkedAt">): void
  putManifest(manifest: RegistryManifestRecord, tag: string | undefined): void
  removeTag(repository: string, tag: string): boolean
  /** The manifest and every tag that named it; undefined when it is not there. */
  removeManifest(repository: string, digest: string): RegistryManifestRecord | undefined
  removeBlob(repository: string, digest: string): RegistryBlobRecord | undefined
  /** Forgets several things at once. */
  forget(blobs: readonly RegistryBlobRecord[], manifests: readonly RegistryManifestRecord[]): void
  /** Whether any repository claims what the content store has by this name. */
  isHeld(content: string): boolean
  /** A blob of any repository. */
  anywhere(digest: string): RegistryBlobRecord | undefined
}

const inRepository = (repository: string, name: string): string => `${repository}@${name}`

/** Rows of one repository by their key within it. */
class ByRepository<T extends { readonly repository: string }> {
  readonly #rows = new Map<string, Map<string, T>>()
  add(name: string, row: T): void {
    let rows = this.#rows.get(row.repository)
    if (rows === undefined) {
      rows = new Map()
      this.#rows.set(row.repository, rows)
    }
    rows.set(name, row)
  }
  remove(repository: string, name: string): void {
    const rows = this.#rows.get(repository)
    rows?.delete(name)
    if (rows?.size === 0) this.#rows.delete(repository)
  }
  get(repository: string, name: string): T | undefined {
    return this.#rows.get(repository)?.get(name)
  }
  list(repository: string): T[] {
    return [...(this.#rows.get(repository)?.values() ?? [])]
  }
  repositories(): Iterable<string> {
    return this.#rows.keys()
  }
}

/** Reads everything once; later reads come from memory. */
export const openRepositories = (state: State): Repositories => {
  const blobs = new ByRepository<RegistryBlobRecord>()
  const manifests = new ByRepository<RegistryManifestRecord>()
  const tags = new ByRepository<RegistryTagRecord>()
  /** Name in the content store to the number of rows that claim it. */
  const holders = new Map<string, number>()
  const hold = (digest: string, by: 1 | -1): void => {
    const count = (holders.get(digest) ?? 0) + by
    if (count === 0) holders.delete(digest)
    else holders.set(digest, count)
  }
  for (const row of state.registryBlobs.list()) {
    blobs.add(row.digest, row)
    hold(contentOf(row), 1)
  }
  for (const row of state.registryManifests.list()) {
    manifests.add(row.digest, row)
    hold(contentOf(row), 1)
  }
  for (const row of state.registryTags.list()) tags.add(row.tag, row)

  const dropBlob = (row: RegistryBlobRecord): void => {
    state.registryBlobs.remove(inRepository(row.repository, row.digest))
    blobs.remove(row.repository, row.digest)
    hold(contentOf(row), -1)
  }
  const dropManifest = (row: RegistryManifestRecord): void => {
    state.registryManifests.remove(inRepository(row.repository, row.digest))
    manifests.remove(row.repository, row.digest)
    hold(contentOf(row), -1)
    for (const tag of tags.list(row.repository)) if (tag.digest === row.digest) dropTag(tag)
  }
  const dropTag = (row: RegistryTagRecord): void => {
    state.registryTags.remove(`${row.repository}:${row.tag}`)
    tags.remove(row.repository, row.tag)
  }

  return {
    names: () =>
      [...new Set([...blobs.repositories(), ...manifests.repositories(), ...tags.repositories()])].toSorted(),
    has: (repository) => blobs.list(repository).length > 0 || manifests.list(repository).length > 0,
    blob: (repository, digest) => blobs.get(repository, digest),
    manifest: (repository, digest) => manifests.get(repository, digest),
    tagged: (repository, tag) => tags.get(repository, tag)?.digest,
    tags: (repository) =>
      tags
        .list(repository)
        .map(({ tag }) => tag)
        .toSorted(),
    referrers: (repository, subject) =>
      manifests.list(repository).filter((manifest) => manifest.subject === subject),
    blobs: (repository) => blobs.list(repository),
    manifests: (repository) => manifests.list(repository),
    linkBlob(blob) {
      const { repository, digest } = blob
      const row = { ...blob, linkedAt: Date.now() }
      const known = blobs.get(repository, digest) !== undefined
      state.registryBlobs.put(inRepository(repository, digest), row)
      blobs.add(digest, row)
      if (!known) hold(contentOf(row), 1)
    },
    putManifest(manifest, tag) {
      const { repository, digest } = manifest
      const known = manifests.get(repository, digest) !== undefined
      const tagRow = tag === undefined ? undefined : { repository, tag, digest, taggedAt: manifest.pushedAt }
      state.transaction(() => {
        state.registryManifests.put(inRepository(repository, digest), manifest)
        if (tagRow !== undefined) state.registryTags.put(`${repository}:${tagRow.tag}`, tagRow)
      })
      manifests.add(digest, manifest)
      if (!known) hold(contentOf(manifest), 1)
      if (tagRow !== undefined) tags.add(tagRow.tag, tagRow)
    },
    removeTag(repository, tag) {
      const row = tags.get(repository, tag)
      if (row === undefined) return false
      dropTag(row)
      return true
    },
    removeManifest(repository, digest) {
      const row = manifests.get(repository, digest)
      if (row !== undefined) state.transaction(() => dropManifest(row), { makesRoom: true })
      return row
    },
    removeBlob(repository, digest) {
      const row = blobs.get(repository, digest)
      if (row !== undefined) dropBlob(row)
      return row
    },
    forget(oldBlobs, oldManifests) {
      state.transaction(
        () => {
          for (const row of oldManifests) dropManifest(row)
          for (const row of oldBlobs) dropBlob(row)
        },
        { makesRoom: true },
      )
    },
    isHeld: (content) => holders.has(content),
    anywhere(digest) {
      for (const repository of blobs.repositories()) {
        const row = blobs.get(repository, digest)
        if (row !== undefined) return row
      }
      return undefined
    },
  }
}
