// A descriptor: type, digest and size of a blob, with annotations and perhaps a platform.
import { failure } from "../base/errors.ts"
import { isJsonObject } from "../base/json-bounded.ts"
import { isDigest } from "./digest.ts"
import { type Platform, parsePlatformObject } from "./platform.ts"

export interface Descriptor {
  readonly mediaType: string
  readonly digest: string
  /** Bytes. */
  readonly size: number
  readonly annotations: Readonly<Record<string, string>>
  readonly platform?: Platform
  /** Where the bytes lie besides the registry (foreign layers). */
  readonly urls?: readonly string[]
  /** What an artifact is (in an index of referrers). */
  readonly artifactType?: string
}

/** A record of strings; anything that is not a string in it is refused. Absent or null is empty. */
export const parseStrings = (value: unknown, what: string): Record<string, string> => {
  const found: Record<string, string> = {}
  if (value === undefined || value === null) return found
  if (!isJsonObject(value)) throw failure("invalid", `${what} is not an object`)
  for (const [key, text] of Object.entries(value)) {
    if (typeof text !== "string") throw failure("invalid", `${what} holds "${key}", which is not a string`)
    Object.defineProperty(found, key, { value: text, enumerable: true, writable: true, configurable: true })
  }
  return found
}

const mostUrls = 64

const parseUrls = (value: unknown, what: string): string[] => {
  if (value === undefined || value === null) return []
  if (!Array.isArray(value) || value.length > mostUrls)
    throw failure("invalid", `the urls of ${what} are not a short list`)
  return value.map((url) => {
    if (typeof url !== "string")
      throw failure("invalid", `the urls of ${what} hold something that is no text`)
    return url
  })
}

/** `what` names the descriptor in messages. Throws Failure "invalid". */
export const parseDescriptor = (value: unknown, what: string): Descriptor => {
  if (!isJsonObject(value)) throw failure("invalid", `${what} is not an object`)
  const { mediaType, digest, size, annotations, platform, artifactType } = value
  if (typeof digest !== "string" || !isDigest(digest))
    throw failure("invalid", `${what} has no valid sha256 digest`)
  if (typeof size !== "number" || !Number.isSafeInteger(size) || size < 0)
    throw failure("invalid", `${what} has no valid size`)
  if (mediaType !== undefined && typeof mediaType !== "string")
    throw failure("invalid", `${what} has a media type that is not a string`)
  const urls = parseUrls(value.urls, what)
  return {
    mediaType: mediaType ?? "",
    digest,
    size,
    annotations: parseStrings(annotations, `the annotations of ${what}`),
    ...(platform === undefined || platform === null ? {} : { platform: parsePlatformObject(platform, what) }),
    ...(urls.length === 0 ? {} : { urls }),
    ...(typeof artifactType === "string" && artifactType !== "" ? { artifactType } : {}),
  }
}
