// Builds: what `sloop build` asks for, the lines of its progress, and the build cache as clients read it.
import * as v from "valibot"
import { flag, listOf, mapOf, maybe, maybeText, text, textMap, texts, whole } from "./lenient.ts"

/** Where files come from. "sent": the client is asked for a tar while the build runs. */
const contextSchema = v.object({
  Type: v.nullish(
    v.picklist(["", "directory", "sent", "remote", "image", "layout", "empty"], "is no type of a context"),
    "",
  ),
  /** "directory": absolute. */
  Path: text,
  /** "directory": what the client sees there, as proof that both see the same; else the directory is asked for as if it were "sent". */
  Device: text,
  Inode: text,
  Boot: text,
  /** "remote" */
  Url: text,
  /** "image" */
  Reference: text,
  /** "layout": of the manifest or index. */
  Digest: text,
})
export type WireContext = v.InferOutput<typeof contextSchema>

const attributedSchema = v.object({ Type: text, Attributes: textMap })
export type WireAttributed = v.InferOutput<typeof attributedSchema>

/** POST /builds (Sloop's own). Everything may be absent but the context. */
export const buildSchema = v.object({
  Id: text,
  /** Must be there. */
  Context: maybe(contextSchema),
  /** Text of the Dockerfile, instead of a file in a context. */
  Dockerfile: maybeText,
  DockerfilePath: text,
  DockerfileContext: maybe(contextSchema),
  Contexts: mapOf(contextSchema),
  Target: text,
  BuildArgs: textMap,
  Labels: textMap,
  Platforms: texts,
  NoCache: flag,
  NoCacheFilter: texts,
  Pull: flag,
  ExtraHosts: texts,
  Network: text,
  ShmSize: whole,
  Ulimits: listOf(v.object({ Name: text, Soft: whole, Hard: whole })),
  CgroupParent: text,
  Memory: whole,
  MemorySwap: whole,
  CpuShares: whole,
  CpuQuota: whole,
  CpuPeriod: whole,
  CpusetCpus: text,
  CpusetMems: text,
  Entitlements: texts,
  /** Ids of secrets and agents that the client has: asked for when a step wants them. */
  Secrets: texts,
  Ssh: texts,
  CacheFrom: listOf(attributedSchema),
  CacheTo: listOf(attributedSchema),
  /** None: the image stays here, under no name. */
  Outputs: listOf(attributedSchema),
  Attestations: mapOf(textMap),
  Squash: flag,
  /** "check", "outline", "targets"; "" builds. */
  Call: text,
})
export type WireBuild = v.InferOutput<typeof buildSchema>
export type WireBuildInput = v.InferInput<typeof buildSchema>

/** A step; times are RFC 3339. The shapes up to WarningView are those of buildx's rawjson. */
export interface VertexView {
  digest: string
  inputs?: string[]
  name: string
  started?: string
  completed?: string
  cached?: boolean
  error?: string
  progressGroup?: { id: string; name: string }
}

export interface VertexStatusView {
  id: string
  vertex: string
  name?: string
  current: number
  total?: number
  timestamp: string
  started?: string
  completed?: string
}

export interface VertexLogView {
  vertex: string
  stream: number
  /** Base64. */
  data: string
  timestamp: string
}

export interface WarningView {
  vertex: string
  level: number
  /** Base64, as the lines of `detail`. */
  short: string
  detail?: string[]
  url?: string
  sourceInfo?: { filename: string; data: string; language: string }
  range?: { start: { line: number; character: number }; end: { line: number; character: number } }[]
}

/** What the client is asked for while the build runs; answered at /builds/{id}/asked/{number}. */
export interface AskView {
  number: number
  /**
   * context: a tar; secret, blob: bytes; credentials: JSON; ssh: a connection; output, tree: takes bytes (a tree as a tar);
   * cache-*: of a local cache's directory, where having a blob is told by a byte.
   */
  what:
    | "context"
    | "secret"
    | "credentials"
    | "ssh"
    | "output"
    | "tree"
    | "blob"
    | "cache-has"
    | "cache-read"
    | "cache-write"
  /**
   * Name of the context ("" is the main one, "dockerfile" the Dockerfile's), secret or agent; registry's domain; output's
   * index; "from 0" or "to 0" for the first cache of CacheFrom or CacheTo.
   */
  id: string
  /** Digest of a blob. */
  digest?: string
}

export interface BuildFailureView {
  message: string
  kind: string
  /** Lines of the Dockerfile, ready to be shown. */
  excerpt?: string
  exitCode?: number
  vertex?: string
}

/** A line of POST /builds. */
export interface BuildLine {
  /** First line: the build's id. */
  id?: string
  vertexes?: VertexView[]
  statuses?: VertexStatusView[]
  logs?: VertexLogView[]
  warnings?: WarningView[]
  ask?: AskView
  /** Last line of a build that went well. */
  result?: { imageId?: string; response: Record<string, string> }
  /** Last line of a call. */
  answer?: { text: string; json: unknown; statusCode: number }
  /** Last line of one that did not. */
  error?: BuildFailureView
}

/** A line of POST /build, the classic builder's stream. */
export interface BuildStreamLine {
  stream?: string
  aux?: { ID: string }
  error?: string
  errorDetail?: { code?: number; message: string }
}

/** GET /builds (Sloop's own). */
export interface BuildHistoryView {
  Id: string
  Started: string
  Completed?: string
  Target: string
  Error: string
  Dockerfile: string
  Context: string
  ImageId: string
  Steps: number
  CachedSteps: number
  Attributes: Record<string, string>
}

/** An entry of system df's BuildCache. */
export interface BuildCacheView {
  ID: string
  Parent?: string
  Parents?: string[] | null
  Type: string
  Description: string
  InUse: boolean
  Shared: boolean
  Size: number
  CreatedAt: string
  LastUsedAt: string | null
  UsageCount: number
}

/** POST /build/prune */
export interface CachePruneView {
  CachesDeleted: string[] | null
  SpaceReclaimed: number
}
