// The image config document: platform, execution part, layers and history, as Docker and OCI both write it.
import { failure } from "../base/errors.ts"
import { isJsonObject, type JsonObject, parseJsonObject } from "../base/json-bounded.ts"
import { isDigest } from "./digest.ts"
import { type ExecutionConfig, encodeExecutionConfig, parseExecutionConfig } from "./execution-config.ts"

/** A step of how an image came to be. Times are unix milliseconds. */
export interface HistoryStep {
  readonly created: number
  readonly createdBy: string
  readonly comment: string
  readonly author: string
  readonly emptyLayer: boolean
}

export interface ConfigDocument {
  readonly architecture: string
  readonly variant: string
  readonly os: string
  readonly author: string
  readonly comment: string
  /** Unix milliseconds; 0 when the document has none. */
  readonly created: number
  readonly config: ExecutionConfig
  readonly diffIds: readonly string[]
  readonly history: readonly HistoryStep[]
  /** The document itself. */
  readonly document: JsonObject
}

/** More layers than an overlay can stack are refused. */
const mostLayers = 480

const text = (document: JsonObject, key: string, what: string): string => {
  const value = document[key] ?? ""
  if (typeof value !== "string") throw failure("invalid", `${key} in ${what} is not a string`)
  return value
}

const time = (document: JsonObject, key: string, what: string): number => {
  const value = text(document, key, what)
  if (value === "") return 0
  const parsed = Date.parse(value)
  if (Number.isNaN(parsed))
    throw failure("invalid", `${key} in ${what} is not a time: "${value.slice(0, 40)}"`)
  return parsed
}

const parseDiffIds = (rootfs: unknown, what: string): string[] => {
  if (!isJsonObject(rootfs)) throw failure("invalid", `${what} has no rootfs`)
  const { type, diff_ids: diffIds } = rootfs
  if (type !== undefined && type !== "layers")
    throw failure("invalid", `${what} has an unknown kind of rootfs`)
  if (diffIds === undefined || diffIds === null) return []
  if (!Array.isArray(diffIds)) throw failure("invalid", `diff_ids in ${what} is not a list`)
  if (diffIds.length > mostLayers)
    throw failure("invalid", `${what} has ${diffIds.length} layers; at most ${mostLayers} are supported`)
  return diffIds.map((diffId) => {
    if (typeof diffId !== "string" || !isDigest(diffId))
      throw failure("invalid", `${what} holds a diffID that is no sha256 digest`)
    return diffId
  })
}

const parseHistory = (history: unknown, what: string): HistoryStep[] => {
  if (history === undefined || history === null) return []
  if (!Array.isArray(history)) throw failure("invalid", `the history in ${what} is not a list`)
  return history.map((step) => {
    const place = `the history of ${what}`
    if (!isJsonObject(step)) throw failure("invalid", `${place} holds something that is not an object`)
    return {
      created: time(step, "created", place),
      createdBy: text(step, "created_by", place),
      comment: text(step, "comment", place),
      author: text(step, "author", place),
      emptyLayer: step.empty_layer === true,
    }
  })
}

/** `what` names the document in messages. Throws Failure "invalid". */
export const parseConfigDocument = (bytes: Uint8Array, what: string): ConfigDocument => {
  const document = parseJsonObject(bytes, what)
  return {
    architecture: text(document, "architecture", what),
    variant: text(document, "variant", what),
    os: text(document, "os", what),
    author: text(document, "author", what),
    comment: text(document, "comment", what),
    created: time(document, "created", what),
    config: parseExecutionConfig(document.config, what),
    diffIds: parseDiffIds(document.rootfs, what),
    history: parseHistory(document.history, what),
    document,
  }
}

const encodeStep = (step: HistoryStep): JsonObject => ({
  created: new Date(step.created).toISOString(),
  ...(step.author === "" ? {} : { author: step.author }),
  ...(step.createdBy === "" ? {} : { created_by: step.createdBy }),
  ...(step.comment === "" ? {} : { comment: step.comment }),
  ...(step.emptyLayer ? { empty_layer: true } : {}),
})

/** A new config document's bytes: the same for the same content. */
export const encodeConfigDocument = (config: Omit<ConfigDocument, "document">): Uint8Array =>
  Buffer.from(
    JSON.stringify({
      architecture: config.architecture,
      ...(config.variant === "" ? {} : { variant: config.variant }),
      os: config.os,
      ...(config.author === "" ? {} : { author: config.author }),
      ...(config.comment === "" ? {} : { comment: config.comment }),
      created: new Date(config.created).toISOString(),
      config: encodeExecutionConfig(config.config),
      rootfs: { type: "layers", diff_ids: config.diffIds },
      history: config.history.map(encodeStep),
    }),
  )
