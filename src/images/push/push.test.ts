// push: the same bytes as were pulled, nothing twice, and a sentence for what a registry refuses.
import { afterEach, beforeEach, expect, test } from "bun:test"
import { randomBytes } from "node:crypto"
import { type ImageStore, openImageStore } from "../../../test/fixtures/image-store.ts"
import { type LyingRegistry, startLyingRegistry } from "../../../test/fixtures/lying-registry.ts"
import { layerTar, makeImage } from "../../../test/fixtures/remote-image.ts"
import { openRegistries } from "../../registry-client/registry-client.ts"
import type { ImageProgress } from "../images.ts"

let registry: LyingRegistry
let store: ImageStore
const registries = openRegistries({
  mirrors: [],
  insecure: [],
  certificates: [],
  agent: "test",
  timing: { firstPause: 1, attempts: 3, stall: 1000, answer: 1000 },
})
beforeEach(async () => {
  registry = await startLyingRegistry()
  store = await openImageStore({ registries, keepCompressed: true })
})
afterEach(async () => {
  await store.close()
  await registry.close()
})

const tars = await Promise.all(["one", "two", "three"].map((text) => layerTar(text, randomBytes(200_000))))
const name = (path: string) => `${registry.host}/${path}`
const told: ImageProgress[] = []
const push = (reference: string, all = false) => {
  told.length = 0
  return store.images.push({ reference, all }, (progress) => told.push(progress))
}
const statuses = () => told.map(({ status }) => status).filter((status) => status !== "Pushing")

test.each([
  ["docker", "gzip"],
  ["oci", "zstd"],
  ["oci", "none"],
] as const)("what came as %s with %s goes as it came", async (form, compression) => {
  const image = makeImage({ layers: tars, form, compression })
  registry.hold("team/app", "1", image)
  await store.images.pull({ reference: name("team/app:1") }, () => {})
  await store.images.tag(name("team/app:1"), name("other:2"))
  registry.blobs.clear()
  expect(await push(name("other:2"))).toEqual([image.digest])
  expect(Buffer.from(registry.manifests.get("other 2")?.bytes ?? []).equals(image.manifest)).toBe(true)
  for (const [digest, bytes] of image.blobs)
    expect(Buffer.from(registry.blobs.get(digest) ?? []).equals(bytes)).toBe(true)
  expect(statuses()).toEqual([
    `The push refers to repository [${name("other")}]`,
    ...Array(3).fill("Preparing"),
    ...Array(3).fill("Pushed"),
    `2: digest: ${image.digest} size: ${image.manifest.length}`,
    "",
  ])
  expect(told.at(-1)?.stored).toEqual({ tag: "2", digest: image.digest, size: image.manifest.length })
  expect((await store.images.get(name("other:2"))).digests).toContain(name(`other@${image.digest}`))
  await push(name("other:2"))
  expect(statuses().slice(4, 7)).toEqual(Array(3).fill("Layer already exists"))
})

test("what the registry has elsewhere is mounted", async () => {
  const image = makeImage({ layers: tars })
  registry.hold("team/app", "1", image)
  registry.mountable.add("team/app")
  await store.images.pull({ reference: name("team/app:1") }, () => {})
  await store.images.tag(name("team/app:1"), name("other:2"))
  // The registry keeps blobs by repository.
  registry.lie = (request, response) => {
    if (request.method !== "HEAD" || request.url?.startsWith("/v2/other/blobs/") !== true) return false
    response.writeHead(404).end()
    return true
  }
  await push(name("other:2"))
  expect(statuses().filter((status) => status === "Mounted from team/app")).toHaveLength(3)
  expect(registry.asked(/PATCH/)).toEqual([])
})

test("an image that was made here gets one manifest, and keeps it", async () => {
  async function* tar() {
    yield tars[0] ?? new Uint8Array()
  }
  await store.images.import(tar(), { reference: name("made:1") })
  const [first = ""] = await push(name("made:1"))
  const manifest = JSON.parse(Buffer.from(registry.manifests.get("made 1")?.bytes ?? []).toString())
  expect(manifest.layers[0].mediaType).toBe("application/vnd.oci.image.layer.v1.tar+gzip")
  registry.blobs.clear()
  registry.manifests.clear()
  expect(await push(name("made:1"))).toEqual([first])
  await store.images.remove(name("made:1"), { force: true, prune: true }, () => [])
  await store.images.pull({ reference: name("made:1") }, () => {})
  expect((await store.images.get(name("made:1"))).manifestDigest).toBe(first)
})

test("all tags of a repository, and what is not there", async () => {
  registry.hold("app", "1", makeImage({ layers: tars.slice(0, 1) }))
  await store.images.pull({ reference: name("app:1") }, () => {})
  for (const tag of ["a", "b"]) await store.images.tag(name("app:1"), name(`many:${tag}`))
  expect(await push(name("many"), true)).toHaveLength(2)
  expect(registry.manifests.has("many a") && registry.manifests.has("many b")).toBe(true)
  await expect(push(name("many:c"))).rejects.toThrow(
    `An image does not exist locally with the tag: ${name("many")}`,
  )
  await expect(push(name("absent"), true)).rejects.toMatchObject({ kind: "not-found" })
  await expect(push(`${name("app")}@sha256:${"a".repeat(64)}`)).rejects.toThrow(/digest reference/)
})

test("a refusal ends the push with the registry's words, and no manifest is stored", async () => {
  registry.hold("app", "1", makeImage({ layers: tars }))
  await store.images.pull({ reference: name("app:1") }, () => {})
  await store.images.tag(name("app:1"), name("mine:1"))
  registry.blobs.clear()
  registry.lie = (request, response) => {
    if (request.method !== "POST") return false
    response.writeHead(403).end(JSON.stringify({ errors: [{ code: "DENIED", message: "no room for you" }] }))
    return true
  }
  await expect(push(name("mine:1"))).rejects.toThrow(
    new RegExp(`^denied: no room for you: cannot push the blob sha256:[0-9a-f]{64} to ${name("mine")}`),
  )
  expect(registry.manifests.has("mine 1")).toBe(false)
})

test("removed while it is pushed, it still goes whole", async () => {
  const image = makeImage({ layers: tars })
  registry.hold("app", "1", image)
  await store.images.pull({ reference: name("app:1") }, () => {})
  await store.images.tag(name("app:1"), name("mine:1"))
  registry.blobs.clear()
  registry.lie = async (request) => {
    if (request.method === "POST") await Bun.sleep(100)
    return false
  }
  const pushing = push(name("mine:1"))
  await Bun.sleep(50)
  await store.images.remove(name("app:1"), { force: true, prune: true }, () => [])
  await store.images.remove(name("mine:1"), { force: true, prune: true }, () => [])
  expect(await pushing).toEqual([image.digest])
  for (const digest of image.layers) expect(registry.blobs.has(digest)).toBe(true)
  expect(await store.inventory()).toEqual([])
  expect(store.state.references.entries()).toEqual([])
})
