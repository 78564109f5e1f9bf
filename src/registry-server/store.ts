// Where the registry's bytes lie: the content store, into which finished uploads move without being copied.
import type { ContentStore } from "../content/content.ts"
import type { Repositories } from "./repositories.ts"
import type { Cache } from "./upstream.ts"

/** The content store's name for what a repository holds. */
export const contentOf = ({ content, digest }: { content?: string; digest: string }): string =>
  content ?? digest

/** What the endpoints work on. */
export interface Store {
  readonly content: ContentStore
  readonly repositories: Repositories
  /** Where what is not here comes from; absent for a registry of its own. */
  readonly cache?: Cache
  /** Directory of unfinished uploads, on the content store's file system. */
  readonly uploads: string
  /** Runs work that ingests blobs before a repository holds them: the content store is not swept meanwhile. */
  writing<T>(work: () => Promise<T>): Promise<T>
  /** Called for digests that a repository held until now; whoever owns the content store removes what nobody needs. */
  released(digests: readonly string[]): void
}
