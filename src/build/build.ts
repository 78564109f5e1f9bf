// Contract. Builds images: Dockerfile and context in, layers in the engine's own store out; no export step for local images.
import type { Duplex } from "node:stream"
import type { ConfigDocument } from "../oci/config.ts"
import type { Platform } from "../oci/platform.ts"
import type { Credentials } from "../registry-client/registry-client.ts"
import type { BuildHistoryRecord, ImageRecord, Ulimit } from "../state/state.ts"
import type { CacheUsage, CacheUseFilter } from "./cache/cache.ts"
import type { ReportBuild } from "./progress.ts"

/** Where files of a build come from. */
export type ContextSource =
  /** A directory of this machine, read in place (`sloop build`), never written to. */
  | { readonly type: "directory"; readonly path: string }
  /** A tar (plain, gzip, bzip2, xz, zstd) that flows in; unpacked for the time of the build. */
  | { readonly type: "tar"; readonly bytes: AsyncIterable<Uint8Array> }
  /** Files that a client sends as they are wanted; kept between builds under `key`, so that only changes travel. */
  | { readonly type: "synced"; readonly sync: FileSync; readonly name: string; readonly key: string }
  /** "https://…" of a tar or one file, or a Git address ("https://…/x.git#ref:subdir", "git@host:x.git", "git://…"). */
  | { readonly type: "remote"; readonly url: string }
  /** An image, for named contexts ("docker-image://alpine"). */
  | { readonly type: "image"; readonly reference: string }
  /** An OCI layout that a client holds: "oci-layout://…"; blobs are asked for by digest. */
  | {
      readonly type: "layout"
      readonly digest: string
      readonly read: (digest: string) => AsyncIterable<Uint8Array>
    }
  /** What another build made, still held by its `Solved`: a target that is another's context (bake). */
  | { readonly type: "result"; readonly image: BuiltImage }
  /** Nothing at all. */
  | { readonly type: "empty" }

/** A client's side of file synchronisation (BuildKit's session): the files beneath one of its directories. */
export interface FileSync {
  /**
   * Entries in the protocol's order (parents first, siblings by name), filtered by the patterns. A regular file's bytes are
   * read by `open` while the iteration lasts; whoever does not open a file never gets its bytes over the wire. Whoever opens
   * one reads it to its end, and several at once side by side: their bytes come over one stream. The iteration ends when all
   * that was opened has been read.
   */
  entries(
    name: string,
    filter: {
      readonly include: readonly string[]
      readonly exclude: readonly string[]
      readonly follow: readonly string[]
    },
    signal: AbortSignal,
  ): AsyncIterable<SyncedEntry>
}

export interface SyncedEntry {
  /** Relative, "/" between parts, no leading slash; bytes as Latin-1 never occur: paths are UTF-8. */
  readonly path: string
  /** st_mode: type and permission bits. */
  readonly mode: number
  readonly uid: number
  readonly gid: number
  readonly size: number
  /** Nanoseconds since 1970. */
  readonly mtime: bigint
  /** Target of a symbolic link, or the path of the first name of a hard link; "" else. */
  readonly link: string
  readonly xattrs: ReadonlyMap<string, Uint8Array>
  open(): AsyncIterable<Uint8Array>
}

/** A secret's bytes when a step asks for them; undefined = there is none of that id. Never logged or stored. */
export type SecretSource = (id: string, signal: AbortSignal) => Promise<Uint8Array | undefined>
/** A connection to the client's SSH agent of that id, one for each that a step opens; undefined = there is none. */
export type SshSource = (id: string) => Promise<Duplex | undefined>

