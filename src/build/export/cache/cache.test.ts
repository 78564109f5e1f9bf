// Cache that leaves and comes back: through registries and directories, whole or as images have it; lies end as misses.
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "bun:test"
import { randomBytes } from "node:crypto"
import {
  buildImage,
  exportRequest,
  exportRooms,
  keyOf,
  runExport,
  stepsOf,
} from "../../../../test/fixtures/built-image.ts"
import { gather } from "../../../../test/fixtures/busybox-image.ts"
import { filesOf, type ImageStore, openImageStore } from "../../../../test/fixtures/image-store.ts"
import { startRegistries, type TestRegistries } from "../../../../test/fixtures/registries.ts"
import { layerTar } from "../../../../test/fixtures/remote-image.ts"
import { digestOf } from "../../../base/digest-stream.ts"
import { failure } from "../../../base/errors.ts"
import type { BuiltImage, CacheDirectory, CacheLocation } from "../../build.ts"
import type { BuildEvent } from "../../progress.ts"
import { openImportedCaches } from "../open.ts"

let servers: TestRegistries
let store: ImageStore
let fresh: ImageStore
beforeAll(async () => {
  servers = await startRegistries(1)
})
beforeEach(async () => {
  store = await openImageStore()
  fresh = await openImageStore()
})
afterEach(async () => {
  await store.close()
  await fresh.close()
})
afterAll(() => servers.close())

const tars = await Promise.all(["base", "one", "two"].map((text) => layerTar(text, randomBytes(50_000))))
const location = (
  type: string,
  attributes: Readonly<Record<string, string>>,
  directory?: CacheDirectory,
): CacheLocation => ({
  type,
  attributes: new Map(Object.entries(attributes)),
  ...(directory === undefined ? {} : { directory }),
})
const refOf = (path: string) => `${servers.domain(0)}/${path}:cache`

const exportTo = async (image: BuiltImage, to: CacheLocation) => {
  const { response, events } = await runExport(store, [image], [], { cacheTo: [to] })
  const told = response.get("cache.manifest")
  return { events, manifest: told === undefined ? undefined : JSON.parse(told) }
}

const importFrom = (from: readonly CacheLocation[]) => {
  const events: BuildEvent[] = []
  const { signal } = new AbortController()
  const cache = openImportedCaches(exportRooms(fresh), from, {
    credentials: async () => undefined,
    report: (event) => events.push(event),
    hold: fresh.images.sharing.hold(),
    signal,
  })
  const bring = async (key: string) => {
    const record = await cache.find(key)
    if (record === undefined) throw new Error(`no record of ${key}`)
    return cache.bring(record, signal)
  }
  const errors = () =>
    events.flatMap((event) =>
      event.type === "vertex" && event.vertex.error !== "" ? [event.vertex.error] : [],
    )
  return { cache, bring, errors }
}

/** A directory as clients keep it, in memory. */
const memoryDirectory = (): CacheDirectory & { readonly blobs: Map<string, Uint8Array> } => {
  const blobs = new Map<string, Uint8Array>()
  return {
    blobs,
    has: async (digest) => blobs.has(digest),
    async *read(digest) {
      const found = blobs.get(digest)
      if (found === undefined) throw failure("not-found", `no blob ${digest}`)
      yield found
    },
    async write({ digest }, bytes) {
      blobs.set(digest, await gather(bytes))
    },
  }
}

test.each([
  [{}, "application/vnd.oci.image.manifest.v1+json"],
  [{ "image-manifest": "false" }, "application/vnd.oci.image.index.v1+json"],
  [{ "oci-mediatypes": "false" }, "application/vnd.docker.distribution.manifest.list.v2+json"],
  [{ compression: "zstd" }, "application/vnd.oci.image.manifest.v1+json"],
] as const)("a registry gives every step back, with %j", async (attributes, mediaType) => {
  const image = await buildImage(store, tars)
  const ref = refOf(`forms${Object.keys(attributes).length}${mediaType.length}`)
  const { manifest } = await exportTo(image, location("registry", { ref, mode: "max", ...attributes }))
  expect(manifest.mediaType).toBe(mediaType)
  const { cache, bring } = importFrom([location("registry", { ref })])
  expect(await cache.find(`sha256:${"0".repeat(64)}`)).toBeUndefined()
  const record = await cache.find(keyOf(image, 1))
  const [, step] = stepsOf(image)
  expect(record).toMatchObject({
    chainId: step?.result.chainId,
    diffId: image.layers[1]?.diffId,
    description: step?.description,
    createdAt: step?.createdAt,
  })
  const tree = await bring(keyOf(image, 2))
  expect(tree.chainId).toBe(image.chainId)
  expect(tree.layers.map(({ diffId, size }) => [diffId, size])).toEqual(
    image.layers.map(({ diffId, size }) => [diffId, size]),
  )
  await runExport(fresh, [{ ...image, layers: tree.layers }], [exportRequest("image", { name: "again" })])
  expect(Object.keys(await filesOf(fresh, "again")).toSorted()).toEqual(["base", "one", "two"])
})

test("mode=min leaves out what is no part of the image", async () => {
  const whole = await buildImage(store, tars)
  const image = await buildImage(store, tars.slice(0, 2))
  for (const [mode, found] of [
    ["min", undefined],
    ["max", keyOf(whole, 2)],
  ] as const) {
    const to = location("registry", { ref: refOf(mode), mode })
    await runExport(store, [image], [], { cacheTo: [to], steps: stepsOf(whole) })
    const { cache } = importFrom([location("registry", { ref: refOf(mode) })])
    expect((await cache.find(keyOf(whole, 1)))?.key).toBe(keyOf(whole, 1))
    expect((await cache.find(keyOf(whole, 2)))?.key).toBe(found)
  }
})

