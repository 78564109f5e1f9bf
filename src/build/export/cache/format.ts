// BuildKit's cache config ("application/vnd.buildkit.cacheconfig.v0"): layers as a forest, records that lead to them. What is
// read comes from others: every index is looked at before it is followed.
import { failure } from "../../../base/errors.ts"
import { isJsonObject, parseJson } from "../../../base/json-bounded.ts"
import { isDigest } from "../../../oci/digest.ts"

export const cacheConfigType = "application/vnd.buildkit.cacheconfig.v0"
/** Annotations of a layer's descriptor. */
export const uncompressedKey = "containerd.io/uncompressed"
export const createdKey = "buildkit/createdat"
export const descriptionKey = "buildkit/description"

export interface CacheLayer {
  readonly blob: string
  /** Index of the layer beneath, -1 for none. */
  readonly parent: number
}

export interface CacheEntry {
  readonly digest: string
  /** Index of the result's top layer; undefined when the record only links others. */
  readonly layer?: number
  /** The result's layers in order, where they are not one line of the forest. */
  readonly chain?: readonly number[]
  /** Unix milliseconds. */
  readonly createdAt: number
  /** Indexes of records, by input. */
  readonly inputs: readonly (readonly number[])[]
}

export interface CacheConfig {
  readonly layers: readonly CacheLayer[]
  readonly records: readonly CacheEntry[]
}

const encodeRecord = (entry: CacheEntry): object => {
  const createdAt = new Date(entry.createdAt).toISOString()
  return {
    ...(entry.layer === undefined ? {} : { layers: [{ layer: entry.layer, createdAt }] }),
    ...(entry.chain === undefined ? {} : { chains: [{ layers: entry.chain, createdAt }] }),
    digest: entry.digest,
    ...(entry.inputs.length === 0
      ? {}
      : { inputs: entry.inputs.map((links) => links.map((link) => ({ link }))) }),
  }
}

/** The records alone, as an inline cache has them. */
export const encodeRecords = (records: readonly CacheEntry[]): Uint8Array =>
  Buffer.from(JSON.stringify(records.map(encodeRecord)))

export const encodeCacheConfig = (config: CacheConfig): Uint8Array =>
  Buffer.from(
    JSON.stringify({
      layers: config.layers.map(({ blob, parent }) => ({ blob, ...(parent === 0 ? {} : { parent }) })),
      records: config.records.map(encodeRecord),
    }),
  )

/** Far more than any build has; a config that claims more is made to fill memory. */
const mostLayers = 20_000
const mostRecords = 100_000
const mostLinks = 64
/** Bytes of a config. */
export const largestCacheConfig = 32 << 20

const broken = (what: string, why: string) => failure("invalid", `${what} is no usable cache: ${why}`)

const index = (value: unknown, length: number, what: string, least = 0): number => {
  if (typeof value !== "number" || !Number.isSafeInteger(value) || value < least || value >= length)
    throw broken(what, `it points to ${JSON.stringify(value)?.slice(0, 40)} of ${length}`)
  return value
}

const list = (value: unknown, most: number, what: string, name: string): readonly unknown[] => {
  if (value === undefined || value === null) return []
  if (!Array.isArray(value) || value.length > most) throw broken(what, `its ${name} are no list, or too many`)
  return value
}

/** Layers whose parents lead down to none. Throws "invalid" for a loop. */
const parseLayers = (value: unknown, what: string): CacheLayer[] => {
  const given = list(value, mostLayers, what, "layers")
  const layers = given.map((entry): CacheLayer => {
    if (!isJsonObject(entry) || typeof entry.blob !== "string" || !isDigest(entry.blob))
      throw broken(what, "a layer has no valid digest")
    return { blob: entry.blob, parent: index(entry.parent ?? 0, given.length, what, -1) }
  })
  const sound = new Set<number>([-1])
  for (let start = 0; start < layers.length; start++) {
    const walked = new Set<number>()
    let at = start
    for (; !sound.has(at); at = layers[at]?.parent ?? -1) {
      if (walked.has(at)) throw broken(what, "its layers stand on each other in a loop")
      walked.add(at)
    }
    for (const one of walked) sound.add(one)
  }
  return layers
}

const time = (value: unknown): number => {
  const parsed = typeof value === "string" ? Date.parse(value) : Number.NaN
  return Number.isNaN(parsed) ? 0 : parsed
}

const parseRecord = (value: unknown, layers: number, records: number, what: string): CacheEntry => {
  if (!isJsonObject(value)) throw broken(what, "a record is no object")
  const { digest } = value
  if (typeof digest !== "string" || digest.length > 200) throw broken(what, "a record has no digest")
  const [result] = list(value.layers, mostLinks, what, "results")
  const [chained] = list(value.chains, mostLinks, what, "chains")
  const inputs = list(value.inputs, mostLinks, what, "inputs").map((links) =>
    list(links, mostLinks, what, "links").map((link) => {
      if (!isJsonObject(link)) throw broken(what, "a link is no object")
      return index(link.link ?? 0, records, what)
    }),
  )
  const chain = isJsonObject(chained)
    ? list(chained.layers, 500, what, "chain").map((one) => index(one, layers, what))
    : undefined
  const createdAt = time(
    isJsonObject(result) ? result.createdAt : isJsonObject(chained) ? chained.createdAt : undefined,
  )
  return {
    digest,
    ...(isJsonObject(result) ? { layer: index(result.layer ?? 0, layers, what) } : {}),
    ...(chain === undefined ? {} : { chain }),
    createdAt,
    inputs,
  }
}

const parseRecords = (value: unknown, layers: number, what: string): CacheEntry[] => {
  const given = list(value, mostRecords, what, "records")
  return given.map((record) => parseRecord(record, layers, given.length, what))
}

/** `what` names the document. Throws "invalid". */
export const parseCacheConfig = (bytes: Uint8Array, what: string): CacheConfig => {
  const document = parseJson(bytes, what, largestCacheConfig)
  if (!isJsonObject(document)) throw broken(what, "it is no object")
  const layers = parseLayers(document.layers, what)
  return { layers, records: parseRecords(document.records, layers.length, what) }
}

/** Records of an inline cache over an image of so many layers, which stand on each other. Throws "invalid". */
export const parseInlineRecords = (bytes: Uint8Array, layers: number, what: string): CacheEntry[] =>
  parseRecords(parseJson(bytes, what, largestCacheConfig), layers, what)
