// The default export: a config and names, no bytes of layers; several platforms are refused with a sentence.
import { afterEach, beforeEach, expect, test } from "bun:test"
import { buildImage, builtAt, exportRequest, runExport, stepsOf } from "../../../test/fixtures/built-image.ts"
import { filesOf, type ImageStore, openImageStore } from "../../../test/fixtures/image-store.ts"
import { layerTar } from "../../../test/fixtures/remote-image.ts"
import { plainBuild } from "../testing/plain-build.ts"
import { checkExports } from "./check.ts"
import { inlineCacheField } from "./config-bytes.ts"

let store: ImageStore
beforeEach(async () => {
  store = await openImageStore()
})
afterEach(() => store.close())

const tars = await Promise.all(["one", "two"].map((text) => layerTar(text, `of ${text}`)))

test("writes the config and the names, and nothing else", async () => {
  const image = await buildImage(store, tars)
  const before = await store.inventory()
  const {
    imageId = "",
    response,
    events,
  } = await runExport(
    store,
    [image],
    [
      exportRequest("image", {
        name: "app:1,other/app",
        push: "false",
        unpack: "",
        "oci-mediatypes": "true",
      }),
    ],
  )
  const after = await store.inventory()
  expect(after.filter((line) => !before.includes(line)).toSorted()).toEqual([
    `blob ${imageId}`,
    `image ${imageId}`,
    `name docker.io/library/app:1 ${imageId}`,
    `name docker.io/other/app:latest ${imageId}`,
  ])
  expect(Object.fromEntries(response)).toEqual({
    "containerimage.digest": imageId,
    "containerimage.config.digest": imageId,
    "image.name": "docker.io/library/app:1,docker.io/other/app:latest",
  })
  expect(await filesOf(store, "app:1")).toEqual({ one: "of one", two: "of two" })
  const found = await store.images.get("app:1")
  expect(found.history.map(({ createdBy }) => createdBy)).toEqual(["RUN step 1", "RUN step 2"])
  const told = events.flatMap((event) => (event.type === "status" ? [event.id] : []))
  expect([...new Set(told)]).toEqual([
    `writing image ${imageId}`,
    "naming to docker.io/library/app:1",
    "naming to docker.io/other/app:latest",
  ])
  const last = events.at(-1)
  expect(last?.type === "vertex" && last.vertex.name).toBe("writing image")
})

test("the same result is the same image, and only its names are new", async () => {
  const image = await buildImage(store, tars)
  const first = await runExport(store, [image], [exportRequest("image", { name: "a" })])
  const second = await runExport(store, [image], [exportRequest("image", { name: "b" })])
  expect(second.imageId).toBe(first.imageId ?? "")
  expect((await store.images.get("a")).tags).toEqual(["a:latest", "b:latest"])
})

test("no time of what was made is later than SOURCE_DATE_EPOCH, and the base keeps its own", async () => {
  const image = await buildImage(store, tars, { baseLayers: 1 })
  const request = plainBuild({ buildArgs: new Map([["SOURCE_DATE_EPOCH", "1000"]]) })
  await runExport(store, [image], [exportRequest("image", { name: "a" })], { request })
  const found = await store.images.get("a")
  expect(found.created).toBe(1_000_000)
  expect(found.history.map(({ created }) => created)).toEqual([builtAt, 1_000_000])
})

test("the cache lies in the config when it is asked for inline", async () => {
  const image = await buildImage(store, tars)
  await runExport(store, [image], [exportRequest("image", { name: "a" })], {
    cacheTo: [{ type: "inline", attributes: new Map() }],
  })
  const { document } = await store.images.get("a")
  const records = JSON.parse(Buffer.from(String(document[inlineCacheField]), "base64").toString())
  const [one, two] = stepsOf(image)
  expect(records).toEqual([
    { digest: one?.key, layers: [{ layer: 0, createdAt: "2024-01-02T03:04:05.000Z" }] },
    {
      digest: two?.key,
      layers: [{ layer: 1, createdAt: "2024-01-02T03:04:05.001Z" }],
      inputs: [[{ link: 0 }]],
    },
  ])
})

test.each([
  [{ name: "a@sha256:".padEnd(73, "a") }, "refusing to create a tag with a digest reference"],
  [{ name: "UPPER" }, "must be lowercase"],
  [{ "source-date-epoch": "soon" }, "invalid source-date-epoch: soon"],
])("%j is refused", async (attributes, sentence) => {
  const image = await buildImage(store, tars)
  const before = await store.inventory()
  await expect(runExport(store, [image], [exportRequest("image", attributes)])).rejects.toThrow(sentence)
  expect(await store.inventory()).toEqual(before)
})

test("several platforms do not fit the local store", async () => {
  const images = [
    await buildImage(store, tars),
    await buildImage(store, tars, { platform: { os: "linux", architecture: "riscv64", variant: "" } }),
  ]
  await expect(runExport(store, images, [exportRequest("image", { name: "a" })])).rejects.toThrow(
    /keeps an image for one platform, and this build made linux\/[a-z0-9]+, linux\/riscv64/,
  )
})

test("an unknown exporter is refused, cacheonly is nothing", async () => {
  const image = await buildImage(store, tars)
  await expect(runExport(store, [image], [exportRequest("zip")])).rejects.toThrow(
    'exporter "zip" could not be found',
  )
  const { response, imageId } = await runExport(store, [image], [exportRequest("cacheonly")])
  expect([response.size, imageId]).toEqual([0, undefined])
})

test.each([
  ["an SBOM", [exportRequest("image")], { sbom: {} }, "this engine makes no SBOM"],
  ["an unknown attestation", [exportRequest("image")], { seal: {} }, 'unknown attestation type "seal"'],
  ["a wrong mode", [exportRequest("image")], { provenance: { mode: "some" } }, 'invalid mode "some"'],
  ["a wrong name", [exportRequest("image", { name: "A" })], {}, "must be lowercase"],
  ["a wrong compression", [exportRequest("registry", { compression: "x" })], {}, "unsupported compression"],
  ["no destination", [exportRequest("oci")], {}, "dest file is required for oci exporter"],
  ["no directory", [exportRequest("local")], {}, "dest directory is required for local exporter"],
] as const)("%s is refused before anything is built", (_, exports, asked, sentence) => {
  const attestations = new Map(
    Object.entries<Readonly<Record<string, string>>>(asked).map(([type, attributes]) => [
      type,
      new Map(Object.entries(attributes)),
    ]),
  )
  expect(() => checkExports({ exports, cacheTo: [], attestations })).toThrow(sentence)
})
