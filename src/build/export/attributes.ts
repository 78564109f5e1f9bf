// Attributes of --output and --cache-to as clients write them: booleans, lists, compression, times, annotations.
import { failure } from "../../base/errors.ts"
import type { Platform } from "../../oci/platform.ts"
import { formatPlatform, parsePlatform } from "../../oci/platform.ts"
import { familiarReference, formatReference, parseReference, withDefaultTag } from "../../oci/reference.ts"
import type { BuildRequest } from "../build.ts"

export type Attributes = ReadonlyMap<string, string>

/** As Go reads booleans; an attribute without a value is true. Throws "invalid". */
export const flag = (attributes: Attributes, key: string, otherwise: boolean): boolean => {
  const text = attributes.get(key)
  if (text === undefined) return otherwise
  if (text === "" || /^(1|t|T|TRUE|true|True)$/.test(text)) return true
  if (/^(0|f|F|FALSE|false|False)$/.test(text)) return false
  throw failure("invalid", `non-bool value specified for ${key}: "${text}": write true or false`)
}

export type CompressionKind = "gzip" | "zstd" | "uncompressed"

export interface Compression {
  readonly kind: CompressionKind
  readonly level?: number
  /** Layers that are compressed already are compressed anew. */
  readonly force: boolean
}

const levels = { gzip: 9, zstd: 22, uncompressed: 0 } as const

/** Throws "invalid" for what is no compression, "not-implemented" for the lazily read ones. */
export const readCompression = (attributes: Attributes): Compression => {
  const kind = attributes.get("compression") || "gzip"
  if (kind === "estargz" || kind === "nydus")
    throw failure(
      "not-implemented",
      `layers cannot be compressed with ${kind} here: use compression=gzip, zstd or uncompressed`,
    )
  if (kind !== "gzip" && kind !== "zstd" && kind !== "uncompressed")
    throw failure("invalid", `unsupported compression type ${kind}: use gzip, zstd or uncompressed`)
  const text = attributes.get("compression-level")
  const force = flag(attributes, "force-compression", false)
  if (text === undefined) return { kind, force }
  const level = Number(text)
  if (!/^-?[0-9]+$/.test(text))
    throw failure("invalid", `non-integer value ${text} specified for compression-level`)
  if (level < 0 || level > levels[kind])
    throw failure(
      "invalid",
      `compression-level ${text} is not between 0 and ${levels[kind]}, as ${kind} has them`,
    )
  return { kind, force, level }
}

/** SOURCE_DATE_EPOCH in seconds: the exporter's own, else the build argument's. Throws "invalid". */
export const readEpoch = (
  attributes: Attributes,
  request: Pick<BuildRequest, "buildArgs">,
): number | undefined => {
  const own = attributes.get("source-date-epoch")
  const text = own || request.buildArgs.get("SOURCE_DATE_EPOCH")
  if (text === undefined || text === "") return undefined
  const seconds = Number(text)
  if (!/^-?[0-9]+$/.test(text) || !Number.isSafeInteger(seconds) || Math.abs(seconds) > 253_402_300_799)
    throw failure(
      "invalid",
      own
        ? `invalid source-date-epoch: ${text}`
        : `invalid SOURCE_DATE_EPOCH: ${text}: write seconds since 1970`,
    )
  return seconds
}

/** Names of "name": normalised with a tag, without doubles. Throws "invalid" for malformed ones and ones with a digest. */
export const readNames = (attributes: Attributes): { familiar: string[]; full: string[] } => {
  const given = (attributes.get("name") ?? "").split(",").filter((name) => name !== "")
  const names = given.map((text) => {
    const name = withDefaultTag(parseReference(text))
    if (name.digest !== undefined)
      throw failure("invalid", `refusing to create a tag with a digest reference: "${text}"`)
    return name
  })
  const unique = [...new Map(names.map((name) => [formatReference(name), name])).values()]
  return { familiar: unique.map(familiarReference), full: unique.map(formatReference) }
}

export type AnnotationPlace = "manifest" | "manifest-descriptor" | "index" | "index-descriptor"

export interface Annotation {
  readonly place: AnnotationPlace
  /** Only for this platform's manifest. */
  readonly platform?: string
  readonly key: string
  readonly value: string
}

const annotationKey = /^annotation(?:-([a-z-]+))?(?:\[([A-Za-z0-9_/-]+)\])?\.(\S+)$/

const isPlace = (text: string): text is AnnotationPlace =>
  text === "manifest" || text === "manifest-descriptor" || text === "index" || text === "index-descriptor"

/** "annotation.KEY", "annotation-index.KEY", "annotation-manifest[linux/amd64].KEY" … Throws "invalid". */
export const readAnnotations = (attributes: Attributes, platforms: readonly Platform[]): Annotation[] => {
  const built = platforms.map(formatPlatform)
  const found: Annotation[] = []
  for (const [name, value] of attributes) {
    const match = annotationKey.exec(name)
    if (match === null) continue
    const [, place = "manifest", platform, key = ""] = match
    if (!isPlace(place)) throw failure("invalid", `unrecognized annotation type ${place}`)
    const wanted = platform === undefined ? undefined : formatPlatform(parsePlatform(platform))
    if (wanted !== undefined && !built.includes(wanted))
      throw failure("invalid", `invalid annotation: no platform ${wanted} found in source`)
    found.push({ place, key, value, ...(wanted === undefined ? {} : { platform: wanted }) })
  }
  return found.toSorted((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0))
}

/** The annotations of one place; `platform` limits those of manifests. */
export const annotationsAt = (
  annotations: readonly Annotation[],
  place: AnnotationPlace,
  platform?: Platform,
): Record<string, string> => {
  const own = platform === undefined ? undefined : formatPlatform(platform)
  const wanted = annotations.filter(
    (annotation) =>
      annotation.place === place && (annotation.platform === undefined || annotation.platform === own),
  )
  // What is said for one platform is said last.
  const ordered = wanted.toSorted(
    (a, b) => Number(a.platform !== undefined) - Number(b.platform !== undefined),
  )
  return Object.fromEntries(ordered.map(({ key, value }) => [key, value]))
}
