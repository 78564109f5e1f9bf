// load: the archives that attackers make, and loads that end too early.
import { afterEach, beforeEach, expect, test } from "bun:test"
import { gzipSync } from "node:zlib"
import {
  busyboxDockerArchive,
  configDocument,
  dockerArchive,
  streamed,
} from "../../../test/fixtures/busybox-image.ts"
import { file, json, layer, ociArchive, tarOf } from "../../../test/fixtures/image-archives.ts"
import { type ImageStore, openImageStore } from "../../../test/fixtures/image-store.ts"

let store: ImageStore
beforeEach(async () => {
  store = await openImageStore()
})
afterEach(() => store.close())

const load = (bytes: Uint8Array, chunk?: number) => store.images.load(streamed(bytes, chunk), () => {})

/** Loads something hostile and sees to it that nothing has changed. */
const refuses = async (bytes: Uint8Array, message: string) => {
  const before = await store.inventory()
  const failed = load(bytes)
  await expect(failed).rejects.toThrow(message)
  await expect(failed).rejects.toMatchObject({ kind: "invalid" })
  expect(await store.inventory()).toEqual(before)
  expect(store.happened).toEqual([])
}

const listing = (entry: object) => file("manifest.json", json([entry]))
const config = async () => configDocument({ layers: [await layer("one")], tags: [] })

test("paths that lead out of the archive name nothing", async () => {
  for (const path of ["../../etc/passwd", "/etc/passwd", "a/../../etc/passwd"]) {
    await refuses(
      await tarOf([listing({ Config: path, RepoTags: ["a:1"], Layers: [] })]),
      "leads out of the archive",
    )
    await refuses(
      await tarOf([
        file("c", await config()),
        file(path, await layer("one")),
        listing({ Config: "c", Layers: [path] }),
      ]),
      "leads out of the archive",
    )
  }
  await refuses(
    await tarOf([
      file("c", await config()),
      { name: "l", type: "symlink", linkName: "../../../etc/passwd" },
      listing({ Config: "c", Layers: ["l"] }),
    ]),
    'names "l", which is not in the archive',
  )
})

test("links that go in circles", async () => {
  await refuses(
    await tarOf([
      { name: "a", type: "symlink", linkName: "b" },
      { name: "b", type: "symlink", linkName: "a" },
      listing({ Config: "a", Layers: [] }),
    ]),
    "a link that never ends",
  )
})

test("members twice, with different contents", async () => {
  const one = await layer("one")
  await refuses(
    await tarOf([
      file("c", await config()),
      file("l", one),
      file("l", await layer("two")),
      listing({ Config: "c", Layers: ["l"] }),
    ]),
    "ambiguous",
  )
  await refuses(await tarOf([file("a", one), { name: "./a", type: "symlink", linkName: "b" }]), "ambiguous")
})

test("missing and mismatched parts", async () => {
  const one = await layer("one")
  await refuses(await tarOf([listing({ Config: "c", Layers: [] })]), "not in the archive")
  await refuses(await tarOf([listing({ Layers: [] })]), "without a config")
  await refuses(
    await tarOf([file("c", await config()), listing({ Config: "c", Layers: [] })]),
    "layers length mismatch: expected 1, got 0",
  )
  await refuses(
    await tarOf([
      file("c", await config()),
      file("l", await layer("other")),
      listing({ Config: "c", Layers: ["l"] }),
    ]),
    "has the digest",
  )
  await refuses(
    await tarOf([
      file(`${"0".repeat(64)}.json`, await config()),
      file("l", one),
      listing({ Config: `${"0".repeat(64)}.json`, Layers: ["l"] }),
    ]),
    "not the one that it is named by",
  )
  const notTar = Buffer.alloc(2048, 0x41)
  const wrong = configDocument({ layers: [notTar], tags: [] })
  await refuses(
    await tarOf([file("c", wrong), file("l", notTar), listing({ Config: "c", Layers: ["l"] })]),
    "cannot be unpacked",
  )
  await refuses(await tarOf([file("c", "{"), listing({ Config: "c", Layers: [] })]), "not valid JSON")
  await refuses(
    await tarOf([file("c", json({ os: "windows", rootfs: {} })), listing({ Config: "c", Layers: [] })]),
    "cannot load windows image on linux",
  )
  await refuses(
    await tarOf([
      file("c", await config()),
      file("l", one),
      listing({ Config: "c", RepoTags: ["A:1"], Layers: ["l"] }),
    ]),
    "must be lowercase",
  )
  await refuses(await tarOf([file("etc/passwd", "root")]), "holds no images")
  await refuses(await tarOf([file("repositories", "{}")]), "older than 1.10")
  await refuses(Buffer.from("not an archive at all"), "not a tar archive")
  await refuses(new Uint8Array(0), "not a tar archive")
})

