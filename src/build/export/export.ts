// Contract. Results leave the builder: as local images (nothing is copied), archives, directories, or to a registry; cache goes with them.
import type { ExportedBuild, ExportOptions, Solved } from "../build.ts"
import type { CacheRecord } from "../cache/cache.ts"
import type { LayersTree } from "../operations/operations.ts"
import type { ReportBuild } from "../progress.ts"

/** A step that cache exports tell of: how it is found again elsewhere, and what it made. */
export interface ExportableStep {
  readonly key: string
  /** Keys of the steps it began from. */
  readonly inputs: readonly string[]
  readonly result: LayersTree
  readonly description: string
  readonly createdAt: number
}

export interface Exporters {
  /**
   * Hands results on, in the order of `options.exports`, then the cache. Each tells of itself as a vertex of its own. The
   * response has "containerimage.digest", "containerimage.config.digest", "containerimage.descriptor" (base64 of JSON),
   * "image.name", "cache.manifest" as the exports gave them. `steps` are those of all platforms, inputs before what is
   * made of them. Throws "invalid" for attributes that are wrong, "not-implemented" for what this engine does not export.
   */
  run(
    solved: Solved,
    steps: readonly ExportableStep[],
    options: ExportOptions,
    report: ReportBuild,
    signal: AbortSignal,
  ): Promise<ExportedBuild>
}

/** What `--cache-from` brought (openImportedCaches in open.ts; holds what it brings by the solve's own hold): asked by key when the own cache has nothing. */
export interface ImportedCache {
  /**
   * Resolves when the cache mounts that were asked for (`cache-mounts=true`) are in their places, at once when none were:
   * to be waited for before the first step runs. Never rejects but for the signal.
   */
  ready(): Promise<void>
  find(key: string): Promise<CacheRecord | undefined>
  /**
   * Brings the layers of a record into the store. Throws when they cannot be had or are not what was announced: the step
   * is to be run then, as if nothing had been found.
   */
  bring(record: CacheRecord, signal: AbortSignal): Promise<LayersTree>
}