test("a client's directory holds a cache too", async () => {
  const image = await buildImage(store, tars)
  const directory = memoryDirectory()
  const { manifest } = await exportTo(image, location("local", { dest: "/cache" }, directory))
  for (const [digest, bytes] of directory.blobs) expect(digestOf(bytes)).toBe(digest)
  const { bring } = importFrom([location("local", { src: "/cache", digest: manifest.digest }, directory)])
  expect((await bring(keyOf(image, 2))).chainId).toBe(image.chainId)
})

test("an image brings the cache that lies in it", async () => {
  const image = await buildImage(store, tars)
  const name = `${servers.domain(0)}/inline:1`
  const inline = { cacheTo: [location("inline", {})] }
  await runExport(store, [image], [exportRequest("registry", { name })], inline)
  const { cache, bring } = importFrom([location("registry", { ref: name })])
  expect((await cache.find(keyOf(image, 0)))?.chainId).toBe(image.layers[0]?.diffId ?? "")
  expect((await bring(keyOf(image, 2))).chainId).toBe(image.chainId)
})

test("a cache that is not there, or none at all, is a miss that is told", async () => {
  const image = await buildImage(store, tars)
  const plain = `${servers.domain(0)}/plain:1`
  await runExport(store, [image], [exportRequest("registry", { name: plain })])
  const { cache, errors } = importFrom([
    location("registry", { ref: refOf("absent") }),
    location("registry", { ref: plain }),
    location("registry", {}),
    location("local", { src: "x" }),
  ])
  expect(await cache.find(keyOf(image, 0))).toBeUndefined()
  expect(errors()).toHaveLength(3)
})

test.each([
  ["gha", "cache export of type gha is not supported here"],
  ["tape", 'unknown cache export type "tape"'],
])("--cache-to type=%s is refused before anything is exported", async (type, sentence) => {
  const image = await buildImage(store, tars)
  const cacheTo = [location(type, {})]
  await expect(
    runExport(store, [image], [exportRequest("image", { name: "a" })], { cacheTo }),
  ).rejects.toThrow(sentence)
  expect(await store.images.find("a")).toBeUndefined()
})

test.each([
  [{ mode: "most" }, "unsupported cache mode"],
  [{ "oci-mediatypes": "false", "image-manifest": "true" }, "OCI mediatypes are required"],
  [{ dest: "" }, "requires dest"],
])("a local export with %j is refused", async (attributes, sentence) => {
  const image = await buildImage(store, tars)
  const to = location("local", { dest: "/cache", ...attributes }, memoryDirectory())
  await expect(exportTo(image, to)).rejects.toThrow(sentence)
})

test("with ignore-error a cache that cannot be written is only told of", async () => {
  const image = await buildImage(store, tars)
  const ref = "127.0.0.1:1/cache:1"
  await expect(exportTo(image, location("registry", { ref }))).rejects.toThrow("connection refused")
  const { events } = await exportTo(image, location("registry", { ref, "ignore-error": "true" }))
  const said = events.flatMap((event) => (event.type === "log" ? [Buffer.from(event.bytes).toString()] : []))
  expect(said.join("")).toStartWith("the cache is not exported: ")
})

test("layers that are not what they are said to be never come in", async () => {
  const image = await buildImage(store, tars)
  const lies: ((directory: Map<string, Uint8Array>, layers: string[]) => void)[] = [
    // Other bytes under the digest, cut off, far longer, gone.
    (blobs, [, blob = ""]) => blobs.set(blob, randomBytes(100)),
    (blobs, [, blob = ""]) => blobs.set(blob, (blobs.get(blob) ?? Buffer.alloc(0)).subarray(0, 100)),
    (blobs, [, blob = ""]) =>
      blobs.set(blob, Buffer.concat([blobs.get(blob) ?? Buffer.alloc(0), Buffer.alloc(1 << 22)])),
    (blobs, [, blob = ""]) => blobs.delete(blob),
  ]
  for (const lie of lies) {
    const directory = memoryDirectory()
    const { manifest } = await exportTo(image, location("local", { dest: "/cache" }, directory))
    const { layers } = JSON.parse(Buffer.from(directory.blobs.get(manifest.digest) ?? []).toString())
    lie(
      directory.blobs,
      layers.map(({ digest }: { digest: string }) => digest),
    )
    const { bring } = importFrom([location("local", { src: "/c", digest: manifest.digest }, directory)])
    await expect(bring(keyOf(image, 2))).rejects.toMatchObject({ name: "Failure" })
    expect(fresh.snapshots.has(image.chainId)).toBe(false)
  }
})

test("a layer cannot be passed off as another, not even as one that is here", async () => {
  const image = await buildImage(store, tars)
  await buildImage(fresh, tars.slice(0, 1))
  const directory = memoryDirectory()
  const { manifest } = await exportTo(image, location("local", { dest: "/cache" }, directory))
  const document = JSON.parse(Buffer.from(directory.blobs.get(manifest.digest) ?? []).toString())
  // The second layer's blob under the name of the first one's and the third one's contents.
  for (const [at, claimed] of [
    [0, 1],
    [1, 2],
  ] as const) {
    const forged = structuredClone(document)
    forged.layers[claimed].annotations["containerd.io/uncompressed"] = image.layers[at]?.diffId
    const bytes = Buffer.from(JSON.stringify(forged))
    directory.blobs.set(digestOf(bytes), bytes)
    const { bring } = importFrom([location("local", { src: "/c", digest: digestOf(bytes) }, directory)])
    await expect(bring(keyOf(image, claimed))).rejects.toThrow(/but sha256:[0-9a-f]{64} was announced/)
  }
})
