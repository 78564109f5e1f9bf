// The layers of one pull: downloads begin together, and each layer is unpacked over its parent while its bytes come in.
import { withBallast } from "../../base/ballast.ts"
import { type DecompressionBounds, decompress } from "../../base/decompress.ts"
import { verified } from "../../base/digest-stream.ts"
import { Failure, failure } from "../../base/errors.ts"
import { shortId } from "../../base/ids.ts"
import { Limiter } from "../../base/limiter.ts"
import type { Events } from "../../events/events.ts"
import { extendChain } from "../../oci/chain-id.ts"
import type { Descriptor } from "../../oci/descriptor.ts"
import type { Registries, RemoteRepository } from "../../registry-client/registry-client.ts"
import type { ImageRecord } from "../../state/state.ts"
import type { ImageProgress } from "../images.ts"
import type { Workshop } from "../making/create.ts"
import type { Policy } from "../trust/policy.ts"
import type { Download, DownloadState, Downloads } from "./downloads.ts"

export interface PullParts extends Workshop {
  readonly registries: Registries
  readonly downloads: Downloads
  readonly events: Events
  /** Which images must prove a signature before they are taken in. */
  readonly policy: Policy
}

/** What was being done belongs to the failure; its kind stays. */
export const during = (error: unknown, sentence: string): unknown =>
  error instanceof Failure && !error.message.startsWith("cannot ")
    ? failure(error.kind, `${sentence}: ${error.message}`, { cause: error })
    : error

/** A layer may be as large as the disk: docker sets no bound either, and a full disk is told clearly. */
const noBounds: DecompressionBounds = {
  maximumBytes: Number.POSITIVE_INFINITY,
  maximumRatio: Number.POSITIVE_INFINITY,
  ratioFreeBytes: Number.POSITIVE_INFINITY,
}

/** Layers unpacked at once: one more than keeps a processor busy. */
const mostCommits = 2

/** Milliseconds between two lines of the same layer. */
const interval = 100

interface Layer {
  readonly blob: Descriptor
  readonly diffId: string
  readonly chainId: string
  readonly parent: string
}

type Tell = (status: string, current?: number) => void

/** Tells of one layer, not too often. */
const teller = (layer: Layer, report: (progress: ImageProgress) => void): Tell => {
  const id = shortId(layer.blob.digest)
  const { size: total } = layer.blob
  let last = 0
  return (status, current) => {
    if (current === undefined) {
      report({ id, status, layer: true })
      return
    }
    const now = performance.now()
    if (now - last < interval && current < total) return
    last = now
    report({ id, status, current, total, layer: true })
  }
}

const words = (tell: Tell) => (state: DownloadState) => {
  switch (state.kind) {
    case "waiting":
      return tell("Waiting")
    case "downloading":
      return tell("Downloading", state.current)
    case "verifying":
      return tell("Verifying Checksum")
    case "complete":
      return tell("Download complete")
  }
}

/** Bytes passed on, telling how far they are once the download does not tell any more. */
async function* extracting(
  source: AsyncIterable<Uint8Array>,
  tell: Tell,
  complete: () => boolean,
): AsyncGenerator<Uint8Array> {
  let bytes = 0
  for await (const chunk of source) {
    bytes += chunk.length
    if (complete()) tell("Extracting", bytes)
    yield chunk
  }
}

