// A pull-through cache: what this registry lacks comes from another, is served while it comes, and is kept.
import { errorKind, errorMessage } from "../base/errors.ts"
import { isJsonObject, parseJsonObject } from "../base/json-bounded.ts"
import { createLog } from "../base/log.ts"
import type { ContentStore, Incoming } from "../content/content.ts"
import { type Descriptor, parseDescriptor } from "../oci/descriptor.ts"
import type { RemoteDocument, RemoteRepository } from "../registry-client/registry-client.ts"
import { readManifest, recordOf } from "./manifest-document.ts"
import { isTag } from "./names.ts"
import { Refusal } from "./refusal.ts"
import type { Repositories } from "./repositories.ts"

const log = createLog("registry")

export interface Upstream {
  /** The repository there that one here stands for. */
  repository(name: string): RemoteRepository
  /** Milliseconds that a tag is believed before it is looked at again. */
  readonly freshFor: number
}

/** What the cache works on: a part of the registry's store. */
interface CacheStore {
  readonly content: ContentStore
  readonly repositories: Repositories
}

const refusalOf = (error: unknown, what: string): Refusal => {
  const kind = errorKind(error)
  if (kind === "not-found") return new Refusal("MANIFEST_UNKNOWN", "manifest unknown")
  if (kind === "unauthorized" || kind === "forbidden")
    return new Refusal("DENIED", `the upstream registry refuses ${what}: ${errorMessage(error)}`)
  return new Refusal("UNAVAILABLE", `the upstream registry does not give ${what}: ${errorMessage(error)}`, {
    status: 502,
    cause: error,
  })
}

/** Everything that a manifest refers to by size. */
const descriptorsIn = (bytes: Uint8Array): Descriptor[] => {
  const { config, layers, manifests } = parseJsonObject(bytes, "a cached manifest")
  const entries: unknown[] = [
    config,
    ...(Array.isArray(layers) ? layers : []),
    ...(Array.isArray(manifests) ? manifests : []),
  ]
  return entries.filter(isJsonObject).map((entry) => parseDescriptor(entry, "an entry of a cached manifest"))
}

export class Cache {
  readonly #upstream: Upstream
  readonly #store: CacheStore
  /** When a tag was last compared with the upstream's, unix milliseconds. */
  readonly #looked = new Map<string, number>()
  /** Documents and blobs that are coming, so that many who ask cost one download. */
  readonly #documents = new Map<string, Promise<void>>()
  readonly #incoming = new Map<string, Promise<Incoming>>()

  constructor(upstream: Upstream, store: CacheStore) {
    this.#upstream = upstream
    this.#store = store
  }

  /**
   * Makes the repository have what the reference names upstream now. An upstream that cannot be reached is no failure
   * while an older answer is here. Throws a refusal.
   */
  async refresh(repository: string, reference: string): Promise<void> {
    const key = `${repository}:${reference}`
    const pending = this.#documents.get(key)
    if (pending !== undefined) return pending
    const work = this.#refresh(repository, reference, key).finally(() => this.#documents.delete(key))
    this.#documents.set(key, work)
    return work
  }

  async #refresh(repository: string, reference: string, key: string): Promise<void> {
    const { repositories } = this.#store
    const known = isTag(reference) ? repositories.tagged(repository, reference) : reference
    const here = known !== undefined && repositories.manifest(repository, known) !== undefined
    if (here && !isTag(reference)) return
    if (here && Date.now() - (this.#looked.get(key) ?? 0) < this.#upstream.freshFor) return
    try {
      const remote = this.#upstream.repository(repository)
      const found = here ? await remote.look(reference) : undefined
      if (found === undefined || found.digest !== known)
        await this.#keep(repository, reference, await remote.document(reference))
      this.#looked.set(key, Date.now())
    } catch (error) {
      if (!here || errorKind(error) === "not-found") throw refusalOf(error, `${repository}:${reference}`)
      log.warn("the upstream registry does not answer: an older manifest is served", {
        reference: key,
        error: errorMessage(error),
      })
    }
  }

  async #keep(repository: string, reference: string, document: RemoteDocument): Promise<void> {
    const { content, repositories } = this.#store
    const { bytes, digest, mediaType } = document
    const manifest = readManifest(bytes, mediaType)
    async function* once() {
      yield bytes
    }
    await content.ingest(once(), { digest })
    await content.sync()
    const record = recordOf(manifest, { repository, digest, stored: digest, size: bytes.length })
    repositories.putManifest(record, isTag(reference) ? reference : undefined)
  }

  /**
   * A blob that is not here: its size, and its bytes while they come. Undefined when no manifest of the repository
   * names it. Throws a refusal.
   */
  async fetch(
    repository: string,
    digest: string,
  ): Promise<{ size: number; bytes: AsyncIterable<Uint8Array> } | undefined> {
    const descriptor = await this.#describe(repository, digest)
    if (descriptor === undefined) return undefined
    let incoming = this.#incoming.get(digest)
    if (incoming === undefined) {
      incoming = this.#begin(repository, descriptor)
      this.#incoming.set(digest, incoming)
    }
    try {
      return { size: descriptor.size, bytes: (await incoming).follow() }
    } catch (error) {
      throw refusalOf(error, `${repository}@${digest}`)
    }
  }

  async #describe(repository: string, digest: string): Promise<Descriptor | undefined> {
    const { content, repositories } = this.#store
    for (const record of repositories.manifests(repository)) {
      if (!record.references.includes(digest)) continue
      const found = descriptorsIn(await content.read(record.digest)).find((entry) => entry.digest === digest)
      if (found !== undefined) return found
    }
    return undefined
  }

  async #begin(repository: string, descriptor: Descriptor): Promise<Incoming> {
    const { digest, size } = descriptor
    const incoming = await this.#store.content.receive({ digest, size }).catch((error: unknown) => {
      this.#incoming.delete(digest)
      throw error
    })
    void this.#download(repository, descriptor, incoming).finally(() => this.#incoming.delete(digest))
    return incoming
  }

  async #download(repository: string, descriptor: Descriptor, incoming: Incoming): Promise<void> {
    const { content, repositories } = this.#store
    const { digest, size } = descriptor
    try {
      for await (const chunk of this.#upstream.repository(repository).blob(descriptor, 0))
        await incoming.write(chunk)
      await incoming.finish()
      await content.sync()
      repositories.linkBlob({ repository, digest, size })
    } catch (error) {
      log.warn("a blob did not come from the upstream registry", {
        blob: `${repository}@${digest}`,
        error: errorMessage(error),
      })
      await incoming.abandon(error)
    }
  }
}
