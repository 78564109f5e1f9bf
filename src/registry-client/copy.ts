// Copies an image from one repository to another: bytes flow through, nothing is kept, what is there is not sent again.

import { errorKind, failure } from "../base/errors.ts"
import { parseJsonObject } from "../base/json-bounded.ts"
import { Limiter } from "../base/limiter.ts"
import { type Descriptor, parseDescriptor } from "../oci/descriptor.ts"
import { manifestsFor, parseIndex } from "../oci/index.ts"
import { isForeignLayerType, isIndexType } from "../oci/media-types.ts"
import { formatPlatform, type Platform } from "../oci/platform.ts"
import { signatureTag } from "../oci/signature.ts"
import type { RemoteDocument, RemoteRepository } from "./registry-client.ts"

export interface CopyRequest {
  readonly from: RemoteRepository
  readonly to: RemoteRepository
  /** Tag or digest. */
  readonly source: string
  /** Tag; undefined = by digest only. */
  readonly target?: string
  /** Only what suits this platform, instead of the whole index. */
  readonly platform?: Platform
  /** Path of the source when both are at one registry, where blobs need not travel. */
  readonly mountFrom?: string
  /** Signatures and other referrers travel too. */
  readonly referrers: boolean
  readonly report: (step: CopyStep) => void
  readonly signal?: AbortSignal
}

export interface CopyStep {
  readonly digest: string
  readonly size: number
  readonly what: "there" | "mounted" | "copied" | "manifest"
}

const blobsAtOnce = 4
const deepestIndex = 4

/** Config and layers of any manifest, artifacts included; foreign layers stay where they are. */
const blobsOf = (document: RemoteDocument): Descriptor[] => {
  const what = `the manifest ${document.digest}`
  const { config, layers } = parseJsonObject(document.bytes, what)
  const all: unknown[] = [config, ...(Array.isArray(layers) ? layers : [])]
  const unique = new Map<string, Descriptor>()
  for (const entry of all) {
    const descriptor = parseDescriptor(entry, `an entry of ${what}`)
    if (!isForeignLayerType(descriptor.mediaType)) unique.set(descriptor.digest, descriptor)
  }
  return [...unique.values()]
}

class Copy {
  readonly #request: CopyRequest
  readonly #blobs = new Limiter(blobsAtOnce)
  readonly #done = new Set<string>()

  constructor(request: CopyRequest) {
    this.#request = request
  }

  async run(): Promise<string> {
    const { from, source, target, platform, signal } = this.#request
    let document = await from.document(source, signal)
    for (let depth = 0; platform !== undefined && isIndexType(document.mediaType); depth++) {
      const [chosen] = manifestsFor(parseIndex(document.bytes, `the index of ${from.name}`), platform)
      if (chosen === undefined || depth >= deepestIndex)
        throw failure(
          "not-found",
          `no matching manifest for ${formatPlatform(platform)} in the manifest list entries of ${from.name}`,
        )
      document = await from.document(chosen.digest, signal)
    }
    await this.#document(document, target ?? document.digest, 0)
    return document.digest
  }

  /** Everything that a document needs, then the document itself. */
  async #document(document: RemoteDocument, reference: string, depth: number): Promise<void> {
    const { from, to, report, referrers, signal } = this.#request
    if (this.#done.has(document.digest) && reference === document.digest) return
    this.#done.add(document.digest)
    if (depth > deepestIndex)
      throw failure(
        "invalid",
        `cannot copy ${from.name}: its indexes nest deeper than ${deepestIndex} levels`,
      )
    if (isIndexType(document.mediaType)) {
      const index = parseIndex(document.bytes, `the index ${document.digest} of ${from.name}`)
      for (const { digest } of index.manifests)
        await this.#document(await from.document(digest, signal), digest, depth + 1)
    } else await Promise.all(blobsOf(document).map((blob) => this.#blobs.run(() => this.#blob(blob))))
    await to.putDocument(reference, { bytes: document.bytes, mediaType: document.mediaType }, signal)
    report({ digest: document.digest, size: document.bytes.length, what: "manifest" })
    if (referrers) await this.#referrersOf(document.digest, depth)
  }

  async #referrersOf(digest: string, depth: number): Promise<void> {
    const { from, signal } = this.#request
    for (const entry of (await from.referrers(digest, undefined, signal)).manifests)
      await this.#document(await from.document(entry.digest, signal), entry.digest, depth + 1)
    const tag = signatureTag(digest)
    const signature = await from.document(tag, signal).catch((error: unknown) => {
      if (errorKind(error) === "not-found") return undefined
      throw error
    })
    if (signature !== undefined) await this.#document(signature, tag, depth + 1)
  }

  async #blob(blob: Descriptor): Promise<void> {
    const { from, to, mountFrom, report, signal } = this.#request
    const { digest, size } = blob
    if (await to.hasBlob(digest, signal)) {
      report({ digest, size, what: "there" })
      return
    }
    const { mountedFrom } = await to.putBlob(
      { digest, size, open: (start) => from.blob(blob, start, signal) },
      { from: mountFrom === undefined ? [] : [mountFrom], ...(signal === undefined ? {} : { signal }) },
    )
    report({ digest, size, what: mountedFrom === undefined ? "copied" : "mounted" })
  }
}

/** Copies one tag or digest; an index with all its manifests. Gives the digest that the target has now. */
export const copyImage = (request: CopyRequest): Promise<string> => new Copy(request).run()
