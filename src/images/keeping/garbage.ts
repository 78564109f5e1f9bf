// What no image needs any more: blobs and committed snapshots. Swept when nobody is writing images.

import { errorMessage } from "../../base/errors.ts"
import { createLog } from "../../base/log.ts"
import type { ContentStore } from "../../content/content.ts"
import type { Snapshotter } from "../../snapshots/snapshotter.ts"
import type { ImageRecord, State } from "../../state/state.ts"
import { type LayerBlobs, placedLayers } from "./layer-blobs.ts"

/** What a piece of work needs although no image refers to it yet. It ends with the work, or with the process. */
export interface Lease {
  /** A blob that is needed now and may turn out to belong to nobody. */
  suspect(blob: string): void
  /** Committed snapshots, there already or not yet. */
  keep(chainIds: readonly string[]): void
}

export interface Garbage {
  /**
   * Runs work that ingests blobs and commits snapshots before an image refers to them: nothing is swept meanwhile.
   * `suspect` names blobs that may turn out to belong to nobody.
   */
  during<T>(work: (suspect: (blob: string) => void) => Promise<T>): Promise<T>
  /** As during, for work that says what it needs (and may take long): everything else is swept meanwhile. */
  lease<T>(work: (lease: Lease) => Promise<T>): Promise<T>
  /** As lease, for work that no function wraps: it ends with `release`, which may be called again. */
  hold(): Lease & { release(): void }
  /** Marks what a removed image used, and sweeps if nobody is writing. */
  release(record: ImageRecord): void
  /** Names blobs that others kept in the content store until now. */
  released(blobs: readonly string[]): void
  /** ChainIDs of a stack, from its top, that no image and no container needs. */
  unneeded(chainId: string): string[]
  /** Looks at every blob and snapshot there is. Called at start-up. */
  collect(): Promise<void>
}

const log = createLog("images")

export const openGarbage = (parts: {
  content: ContentStore
  snapshots: Snapshotter
  state: State
  blobs: LayerBlobs
}): Garbage => {
  const { content, snapshots, state } = parts
  const suspects = new Set<string>()
  const leases = new Set<{ readonly blobs: Set<string>; readonly chainIds: Set<string> }>()
  let writers = 0

  const leasedBlobs = (): Set<string> => new Set([...leases].flatMap(({ blobs }) => [...blobs]))
  /** Layers that only the cache of builds refers to; where their tars are kept they need no blob. */
  const byBuilds = (): string[] =>
    state.buildRecords.list().flatMap(({ chainId, diffId, blob, size }) => {
      const spare = diffId === "" || parts.blobs.isSpare({ layer: { diffId, blob, size }, chainId })
      return spare ? [] : [blob]
    })
  const neededBlobs = (): Set<string> => {
    const byImages = state.images
      .list()
      .flatMap((record) => [
        record.id,
        record.manifestDigest,
        ...placedLayers(record).flatMap((placed) => (parts.blobs.isSpare(placed) ? [] : [placed.layer.blob])),
      ])
    // The registry that the engine may serve keeps its blobs in the same store.
    const byRegistry = [...state.registryBlobs.list(), ...state.registryManifests.list()].map(
      ({ content: stored, digest }) => stored ?? digest,
    )
    return new Set([...byImages, ...byRegistry, ...byBuilds()])
  }
  const neededSnapshots = (): Set<string> => {
    const needed = new Set<string>()
    const keep = (chainId: string): void => {
      for (let at = chainId; at !== "" && !needed.has(at); at = state.snapshots.find(at)?.parent ?? "")
        needed.add(at)
    }
    for (const record of state.images.list()) keep(record.chainId)
    for (const record of state.buildRecords.list()) keep(record.chainId)
    for (const record of state.snapshots.list()) if (record.kind === "active") keep(record.parent)
    for (const { chainIds } of leases) for (const chainId of chainIds) keep(chainId)
    return needed
  }
  const failed = (what: string) => (error: unknown) =>
    log.warn(`${what} could not be removed`, { error: errorMessage(error) })

  // Both stores do their removing before they return a promise, so nothing can begin to use a thing in between.
  const sweepSnapshots = (): void => {
    const needed = neededSnapshots()
    let dead = state.snapshots.list().filter(({ kind, key }) => kind === "committed" && !needed.has(key))
    while (dead.length > 0) {
      const parents = new Set(dead.map(({ parent }) => parent))
      const leaves = dead.filter(({ key }) => !parents.has(key))
      for (const { key } of leaves) snapshots.remove(key).catch(failed(`snapshot ${key}`))
      if (leaves.length === 0) return
      dead = dead.filter(({ key }) => parents.has(key))
    }
  }
  const sweep = (): void => {
    if (writers > 0) return
    sweepSnapshots()
    const needed = neededBlobs()
    const leased = leasedBlobs()
    for (const blob of suspects) {
      if (leased.has(blob)) continue
      suspects.delete(blob)
      if (!needed.has(blob)) content.remove(blob).catch(failed(`blob ${blob}`))
    }
  }

  const hold: Garbage["hold"] = () => {
    const held = { blobs: new Set<string>(), chainIds: new Set<string>() }
    leases.add(held)
    return {
      suspect(blob) {
        suspects.add(blob)
        held.blobs.add(blob)
      },
      keep(chainIds) {
        for (const chainId of chainIds) held.chainIds.add(chainId)
      },
      release() {
        if (leases.delete(held)) sweep()
      },
    }
  }

  return {
    async during(work) {
      writers++
      try {
        return await work((blob) => suspects.add(blob))
      } finally {
        writers--
        sweep()
      }
    },
    async lease(work) {
      const held = hold()
      try {
        return await work(held)
      } finally {
        held.release()
      }
    },
    hold,
    release(record) {
      suspects.add(record.id)
      if (record.manifestDigest !== "") suspects.add(record.manifestDigest)
      for (const { blob } of record.layers) suspects.add(blob)
      sweep()
    },
    released(blobs) {
      for (const blob of blobs) suspects.add(blob)
      sweep()
    },
    unneeded(chainId) {
      const needed = neededSnapshots()
      const chain: string[] = []
      for (let at = chainId; at !== "" && !needed.has(at); at = state.snapshots.find(at)?.parent ?? "")
        chain.push(at)
      return chain
    },
    async collect() {
      for await (const { digest } of content.list()) suspects.add(digest)
      sweep()
    },
  }
}
