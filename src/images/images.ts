// Contract. Local images: names, configs, import, load, save, history, removal.
import type { RootMount } from "../kernel/mount.ts"
import type { ConfigDocument } from "../oci/config.ts"
import type { ExecutionConfig } from "../oci/execution-config.ts"
import type { Platform } from "../oci/platform.ts"
import type { Credentials, Registries } from "../registry-client/registry-client.ts"
import type { ImageRecord } from "../state/state.ts"
import type { FileChange } from "./making/compare.ts"
import type { PublishedImages } from "./published.ts"

export type { ExecutionConfig as ImageConfig } from "../oci/execution-config.ts"

/** An image with everything that inspect shows. */
export interface Image extends ImageRecord, ConfigDocument {
  /** "name:tag" in familiar form, sorted. */
  readonly tags: readonly string[]
  /** "name@sha256:…" in familiar form. */
  readonly digests: readonly string[]
}

export interface RemovedImage {
  readonly untagged?: string
  readonly deleted?: string
}

/** Progress of long work, one line of Docker's JSON stream each (the face formats it). */
export interface ImageProgress {
  readonly id?: string
  readonly status: string
  readonly current?: number
  readonly total?: number
  /** Whether the line is one of a layer's, which a terminal draws over its last one. */
  readonly layer?: boolean
  /** A manifest that a push has stored. */
  readonly stored?: { readonly tag: string; readonly digest: string; readonly size: number }
}

export interface PullRequest {
  /** "name:tag" or "name@digest"; all tags of the repository with `all`. */
  readonly reference: string
  readonly all?: boolean
  /** "linux/arm64"; the host's when absent. */
  readonly platform?: string | undefined
  readonly credentials?: Credentials | undefined
}

export interface PushRequest {
  /** "name:tag", or a name with `all` for all its tags. */
  readonly reference: string
  readonly all?: boolean
  /** What the image must be for, when given; an image here is for one platform. */
  readonly platform?: Platform | undefined
  readonly credentials?: Credentials | undefined
}

/** An image that was made from layers in the store. */
export interface NewBuiltImage {
  readonly config: Omit<ConfigDocument, "document">
  /** Config as it is to be stored, where it holds more than `config` tells; else it is encoded. */
  readonly document?: Uint8Array
  readonly layers: ImageRecord["layers"]
  readonly chainId: string
  /** Id of the image below, "" = none. */
  readonly parent: string
  readonly names: readonly string[]
}

/** What some work needs although no image refers to it yet; ends with the process, too. */
export interface Hold {
  /** A blob that is needed now and may turn out to belong to nobody. To be named before or right after it is written. */
  suspect(blob: string): void
  /** Committed snapshots, there already or not yet (to be named before they are committed). */
  keep(chainIds: readonly string[]): void
  release(): void
}