test("the second image is bad: the first is not kept either", async () => {
  const good = await layer("one")
  const bad = await layer("two")
  const archive = await tarOf([
    file("c1", configDocument({ layers: [good], tags: [] })),
    file("c2", configDocument({ layers: [bad], tags: [] })),
    file("l1", good),
    file("l2", await layer("not two")),
    file(
      "manifest.json",
      json([
        { Config: "c1", RepoTags: ["a:1"], Layers: ["l1"] },
        { Config: "c2", RepoTags: ["b:1"], Layers: ["l2"] },
      ]),
    ),
  ])
  await refuses(archive, "has the digest")
})

test("names that would fill the memory", async () => {
  await refuses(await tarOf([file("n".repeat(5000), "x")]), "names that are too long")
})

test("documents that are huge or nest without end", async () => {
  await refuses(await tarOf([file("manifest.json", `[${" ".repeat(5 << 20)}]`)]), "a document has at most")
  await refuses(await tarOf([file("manifest.json", "[".repeat(500_000))]), "nests deeper")
})

test("mixed and ambiguous OCI documents, and blobs that are not what they are called", async () => {
  const image = { layers: [await layer("one")], tags: [] }
  await refuses(
    await ociArchive(image, { index: (entry) => ({ manifests: [entry], layers: [] }) }),
    "ambiguous",
  )
  await refuses(
    await ociArchive(image, { index: (entry) => ({ manifests: [{ ...entry, size: 1 }] }) }),
    "announces 1 bytes",
  )
  await refuses(
    await ociArchive(image, {
      index: (entry) => ({ manifests: [{ ...entry, digest: "sha256:../../etc/passwd" }] }),
    }),
    "no valid sha256 digest",
  )
  const forged = json({ schemaVersion: 2, config: {}, layers: [] })
  await refuses(
    await ociArchive(image, {
      index: (entry) => ({
        manifests: [{ ...entry, digest: `sha256:${"1".repeat(64)}`, size: forged.length }],
      }),
      more: [file(`blobs/sha256/${"1".repeat(64)}`, forged)],
    }),
    "the archive holds",
  )
})

test("a layer that claims an existing chainID must still be what it claims", async () => {
  const one = await layer("one")
  await load(await dockerArchive([{ layers: [one], tags: ["a:1"] }]))
  store.happened.length = 0
  const archive = await tarOf([
    file("c", configDocument({ layers: [one], tags: [], config: { User: "x" } })),
    file("l", await layer("forged")),
    listing({ Config: "c", RepoTags: ["b:1"], Layers: ["l"] }),
  ])
  await refuses(archive, "has the digest")
})

test("decompression bombs", async () => {
  await store.close()
  store = await openImageStore({
    bounds: { maximumBytes: 2 ** 30, maximumRatio: 100, ratioFreeBytes: 1 << 20 },
  })
  const bomb = await tarOf([file("zeros", Buffer.alloc(16 << 20))])
  const archive = await tarOf([
    file("c", configDocument({ layers: [bomb], tags: [] })),
    file("l", gzipSync(bomb)),
    listing({ Config: "c", RepoTags: ["a:1"], Layers: ["l"] }),
  ])
  await refuses(archive, "decompression bomb")
  await refuses(gzipSync(bomb), "decompression bomb")
})

test("an aborted load and a client that goes away leave nothing", async () => {
  const before = await store.inventory()
  const stop = new AbortController()
  const archive = await busyboxDockerArchive()
  async function* slow() {
    yield archive.subarray(0, 1_500_000)
    stop.abort(new Error("stopped"))
    yield archive.subarray(1_500_000)
  }
  await expect(store.images.load(slow(), () => {}, stop.signal)).rejects.toThrow("stopped")
  async function* gone() {
    yield archive.subarray(0, 1_500_000)
    throw new Error("the client went away")
  }
  await expect(store.images.load(gone(), () => {})).rejects.toThrow("the client went away")
  expect(await store.inventory()).toEqual(before)
})
