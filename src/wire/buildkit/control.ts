// BuildKit's control API: builds, their progress and history, the cache, the workers.
import { Definition, Platform, ProgressGroup, Range, SourceText, Status, Timestamp } from "./ops.ts"
import {
  byteLists,
  bytes,
  flag,
  integer,
  list,
  message,
  messageMap,
  nested,
  text,
  textMap,
  texts,
} from "./protobuf.ts"

export const PruneRequest = message({
  filter: texts(1),
  all: flag(2),
  /** Nanoseconds. */
  keepDuration: integer(3),
  reservedSpace: integer(4),
  maxUsedSpace: integer(5),
  minFreeSpace: integer(6),
})

export const UsageRecord = message({
  id: text(1),
  mutable: flag(2),
  inUse: flag(3),
  size: integer(4),
  createdAt: nested(6, Timestamp),
  lastUsedAt: nested(7, Timestamp),
  usageCount: integer(8),
  description: text(9),
  recordType: text(10),
  shared: flag(11),
  parents: texts(12),
})

export const DiskUsageRequest = message({ filter: texts(1) })
export const DiskUsageResponse = message({ record: list(1, UsageRecord) })

export const Exporter = message({ type: text(1), attributes: textMap(2) })
export const CacheEntry = message({ type: text(1), attributes: textMap(2) })
export const CacheOptions = message({
  exportRefDeprecated: text(1),
  importRefsDeprecated: texts(2),
  exportAttributesDeprecated: textMap(3),
  exports: list(4, CacheEntry),
  imports: list(5, CacheEntry),
})

export const SolveRequest = message({
  ref: text(1),
  definition: nested(2, Definition),
  exporterDeprecated: text(3),
  exporterAttributesDeprecated: textMap(4),
  session: text(5),
  frontend: text(6),
  frontendAttributes: textMap(7),
  cache: nested(8, CacheOptions),
  entitlements: texts(9),
  frontendInputs: messageMap(10, Definition),
  internal: flag(11),
  /** Kept as bytes: only whether there is one matters. */
  sourcePolicy: bytes(12),
  exporters: list(13, Exporter),
  sessionExporter: flag(14),
})
export const SolveResponse = message({ exporterResponse: textMap(1) })

export const StatusRequest = message({ ref: text(1) })

export const Vertex = message({
  digest: text(1),
  inputs: texts(2),
  name: text(3),
  cached: flag(4),
  started: nested(5, Timestamp),
  completed: nested(6, Timestamp),
  error: text(7),
  progressGroup: nested(8, ProgressGroup),
})
export const VertexStatus = message({
  id: text(1),
  vertex: text(2),
  name: text(3),
  current: integer(4),
  total: integer(5),
  timestamp: nested(6, Timestamp),
  started: nested(7, Timestamp),
  completed: nested(8, Timestamp),
})
export const VertexLog = message({
  vertex: text(1),
  timestamp: nested(2, Timestamp),
  stream: integer(3),
  msg: bytes(4),
})
export const VertexWarning = message({
  vertex: text(1),
  level: integer(2),
  short: bytes(3),
  detail: byteLists(4),
  url: text(5),
  source: nested(6, SourceText),
  ranges: list(7, Range),
})
export const StatusResponse = message({
  vertexes: list(1, Vertex),
  statuses: list(2, VertexStatus),
  logs: list(3, VertexLog),
  warnings: list(4, VertexWarning),
})

/** A piece of a stream; the session's and the files' too. */
export const BytesMessage = message({ data: bytes(1) })
export const Empty = message({})

export const BuildkitVersion = message({ package: text(1), version: text(2), revision: text(3) })
export const GarbagePolicy = message({
  all: flag(1),
  keepDuration: integer(2),
  reservedSpace: integer(3),
  filters: texts(4),
  maxUsedSpace: integer(5),
  minFreeSpace: integer(6),
})
export const Worker = message({
  id: text(1),
  labels: textMap(2),
  platforms: list(3, Platform),
  garbagePolicy: list(4, GarbagePolicy),
  version: nested(5, BuildkitVersion),
})
export const ListWorkersResponse = message({ record: list(1, Worker) })
export const VersionResponse = message({ version: nested(1, BuildkitVersion) })

export const HistoryRequest = message({
  activeOnly: flag(1),
  ref: text(2),
  earlyExit: flag(3),
  filter: texts(4),
  limit: integer(5),
})
export const Descriptor = message({
  mediaType: text(1),
  digest: text(2),
  size: integer(3),
  annotations: textMap(5),
})
export const ResultRecord = message({
  resultDeprecated: nested(1, Descriptor),
  attestations: list(2, Descriptor),
})
export const HistoryRecord = message({
  ref: text(1),
  frontend: text(2),
  frontendAttributes: textMap(3),
  exporters: list(4, Exporter),
  error: nested(5, Status),
  createdAt: nested(6, Timestamp),
  completedAt: nested(7, Timestamp),
  logs: nested(8, Descriptor),
  exporterResponse: textMap(9),
  result: nested(10, ResultRecord),
  results: messageMap(11, ResultRecord),
  generation: integer(12),
  trace: nested(13, Descriptor),
  pinned: flag(14),
  cachedSteps: integer(15),
  totalSteps: integer(16),
  completedSteps: integer(17),
  externalError: nested(18, Descriptor),
  warnings: integer(19),
})
/** 0 started, 1 complete, 2 deleted. */
export const HistoryEvent = message({ type: integer(1), record: nested(2, HistoryRecord) })
export const UpdateHistoryRequest = message({
  ref: text(1),
  pinned: flag(2),
  delete: flag(3),
  finalize: flag(4),
})