/** Resolves when all layers are committed; gives them lowest first. What was begun is stopped when it throws. */
export const pullLayers = async (
  parts: PullParts,
  remote: RemoteRepository,
  wanted: {
    layers: readonly Descriptor[]
    diffIds: readonly string[]
  },
  report: (progress: ImageProgress) => void,
  signal?: AbortSignal,
): Promise<ImageRecord["layers"]> => {
  const { content, snapshots, state } = parts
  const { passing } = parts.blobs
  const known = new Map(
    state.images
      .list()
      .flatMap((record) => record.layers.map((layer) => [`${layer.diffId} ${layer.blob}`, layer] as const)),
  )
  let parent = ""
  const layers = wanted.layers.map((blob, at): Layer => {
    const diffId = wanted.diffIds[at] ?? ""
    const chainId = extendChain(parent, diffId)
    const layer = { blob, diffId, chainId, parent }
    parent = chainId
    return layer
  })
  const tellers = new Map(layers.map((layer) => [layer, teller(layer, report)] as const))
  const tellOf = (layer: Layer): Tell => tellers.get(layer) ?? (() => {})
  /** Its files are here, and so is the blob that they came from, unless that is not kept. */
  const present = (layer: Layer): boolean =>
    snapshots.has(layer.chainId) &&
    (content.has(layer.blob.digest) || snapshots.tar(layer.chainId) !== undefined) &&
    (layer.blob.digest === layer.diffId || known.has(`${layer.diffId} ${layer.blob.digest}`))

  const downloads = new Map<Layer, Download>()
  const stopping = new AbortController()
  const stopped = signal === undefined ? stopping.signal : AbortSignal.any([signal, stopping.signal])
  const commit = async (
    layer: Layer,
    parentReady: Promise<unknown>,
  ): Promise<ImageRecord["layers"][number]> => {
    const { blob, diffId, chainId } = layer
    const tell = tellOf(layer)
    const download = downloads.get(layer)
    let complete = download === undefined
    download?.done.then(
      () => {
        complete = true
      },
      () => {},
    )
    const what = `layer ${blob.digest}`
    // The tar is written as it comes, a chunk behind.
    const reuse = passing
    const tar = (): AsyncIterable<Uint8Array> => {
      const source = download === undefined ? content.open(blob.digest) : download.follow({ reuse })
      const raw = extracting(source, tell, () => complete)
      return blob.digest === diffId
        ? raw
        : verified(decompress(raw, what, noBounds, { reuse }), { digest: diffId }, what)
    }
    try {
      // The files are there already, but this blob must prove that it is what it claims to be.
      if (snapshots.has(chainId) && !present(layer)) for await (const _ of tar()) stopped.throwIfAborted()
      const { size } = await snapshots.commitLayer({
        chainId,
        parent: layer.parent,
        tar: tar(),
        parentReady,
        signal: stopped,
      })
      // Another pull may have brought the files while this one waited; the blob must be whole all the same.
      await download?.done
      download?.release()
      tell("Pull complete")
      return { diffId, blob: blob.digest, size }
    } catch (error) {
      signal?.throwIfAborted()
      throw during(error, `cannot unpack the ${what} of ${remote.name}`)
    }
  }

  const limiter = new Limiter(mostCommits)
  const committed: Promise<ImageRecord["layers"][number]>[] = []
  try {
    const missing = layers.filter((layer) => !present(layer))
    for (const layer of layers) tellOf(layer)(missing.includes(layer) ? "Pulling fs layer" : "Already exists")
    for (const layer of missing) {
      if (content.has(layer.blob.digest)) tellOf(layer)("Download complete")
      else
        downloads.set(layer, parts.downloads.get(layer.blob, remote, { passing, tell: words(tellOf(layer)) }))
    }
    // One that fails ends the pull now, not when its turn comes.
    const failed = Promise.withResolvers<never>()
    failed.promise.catch(() => {})
    for (const download of downloads.values()) download.done.catch(failed.reject)
    let parentReady: Promise<unknown> = Promise.resolve()
    for (const layer of layers) {
      const before = missing.includes(layer) ? undefined : known.get(`${layer.diffId} ${layer.blob.digest}`)
      const ready = parentReady
      const one = before === undefined ? limiter.run(() => commit(layer, ready)) : Promise.resolve(before)
      one.catch(() => {})
      parentReady = one
      committed.push(one)
    }
    return await withBallast(() => Promise.race([Promise.all(committed), failed.promise]))
  } finally {
    for (const download of downloads.values()) download.release()
    stopping.abort(failure("cancelled", "the pull was stopped"))
    await Promise.allSettled(committed)
  }
}