export interface BuildRequest {
  /** Chosen by the client, or made here: names the build in progress, history and cancellation. */
  readonly id?: string
  readonly context: ContextSource
  /** Text given beside the context (`-f -`, a client's file); else `dockerfilePath` within `dockerfileContext` or the context. */
  readonly dockerfile?: Uint8Array
  readonly dockerfileContext?: ContextSource
  /** "Dockerfile" when absent; relative to its context. */
  readonly dockerfilePath?: string
  readonly namedContexts: ReadonlyMap<string, ContextSource>
  readonly target: string
  /** undefined as a value: declared without one (`--build-arg X` with X unset): as if not given. */
  readonly buildArgs: ReadonlyMap<string, string>
  readonly labels: ReadonlyMap<string, string>
  /** Empty = the host's. */
  readonly platforms: readonly Platform[]
  readonly noCache: boolean
  /** Stages whose steps are not taken from the cache. */
  readonly noCacheFilter: readonly string[]
  readonly pull: boolean
  /** "name:address", as --add-host has them. */
  readonly extraHosts: readonly string[]
  /** "" or "default", "none", "host", or a network's name (classic builds). */
  readonly network: string
  /** Bytes; 0 = default. */
  readonly shmSize: number
  readonly ulimits: readonly Ulimit[]
  readonly cgroupParent: string
  /** Limits of the classic builder (--memory, --cpus …); 0 = none. */
  readonly memory: number
  readonly memorySwap: number
  readonly cpuShares: number
  readonly cpuQuota: number
  readonly cpuPeriod: number
  readonly cpusetCpus: string
  readonly cpusetMems: string
  /** "network.host", "security.insecure". Without an entitlement a step that needs it is refused before anything runs. */
  readonly entitlements: readonly string[]
  readonly secrets: SecretSource
  readonly ssh: SshSource
  /** Credentials for a registry's domain. */
  readonly credentials: (domain: string, signal: AbortSignal) => Promise<Credentials | undefined>
  readonly cacheFrom: readonly CacheLocation[]
  /** "builder" for all but `docker build` with DOCKER_BUILDKIT=0: differs in history texts and few defaults. */
  readonly face: "builder" | "classic"
  /** Keeps sent contexts and cache mounts of equal names apart; absent in all but tests. */
  readonly scope?: string
}

/** An import or export of cache: type "registry", "local", "inline" and its attributes as given (ref, src, dest, mode …). */
export interface CacheLocation {
  readonly type: string
  readonly attributes: ReadonlyMap<string, string>
  /** "local": the client's directory (src or dest) as its face reaches it; without one such a cache is refused. */
  readonly directory?: CacheDirectory
}

/** A client's directory in the OCI image layout; whoever holds it keeps its index.json (`cache.manifest` of the response). */
export interface CacheDirectory {
  has(digest: string): Promise<boolean>
  /** Bytes of a blob; nothing of it is trusted. Throws not-found. */
  read(digest: string, signal: AbortSignal): AsyncIterable<Uint8Array>
  write(
    blob: { readonly digest: string; readonly size: number; readonly mediaType: string },
    bytes: AsyncIterable<Uint8Array>,
    signal: AbortSignal,
  ): Promise<void>
}

/** One platform's result: an image that has no name and no document yet, its layers committed in the store. */
export interface BuiltImage {
  readonly platform: Platform
  readonly chainId: string
  readonly layers: ImageRecord["layers"]
  /** diffIds and history agree with `layers`. */
  readonly config: Omit<ConfigDocument, "document">
  /** Id of the image that the stage begins from, for the classic `parent`; "" = none here. */
  readonly base: string
  /** How many of `layers`, and of the steps of config.history, are the base image's (0 = FROM scratch): exports leave those as they are. */
  readonly baseLayers: number
  readonly baseHistory: number
  /** For provenance: what came from outside. */
  readonly materials: readonly Material[]
}

/** Something that a build took from outside, pinned. */
export interface Material {
  /** "pkg:docker/alpine@3?platform=…", "https://…", "git+https://…@ref" */
  readonly uri: string
  /** "sha256:…" or a Git commit "sha1:…". */
  readonly digest: string
}

/** One `--output`. */
export interface ExportRequest {
  /** "image" (names in the local store), "oci", "docker", "local", "tar", "registry" (push), "cacheonly". */
  readonly type: string
  /** name, push, dest, compression, compression-level, oci-mediatypes, rewrite-timestamp, annotation.* … */
  readonly attributes: ReadonlyMap<string, string>
  /** "oci", "docker", "tar": where the bytes go. Called once. */
  readonly write?: (bytes: AsyncIterable<Uint8Array>) => Promise<void>
  /**
   * "local", and "oci" with tar=false: the tree goes there; entries as a tar whose paths are relative. Called once; all
   * platforms are in the one tar. Every directory comes before what is in it, siblings by the bytes of their names, a hard
   * link's target before the link: faces hand the entries on as they come.
   */
  readonly writeTree?: (tar: AsyncIterable<Uint8Array>) => Promise<void>
}

/** A build as history tells of it. */
export type BuildHistory = BuildHistoryRecord

