// Whatever a cache's documents hold, reading them ends soon, in a miss or in records whose layers are digests.
import { expect, test } from "bun:test"
import fc from "fast-check"
import { digestOf } from "../../../base/digest-stream.ts"
import { Failure, failure } from "../../../base/errors.ts"
import { isDigest } from "../../../oci/digest.ts"
import { mediaTypes } from "../../../oci/media-types.ts"
import {
  cacheConfigType,
  encodeCacheConfig,
  parseCacheConfig,
  parseInlineRecords,
  uncompressedKey,
} from "./format.ts"
import { readCache } from "./read-cache.ts"
import type { ReadPlace } from "./read-place.ts"

const placeOf = (root: Uint8Array, blobs: ReadonlyMap<string, Uint8Array>): ReadPlace => {
  const get = async (digest: string) => {
    const found = blobs.get(digest)
    if (found === undefined) throw failure("not-found", `no blob ${digest}`)
    return found
  }
  return {
    name: "fuzz",
    root: async () => root,
    document: ({ digest }) => get(digest),
    small: ({ digest }) => get(digest),
    async *blob() {},
  }
}

const hex = "0123456789abcdef"
const digestFrom = (letter: number): string => `sha256:${(hex[letter % 16] ?? "0").repeat(64)}`

/** A sound cache of three layers, as JSON values that a fuzzer may break. */
const sound = () => {
  const layers = [0, 1, 2].map((at) => ({ blob: digestFrom(at), parent: at - 1 }))
  const records = [0, 1, 2].map((at) => ({
    digest: digestFrom(at + 8),
    layer: at,
    createdAt: 1,
    inputs: at === 0 ? [] : [[at - 1]],
  }))
  return JSON.parse(Buffer.from(encodeCacheConfig({ layers, records })).toString())
}

const value = fc.oneof(
  fc.constantFrom(null, -1, -2, 0, 1, 2, 3, 1e9, 1.5, "", "x", [], {}, [[]], [{}], true, digestFrom(3)),
  fc.json().map((text) => JSON.parse(text) as unknown),
)

/** Replaces what a path of choices leads to. */
const broken = (document: unknown, path: readonly number[], put: unknown): unknown => {
  const [choice, ...rest] = path
  if (choice === undefined || typeof document !== "object" || document === null) return put
  const keys = Object.keys(document)
  const key = keys[choice % Math.max(keys.length, 1)]
  if (key === undefined) return put
  const child: unknown = Reflect.get(document, key)
  const changed = broken(child, rest, put)
  return Array.isArray(document)
    ? document.map((one: unknown, at) => (String(at) === key ? changed : one))
    : { ...document, [key]: changed }
}

const read = async (config: unknown, break_: (document: unknown) => unknown = (same) => same) => {
  const bytes = Buffer.from(JSON.stringify(config) ?? "null")
  const manifest = break_({
    schemaVersion: 2,
    mediaType: mediaTypes.ociManifest,
    config: { mediaType: cacheConfigType, digest: digestOf(bytes), size: bytes.length },
    layers: [0, 1, 2].map((at) => ({
      mediaType: mediaTypes.ociLayerGzip,
      digest: digestFrom(at),
      size: 10,
      annotations: { [uncompressedKey]: digestFrom(at + 4) },
    })),
  })
  const root = Buffer.from(JSON.stringify(manifest) ?? "null")
  try {
    return (await readCache(placeOf(root, new Map([[digestOf(bytes), bytes]])))).records
  } catch (error) {
    if (!(error instanceof Failure)) throw error
    return []
  }
}

test("the cache that is to be broken is sound", async () => {
  const records = await read(sound())
  expect(records.map(({ key, layers }) => [key, layers()?.length])).toEqual([
    [digestFrom(8), 1],
    [digestFrom(9), 2],
    [digestFrom(10), 3],
  ])
})

test("broken configs and manifests", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.nat(7), { minLength: 1, maxLength: 6 }),
      value,
      fc.boolean(),
      async (path, put, inConfig) => {
        const change = (document: unknown) => broken(document, path, put)
        const records = inConfig ? await read(change(sound())) : await read(sound(), change)
        for (const { key, layers } of records) {
          expect(isDigest(key)).toBe(true)
          for (const { diffId, blob } of layers() ?? [])
            expect(isDigest(diffId) && isDigest(blob.digest)).toBe(true)
        }
      },
    ),
    { numRuns: 3000 },
  )
}, 30_000)

test("any bytes", () => {
  const only = (parse: () => unknown) => {
    try {
      parse()
    } catch (error) {
      if (!(error instanceof Failure)) throw error
    }
  }
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      only(() => parseCacheConfig(bytes, "fuzz"))
      only(() => parseInlineRecords(bytes, 3, "fuzz"))
    }),
  )
})

test("loops, long chains and lists without end are refused", async () => {
  const loop = { layers: [{ blob: digestFrom(0), parent: 1 }, { blob: digestFrom(1) }], records: [] }
  expect(() => parseCacheConfig(Buffer.from(JSON.stringify(loop)), "it")).toThrow("in a loop")
  const self = { layers: [{ blob: digestFrom(0), parent: 0 }] }
  expect(() => parseCacheConfig(Buffer.from(JSON.stringify(self)), "it")).toThrow("in a loop")
  const many = { layers: Array(20_001).fill({ blob: digestFrom(0), parent: -1 }) }
  expect(() => parseCacheConfig(Buffer.from(JSON.stringify(many)), "it")).toThrow("too many")
  const high = {
    layers: Array.from({ length: 2000 }, (_, at) => ({ blob: digestFrom(0), parent: at - 1 })),
    records: [{ digest: digestFrom(8), layers: [{ layer: 1999 }] }],
  }
  expect((await read(high))[0]?.layers()).toBeUndefined()
  // A line of many layers is looked at once, not once for each that stands on it.
  const began = performance.now()
  const line = {
    layers: Array.from({ length: 20_000 }, (_, at) => ({ blob: digestFrom(0), parent: at - 1 })),
  }
  parseCacheConfig(Buffer.from(JSON.stringify(line)), "it")
  const down = {
    layers: Array.from({ length: 20_000 }, (_, at) => ({
      blob: digestFrom(0),
      parent: at === 19_999 ? -1 : at + 1,
    })),
  }
  parseCacheConfig(Buffer.from(JSON.stringify(down)), "it")
  expect(performance.now() - began).toBeLessThan(2000)
})
