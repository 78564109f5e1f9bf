// Manifests, tags and referrers: what is accepted, and what a registry that lies is told.
import { afterEach, beforeEach, expect, test } from "bun:test"
import { type LyingRegistry, startLyingRegistry } from "../../test/fixtures/lying-registry.ts"
import { layerTar, makeImage, makeIndex } from "../../test/fixtures/remote-image.ts"
import { digestOf } from "../base/digest-stream.ts"
import { mediaTypes } from "../oci/media-types.ts"
import { openRegistries, type RemoteRepository } from "./registry-client.ts"

const image = makeImage({ layers: [await layerTar("a", "b")] })

let registry: LyingRegistry
let remote: RemoteRepository
beforeEach(async () => {
  registry = await startLyingRegistry()
  registry.hold("team/app", "1", image)
  const registries = openRegistries({
    mirrors: [],
    insecure: [],
    certificates: [],
    agent: "test",
    timing: { firstPause: 1, attempts: 2 },
  })
  remote = registries.repository({ domain: registry.host, path: "team/app" }, { actions: "pull,push" })
})
afterEach(() => registry.close())

const keep = (tag: string, document: unknown, mediaType: string = mediaTypes.ociManifest): string => {
  const bytes = Buffer.from(typeof document === "string" ? document : JSON.stringify(document))
  for (const name of [tag, digestOf(bytes)]) registry.manifests.set(`team/app ${name}`, { bytes, mediaType })
  return digestOf(bytes)
}

test("by tag and by digest", async () => {
  const byTag = await remote.document("1")
  expect(byTag).toMatchObject({ digest: image.digest, mediaType: mediaTypes.ociManifest })
  expect(await remote.document(image.digest)).toEqual(byTag)
  expect(await remote.look("1")).toEqual({
    mediaType: mediaTypes.ociManifest,
    digest: image.digest,
    size: image.manifest.length,
    annotations: {},
  })
  expect(await remote.look("absent")).toBeUndefined()
  await expect(remote.document("absent")).rejects.toThrow(
    `manifest for ${registry.host}/team/app:absent not found: manifest unknown: manifest unknown`,
  )
})

test("types: what header and document say must agree; what only one says counts; none is guessed by form", async () => {
  keep(
    "plain",
    { schemaVersion: 2, mediaType: mediaTypes.dockerManifest, config: {}, layers: [] },
    "application/json",
  )
  expect((await remote.document("plain")).mediaType).toBe(mediaTypes.dockerManifest)
  keep("silent", { schemaVersion: 2, config: {}, layers: [] }, mediaTypes.dockerManifest)
  expect((await remote.document("silent")).mediaType).toBe(mediaTypes.dockerManifest)
  keep("bare", { schemaVersion: 2, manifests: [] }, "text/plain")
  expect((await remote.document("bare")).mediaType).toBe(mediaTypes.ociIndex)
  keep("quarrel", { schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: [] }, mediaTypes.ociManifest)
  await expect(remote.document("quarrel")).rejects.toThrow(/is ambiguous: it was sent as/)
  keep("odd", { schemaVersion: 2, mediaType: "text/odd" }, "text/odd")
  await expect(remote.document("odd")).rejects.toThrow(/unsupported type "text\/odd"/)
  keep("list", "[]")
  await expect(remote.document("list")).rejects.toMatchObject({ kind: "invalid" })
  keep("nothing", "{")
  await expect(remote.document("nothing")).rejects.toThrow(/is not valid JSON/)
})

test("schema 1 is refused by its name", async () => {
  const refusal = /has a manifest of schema version 1, which is not supported/
  keep("signed", { schemaVersion: 1, fsLayers: [] }, mediaTypes.dockerSchema1Signed)
  await expect(remote.document("signed")).rejects.toThrow(refusal)
  keep("hidden", { schemaVersion: 1, fsLayers: [] }, "application/json")
  await expect(remote.document("hidden")).rejects.toThrow(refusal)
  keep("mixed", { schemaVersion: 2, fsLayers: [], layers: [], config: {} })
  await expect(remote.document("mixed")).rejects.toThrow(refusal)
})