/** What a finished solve is; holds its layers until released. */
export interface Solved {
  readonly id: string
  readonly request: BuildRequest
  readonly images: readonly BuiltImage[]
  readonly warnings: readonly BuildWarning[]
  /** Dockerfile as it was read. */
  readonly dockerfile: Uint8Array
  readonly startedAt: number
  /** Bytes of a file of one image, resolved in its root. Throws not-found, and invalid for what is no file. */
  readFile(image: BuiltImage, path: string): Promise<Uint8Array>
  release(): void
}

/** A lint finding. */
export interface BuildWarning {
  /** "StageNameCasing" … */
  readonly rule: string
  readonly description: string
  readonly url: string
  /** The sentence for this case. */
  readonly message: string
  readonly file: string
  /** 1-based, first and last line. */
  readonly lines: readonly [first: number, last: number]
}

/** Answer of `--call`: text for people, JSON for programs, and the exit code that it asks for (check with findings: 1). */
export interface CallAnswer {
  /** As BuildKit's result.txt: of a check nothing but the findings. */
  readonly text: string
  /** As a terminal shows it: of a check also how many findings there are, and the error. */
  readonly shown?: string
  readonly json: unknown
  readonly statusCode: number
}

export interface ExportedBuild {
  /** Image id, or manifest/index digest by exporter: containerimage.digest, containerimage.config.digest, image.name … */
  readonly response: ReadonlyMap<string, string>
  /** Id of the local image; undefined when none was made. */
  readonly imageId?: string
}

export interface ExportOptions {
  readonly exports: readonly ExportRequest[]
  readonly cacheTo: readonly CacheLocation[]
  /** "" or absent = none; "mode=max" …, as --attest has them: type to attributes. */
  readonly attestations: ReadonlyMap<string, ReadonlyMap<string, string>>
  /** All layers beyond the base in one (`--squash`). */
  readonly squash: boolean
  readonly credentials: BuildRequest["credentials"]
}

export interface Builder {
  /**
   * Reads the Dockerfile and runs the steps that `target` needs; nothing is named yet. Failure messages are BuildKit's,
   * with the line of the Dockerfile. `signal` ends everything that was started. Begins a record of history under
   * `request.id`, which its failure, the end of `export` or `release` completes, whichever comes first.
   */
  solve(request: BuildRequest, report: ReportBuild, signal: AbortSignal): Promise<Solved>
  /** `--call`: "check", "outline" or "targets". Runs no step. */
  call(
    request: BuildRequest,
    what: "check" | "outline" | "targets",
    report: ReportBuild,
    signal: AbortSignal,
  ): Promise<CallAnswer>
  /** Hands the result on. Default (image): config written, name set last; no bytes are copied. */
  export(
    solved: Solved,
    options: ExportOptions,
    report: ReportBuild,
    signal: AbortSignal,
  ): Promise<ExportedBuild>
  /** solve, export and a record in history. */
  build(
    request: BuildRequest,
    options: ExportOptions,
    report: ReportBuild,
    signal: AbortSignal,
  ): Promise<ExportedBuild>
  /** Ends a build that runs under this id. Whether there was one. */
  cancel(id: string): boolean
  /** What the cache holds (`docker buildx du`, `builder prune`, system df). */
  usage(filter?: CacheUseFilter): Promise<readonly CacheUsage[]>
  /** Removes cache; reports each. Bytes that came back. */
  prune(
    filter: CacheUseFilter & { readonly all: boolean; readonly keepBytes?: number },
    removed?: (usage: CacheUsage) => void,
  ): Promise<{ readonly removed: readonly string[]; readonly reclaimed: number }>
  /** Gives back at least so many bytes if the cache has them, least recently used first. Bytes that came back. */
  trim(bytes: number): Promise<number>
  history(): readonly BuildHistory[]
  forget(id: string): void
  /** Events of history as they come: a build began, changed or was forgotten. */
  onHistory(
    listener: (event: {
      readonly kind: "started" | "complete" | "deleted"
      readonly record: BuildHistory
    }) => void,
  ): () => void
  /** After a crash: ends steps that still run, removes what they left. Called once at start-up. */
  recover(): Promise<void>
  close(): Promise<void>
}

export type { CacheUsage, CacheUseFilter } from "./cache/cache.ts"
export { excerpt } from "./dockerfile/excerpt.ts"
export { checkExports } from "./export/early.ts"
export { BuildFailure } from "./failure.ts"
export { ignoreMatcher, readIgnore } from "./ignore/ignore.ts"
export { openBuilder } from "./open.ts"
export type { BuildEvent, ReportBuild, Vertex } from "./progress.ts"
