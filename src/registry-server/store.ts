// Where the registry's bytes lie: the content store, into which finished uploads move without being copied.
import type { ContentStore } from "../content/content.ts"
import type { Repositories } from "./repositories.ts"
import type { Cache } from "./upstream.ts"

/** The content store's name for what a repository holds. */
export const contentOf = ({ content, digest }: { content?: string; digest: string }): string =>
  content ?? digest

/** Images that are served where they lie. What was pushed under the same name comes first. */
export interface ServedImages {
  repositories(): string[]
  tags(repository: string): string[]
  /** By tag or digest. */
  manifest(
    repository: string,
    reference: string,
  ): Promise<{ bytes: Uint8Array; mediaType: string; digest: string } | undefined>
  blob(
    repository: string,
    digest: string,
  ): { size: number; open(from: number): AsyncIterable<Uint8Array> } | undefined
}

/** What the endpoints work on. */
export interface Store {
  readonly content: ContentStore
  readonly repositories: Repositories
  /** Where what is not here comes from; absent for a registry of its own. */
  readonly cache?: Cache
  /** Images of the engine that serves this registry; absent for a registry of its own. */
  readonly images?: ServedImages
  /** Directory of unfinished uploads, on the content store's file system. */
  readonly uploads: string
  /** Runs work that ingests blobs before a repository holds them: the content store is not swept meanwhile. */
  writing<T>(work: () => Promise<T>): Promise<T>
  /** Called for digests that a repository held until now; whoever owns the content store removes what nobody needs. */
  released(digests: readonly string[]): void
}
