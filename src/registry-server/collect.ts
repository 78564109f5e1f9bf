// Garbage collection while the registry serves: each repository in one step that nothing interrupts.
import { setImmediate } from "node:timers/promises"
import { crashPoint } from "../base/crash-point.ts"
import type { RegistryBlobRecord, RegistryManifestRecord } from "../state/state.ts"
import type { Repositories } from "./repositories.ts"
import { contentOf, type Store } from "./store.ts"

export interface CollectOptions {
  /** Manifests that no tag, index or subject leads to go too. */
  readonly untagged: boolean
  /** Nothing younger than this goes, milliseconds: its manifest, or its tag, may be on its way. */
  readonly grace: number
}

export interface Collected {
  readonly manifests: number
  readonly blobs: number
  /** Bytes that no repository holds any more. */
  readonly bytes: number
}

/** What a repository can do without: manifests first, then blobs that none of the remaining ones names. */
const garbageOf = (
  repositories: Repositories,
  repository: string,
  { untagged, grace }: CollectOptions,
): { blobs: RegistryBlobRecord[]; manifests: RegistryManifestRecord[] } => {
  const young = Date.now() - grace
  const all = repositories.manifests(repository)
  const manifests = untagged
    ? unreached(repositories, repository, all).filter((row) => row.pushedAt <= young)
    : []
  const going = new Set(manifests.map(({ digest }) => digest))
  const named = new Set(
    all.filter(({ digest }) => !going.has(digest)).flatMap(({ references }) => references),
  )
  const blobs = repositories
    .blobs(repository)
    .filter(({ digest, linkedAt }) => !named.has(digest) && linkedAt <= young)
  return { blobs, manifests }
}

/** Manifests that no tag leads to: neither by name, nor through an index, nor as what a reached one's referrer is. */
const unreached = (
  repositories: Repositories,
  repository: string,
  all: readonly RegistryManifestRecord[],
): RegistryManifestRecord[] => {
  const byDigest = new Map(all.map((row) => [row.digest, row]))
  const reached = new Set<string>()
  const reach = (digest: string): void => {
    const row = byDigest.get(digest)
    if (row === undefined || reached.has(digest)) return
    reached.add(digest)
    for (const child of row.references) reach(child)
    for (const referrer of repositories.referrers(repository, digest)) reach(referrer.digest)
  }
  for (const tag of repositories.tags(repository)) reach(repositories.tagged(repository, tag) ?? "")
  return all.filter(({ digest }) => !reached.has(digest))
}

/** Collects every repository. Requests are answered in between. */
export const collectGarbage = async (store: Store, options: CollectOptions): Promise<Collected> => {
  const { repositories } = store
  const total = { manifests: 0, blobs: 0, bytes: 0 }
  for (const repository of repositories.names()) {
    const { blobs, manifests } = garbageOf(repositories, repository, options)
    if (blobs.length + manifests.length > 0) {
      repositories.forget(blobs, manifests)
      crashPoint("registry:forgotten")
      const gone = [...manifests, ...blobs].filter((row) => !repositories.isHeld(contentOf(row)))
      store.released(gone.map(contentOf))
      total.manifests += manifests.length
      total.blobs += blobs.length
      total.bytes += gone.reduce((sum, { size }) => sum + size, 0)
    }
    await setImmediate()
  }
  return total
}