test("wrong bytes for a digest, a digest that lies, a manifest that is too large", async () => {
  const wanted = `sha256:${"a".repeat(64)}`
  registry.manifests.set(`team/app ${wanted}`, { bytes: image.manifest, mediaType: image.mediaType })
  await expect(remote.document(wanted)).rejects.toThrow(`manifest verification failed for digest ${wanted}`)
  registry.lie = (_request, response, { body }) => {
    response.writeHead(200, { "Content-Type": image.mediaType, "Docker-Content-Digest": wanted })
    response.end(body)
    return true
  }
  await expect(remote.document("1")).rejects.toThrow(/verification failed/)
  for (const announced of [true, false]) {
    registry.lie = (request, response) => {
      if (request.url === "/v2/") return false
      const size = (4 << 20) + 1
      response.writeHead(200, {
        "Content-Type": image.mediaType,
        ...(announced ? { "Content-Length": `${size}` } : {}),
      })
      response.end(Buffer.alloc(size, 0x20))
      return true
    }
    await expect(remote.document("1")).rejects.toThrow(/sends more than 4194304 bytes/)
  }
})

test("what is stored is what is read", async () => {
  const index = makeIndex([{ image, platform: { os: "linux", architecture: "amd64" } }])
  expect(await remote.putDocument("many", index)).toEqual({ digest: index.digest, listsReferrers: false })
  expect((await remote.document("many")).digest).toBe(index.digest)
  expect((await remote.tags()).toSorted()).toEqual(["1", "many"])
})

test("tags come in pages, and only from the same registry", async () => {
  registry.lie = (request, response) => {
    const url = new URL(request.url ?? "", registry.origin)
    if (!url.pathname.endsWith("/tags/list")) return false
    const last = url.searchParams.get("last") ?? ""
    const next = { "": "b", b: "d", d: "" }[last]
    response.writeHead(200, next ? { Link: `</v2/team/app/tags/list?last=${next}>; rel="next"` } : {})
    response.end(JSON.stringify({ tags: [`${last}1`, `${last}2`, "no tag at all!"] }))
    return true
  }
  expect(await remote.tags()).toEqual(["1", "2", "b1", "b2", "d1", "d2"])
  registry.lie = (request, response) => {
    if (request.url?.includes("/tags/list") !== true) return false
    response.writeHead(200, { Link: '<http://elsewhere.example/next>; rel="next"' })
    response.end(JSON.stringify({ tags: ["only"] }))
    return true
  }
  expect(await remote.tags()).toEqual(["only"])
  registry.lie = (request, response) => {
    if (request.url?.includes("/tags/list") !== true) return false
    response.end(JSON.stringify({ tags: "none" }))
    return true
  }
  await expect(remote.tags()).rejects.toThrow(/list of tags is none/)
})

test.each([true, false])("referrers, by the API: %p", async (api) => {
  registry.referrersApi = api
  const subject = { mediaType: image.mediaType, digest: image.digest, size: image.manifest.length }
  const artifact = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: mediaTypes.ociManifest,
      artifactType: "application/x-signature",
      config: { mediaType: mediaTypes.ociEmpty, digest: `sha256:${"4".repeat(64)}`, size: 2 },
      layers: [],
      subject,
    }),
  )
  expect((await remote.referrers(image.digest)).manifests).toEqual([])
  const stored = await remote.putDocument(digestOf(artifact), {
    bytes: artifact,
    mediaType: mediaTypes.ociManifest,
  })
  expect(stored.listsReferrers).toBe(api)
  if (!api) {
    const entry = {
      mediaType: mediaTypes.ociManifest,
      digest: digestOf(artifact),
      size: artifact.length,
      artifactType: "application/x-signature",
    }
    keep(
      image.digest.replace(":", "-"),
      { schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: [entry] },
      mediaTypes.ociIndex,
    )
  }
  const found = await remote.referrers(image.digest, "application/x-signature")
  expect(found.manifests.map(({ digest }) => digest)).toEqual([digestOf(artifact)])
  expect((await remote.referrers(image.digest, "other")).manifests).toEqual([])
})
