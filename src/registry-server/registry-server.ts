// Door. The built-in registry: the OCI distribution specification 1.1 over a content store.
import type { Server } from "node:http"
import type { ContentStore } from "../content/content.ts"
import type { State } from "../state/state.ts"
import { type Collected, type CollectOptions, collectGarbage } from "./collect.ts"
import { openRepositories } from "./repositories.ts"
import { type Access, createRegistryServer } from "./server.ts"
import type { ServedImages, Store } from "./store.ts"
import { Uploads } from "./uploads.ts"
import { Cache, type Upstream } from "./upstream.ts"

export type { Collected, CollectOptions } from "./collect.ts"
export type { Access } from "./server.ts"
export type { ServedImages } from "./store.ts"
export type { Upstream } from "./upstream.ts"

export interface RegistryOptions extends Access {
  readonly state: State
  readonly content: ContentStore
  /** Directory of unfinished uploads, on the content store's file system. */
  readonly uploads: string
  /** Makes this registry a cache of another. */
  readonly upstream?: Upstream
  /** Images to be served where they lie, besides what is pushed. */
  readonly images?: ServedImages
  /**
   * Who else uses the content store: `during` keeps it from being swept while a request writes, `released` names blobs
   * that the registry holds no more. Without an owner the registry removes them itself.
   */
  readonly owner?: {
    during<T>(work: () => Promise<T>): Promise<T>
    released(digests: readonly string[]): void
  }
}

export interface Registry {
  /** Answers requests once it listens; several may be made. */
  createServer(): Server
  /** Removes what no manifest needs, while requests are answered. */
  collect(options: CollectOptions): Promise<Collected>
  /** Removes blobs that nobody claims, which a crash may have left. Only for a registry that owns its content store. */
  recover(): Promise<void>
  /** Ends unfinished uploads. */
  close(): Promise<void>
}

/** Opens the registry of a data directory. */
export const openRegistry = (options: RegistryOptions): Registry => {
  const { content, owner } = options
  const repositories = openRepositories(options.state)
  const remove = (digests: readonly string[]): void => {
    for (const digest of digests) if (!repositories.isHeld(digest)) void content.remove(digest)
  }
  const store: Store = {
    content,
    repositories,
    uploads: options.uploads,
    ...(options.images === undefined ? {} : { images: options.images }),
    ...(options.upstream === undefined
      ? {}
      : { cache: new Cache(options.upstream, { content, repositories }) }),
    writing: (work) => (owner === undefined ? work() : owner.during(work)),
    released: (digests) => (owner === undefined ? remove(digests) : owner.released(digests)),
  }
  const uploads = new Uploads(store)
  return {
    createServer: () => createRegistryServer(store, uploads, options),
    collect: (how) => collectGarbage(store, how),
    async recover() {
      if (owner !== undefined) return
      await content.recover()
      const unclaimed: string[] = []
      for await (const { digest } of content.list()) if (!repositories.isHeld(digest)) unclaimed.push(digest)
      remove(unclaimed)
    },
    close: () => uploads.close(),
  }
}

export {
  collectOnce,
  controlSocket,
  type Standalone,
  type StandaloneOptions,
  serveRegistry,
} from "./standalone.ts"