export interface Images {
  /** By full or short id, "name", "name:tag", "name@digest". Throws not-found ("No such image: x") or conflict (ambiguous). */
  get(reference: string): Promise<Image>
  find(reference: string): Promise<Image | undefined>
  list(): Promise<Image[]>
  /** docker-archive and oci-archive tars (plain, gzip, zstd), possibly several images. Reports as it goes; returns what was loaded ("busybox:latest" or an image id). */
  load(
    tar: AsyncIterable<Uint8Array>,
    report: (progress: ImageProgress) => void,
    signal?: AbortSignal,
  ): Promise<string[]>
  /** A tar that is both a docker-archive and an OCI layout. */
  save(references: readonly string[], signal?: AbortSignal): AsyncIterable<Uint8Array>
  /** A root file system tar (plain, gzip, zstd) becomes a one-layer image. `changes` are Dockerfile instructions (CMD, ENV, …). Returns the image id. */
  import(
    tar: AsyncIterable<Uint8Array>,
    options: { reference?: string; message?: string; changes?: readonly string[]; platform?: string },
    signal?: AbortSignal,
  ): Promise<string>
  /**
   * From a registry. Reports in Docker's words; resolves with the ids. The name is written last: until then nothing has
   * changed. Failures name registry, repository and step.
   */
  pull(
    request: PullRequest,
    report: (progress: ImageProgress) => void,
    signal?: AbortSignal,
  ): Promise<string[]>
  /** To a registry: the same bytes that were pulled, when it was pulled. Resolves with the manifests' digests. */
  push(
    request: PushRequest,
    report: (progress: ImageProgress) => void,
    signal?: AbortSignal,
  ): Promise<string[]>
  /** The registries that images come from, for what else is asked of them. */
  readonly registries: Registries
  tag(source: string, target: string): Promise<void>
  /** `users` are ids of containers by image id, so that conflicts are told as Docker does. */
  remove(
    reference: string,
    options: { force: boolean; prune: boolean },
    users: (imageId: string) => readonly { id: string; running: boolean }[],
  ): Promise<RemovedImage[]>
  prune(
    options: { all: boolean; until?: number; labels: readonly string[] },
    users: (imageId: string) => readonly { id: string; running: boolean }[],
  ): Promise<{ removed: RemovedImage[]; reclaimed: number }>
  /**
   * Removes dangling images that nobody uses, the one used least recently first, until layers and blobs take at most
   * `budget` bytes. Tells what they take then.
   */
  trim(
    budget: number,
    users: (imageId: string) => readonly { id: string; running: boolean }[],
    lastUsed: (image: ImageRecord) => number,
  ): Promise<{ removed: RemovedImage[]; stored: number }>
  /** A new image from a container's writable layer (docker commit). Returns the image id. */
  commit(request: {
    snapshotKey: string
    parent: Image
    reference?: string
    author?: string
    comment?: string
    config: ExecutionConfig
    createdBy: string
  }): Promise<string>
  /** A new image with all files of this one in a single layer. Returns its id. */
  squash(reference: string, options: { reference?: string }, signal?: AbortSignal): Promise<string>
  /** How the files of the second image differ from those of the first, sorted by path; times are not looked at. */
  compare(from: string, to: string): Promise<FileChange[]>
  /** A read-only root of the image, for looking into it. */
  view(image: Image): RootMount
  /** What a registry serves of the images whose names begin with one of these domains. */
  published(domains: readonly string[]): PublishedImages
  /** For whoever else keeps blobs and layers in the engine's stores. */
  sharing: {
    /** Nothing is swept while work runs. */
    during<T>(work: () => Promise<T>): Promise<T>
    /** What somebody kept until now: goes when no image needs it, layers that nobody needs as well. */
    released(blobs: readonly string[]): void
    /** Holds blobs and layers that nothing refers to yet, until it is released. */
    hold(): Hold
    /** Bytes of committed layers and of blobs, whoever needs them. */
    stored(): Promise<number>
    /** Layers of a stack, from its top, that no image, container, cache or hold needs: what their removal would give back. */
    unneeded(chainId: string): string[]
  }
  /**
   * A new image of committed layers: writes its config, then the image and, last, its names ("name:tag"). Resolves with
   * its id; an image that is there already keeps what it was, and gets the names.
   */
  register(image: NewBuiltImage): Promise<string>
  /** `lost`: layers that had not reached the disk when the machine went down (Snapshotter.recover). */
  recover(lost?: readonly string[]): Promise<void>
}

export {
  gzipped,
  type LayerBlobs,
  type LayerBytes,
  openLayerBlobs,
  ownRecipe,
  type PlacedLayer,
  placedLayers,
} from "./keeping/layer-blobs.ts"
export { applyChanges } from "./making/changes.ts"
export type { FileChange } from "./making/compare.ts"
export { openImages } from "./open.ts"
export type { PublishedBlob, PublishedDocument, PublishedImages } from "./published.ts"
export { inspectRemote, type RemoteImage } from "./pull/inspect-remote.ts"
export { type ResolvedManifest, resolveManifest } from "./pull/resolve.ts"
export { acceptAll, type Policy, readPolicy } from "./trust/policy.ts"
export { findProof } from "./trust/signatures.ts"
