// BuildKit's gateway: how a client that is its own frontend asks for builds and looks into their results.
import { CacheEntry, Worker } from "./control.ts"
import { Definition, Platform, Range, SourceOp, SourceText, Status } from "./ops.ts"
import {
  byteLists,
  bytes,
  bytesMap,
  flag,
  integer,
  list,
  message,
  messageMap,
  nested,
  text,
  textMap,
} from "./protobuf.ts"
import { Stat } from "./session.ts"

/** One thing that a build may ask for, and whether it can be had. */
export const Capability = message({
  id: text(1),
  enabled: flag(2),
  deprecated: flag(3),
  disabledReason: text(4),
  disabledMessage: text(5),
  disabledAlternative: text(6),
})
export const PongResponse = message({
  frontendCapabilities: list(1, Capability),
  llbCapabilities: list(2, Capability),
  workers: list(3, Worker),
})

export const Ref = message({ id: text(1), def: nested(2, Definition) })
export const RefMap = message({ refs: messageMap(1, Ref) })
export const Result = message({
  refDeprecated: text(1),
  refsDeprecated: nested(2, message({ refs: textMap(1) })),
  ref: nested(3, Ref),
  refs: nested(4, RefMap),
  metadata: bytesMap(10),
})

export const GatewaySolveRequest = message({
  definition: nested(1, Definition),
  frontend: text(2),
  frontendOptions: textMap(3),
  allowResultReturn: flag(5),
  allowResultArrayRef: flag(6),
  final: flag(10),
  exporterAttributes: bytes(11),
  cacheImports: list(12, CacheEntry),
  frontendInputs: messageMap(13, Definition),
  evaluate: flag(14),
})
export const GatewaySolveResponse = message({ ref: text(1), result: nested(3, Result) })

export const ReturnRequest = message({ result: nested(1, Result), error: nested(2, Status) })
export const InputsResponse = message({ definitions: messageMap(1, Definition) })

export const ResolveImageConfigRequest = message({
  ref: text(1),
  platform: nested(2, Platform),
  resolveMode: text(3),
  logName: text(4),
  resolverType: integer(5),
})
export const ResolveImageConfigResponse = message({ digest: text(1), config: bytes(2), ref: text(3) })

export const ResolveSourceMetaRequest = message({
  source: nested(1, SourceOp),
  platform: nested(2, Platform),
  logName: text(3),
  resolveMode: text(4),
})
export const ResolveSourceMetaResponse = message({
  source: nested(1, SourceOp),
  image: nested(2, message({ digest: text(1), config: bytes(2) })),
})

export const ReadFileRequest = message({
  ref: text(1),
  path: text(2),
  range: nested(3, message({ offset: integer(1), length: integer(2) })),
})
export const ReadFileResponse = message({ data: bytes(1) })
export const ReadDirRequest = message({ ref: text(1), path: text(2), includePattern: text(3) })
export const ReadDirResponse = message({ entries: list(1, Stat) })
export const StatFileRequest = message({ ref: text(1), path: text(2) })
export const StatFileResponse = message({ stat: nested(1, Stat) })
export const EvaluateRequest = message({ ref: text(1) })

export const WarnRequest = message({
  digest: text(1),
  level: integer(2),
  short: bytes(3),
  detail: byteLists(4),
  url: text(5),
  source: nested(6, SourceText),
  ranges: list(7, Range),
})
