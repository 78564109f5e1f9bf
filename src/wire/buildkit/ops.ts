// What several of BuildKit's services share: definitions, sources of text, times, typed errors.
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

/** google.protobuf.Timestamp */
export const Timestamp = message({ seconds: integer(1), nanos: integer(2) })

/** google.protobuf.Any */
export const Any = message({ typeUrl: text(1), value: bytes(2) })

/** google.rpc.Status */
export const Status = message({ code: integer(1), message: text(2), details: list(3, Any) })

export const Platform = message({
  architecture: text(1),
  os: text(2),
  variant: text(3),
  osVersion: text(4),
  osFeatures: texts(5),
})

export const Input = message({ digest: text(1), index: integer(2) })

export const SourceOp = message({ identifier: text(1), attributes: textMap(2) })

/** A vertex of LLB, as far as a source of files or of images is told by it; `other` fields are only seen to be there. */
export const Op = message({
  inputs: list(1, Input),
  exec: bytes(2),
  source: nested(3, SourceOp),
  file: bytes(4),
  build: bytes(5),
  merge: bytes(6),
  diff: bytes(7),
  platform: nested(10, Platform),
})

export const OpMetadata = message({
  ignoreCache: flag(1),
  description: textMap(2),
})

export const Definition = message({
  /** Marshalled `Op`s; the last one only names the result. */
  def: byteLists(1),
  metadata: messageMap(2, OpMetadata),
})

export const Position = message({ line: integer(1), character: integer(2) })
export const Range = message({ start: nested(1, Position), end: nested(2, Position) })

/** A file whose lines are shown. */
export const SourceText = message({
  filename: text(1),
  data: bytes(2),
  language: text(4),
})

export const ProgressGroup = message({ id: text(1), name: text(2), weak: flag(3) })
