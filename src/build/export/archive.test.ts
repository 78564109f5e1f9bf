// OCI and Docker archives: other tools read them, and the same build gives the same bytes wherever and whenever it is made.
import { afterEach, beforeEach, expect, setSystemTime, test } from "bun:test"
import { spawnSync } from "node:child_process"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { gunzipSync, zstdDecompressSync } from "node:zlib"
import { buildImage, exportRequest, runExport } from "../../../test/fixtures/built-image.ts"
import { gather } from "../../../test/fixtures/busybox-image.ts"
import { filesOf, type ImageStore, openImageStore } from "../../../test/fixtures/image-store.ts"
import { layerTar } from "../../../test/fixtures/remote-image.ts"
import { digestOf } from "../../base/digest-stream.ts"
import { readTar } from "../../base/tar-reader.ts"
import type { BuildRequest, BuiltImage, ExportOptions } from "../build.ts"
import { plainBuild } from "../testing/plain-build.ts"

let store: ImageStore
let directory: string
beforeEach(async () => {
  store = await openImageStore()
  directory = mkdtempSync(join(tmpdir(), "sloop-archive-"))
})
afterEach(async () => {
  setSystemTime()
  await store.close()
  rmSync(directory, { recursive: true, force: true })
})

const tars = await Promise.all(["one", "two"].map((text) => layerTar(text, `of ${text}`.repeat(1000))))
const riscv = { os: "linux", architecture: "riscv64", variant: "" }

const archived = async (
  images: readonly BuiltImage[],
  type: string,
  attributes: Readonly<Record<string, string>> = {},
  rest: Partial<ExportOptions> & { request?: BuildRequest; in?: ImageStore } = {},
) => {
  let bytes: Buffer = Buffer.alloc(0)
  const asTree = attributes.tar === "false"
  const take = async (tar: AsyncIterable<Uint8Array>) => {
    bytes = await gather(tar)
  }
  const request = exportRequest(type, attributes, asTree ? { writeTree: take } : { write: take })
  const { in: where = store, ...options } = rest
  const { response } = await runExport(where, images, [request], options)
  const files = new Map<string, Buffer>()
  async function* whole() {
    yield bytes
  }
  for await (const entry of readTar(whole())) files.set(entry.name, await gather(entry.body))
  const blob = (digest: string): Buffer => files.get(`blobs/sha256/${digest.slice(7)}`) ?? Buffer.alloc(0)
  const json = (name: string) => JSON.parse((files.get(name) ?? blob(name)).toString())
  return { bytes, files, blob, json, response: Object.fromEntries(response) }
}

test("an OCI layout holds what its documents say, in gzip", async () => {
  const image = await buildImage(store, tars)
  const { files, blob, json, response } = await archived([image], "oci", { name: "app:1,b" })
  const index = json("index.json")
  expect(index.manifests.map((entry: { annotations: Record<string, string> }) => entry.annotations)).toEqual([
    expect.objectContaining({
      "io.containerd.image.name": "docker.io/library/app:1",
      "org.opencontainers.image.ref.name": "1",
    }),
    expect.objectContaining({ "io.containerd.image.name": "docker.io/library/b:latest" }),
  ])
  const digest = response["containerimage.digest"] ?? ""
  expect(index.manifests[0].digest).toBe(digest)
  const manifest = json(digest)
  expect(manifest.config.digest).toBe(response["containerimage.config.digest"])
  expect(manifest.layers.map((layer: { mediaType: string }) => layer.mediaType)).toEqual(
    Array(2).fill("application/vnd.oci.image.layer.v1.tar+gzip"),
  )
  for (const [at, layer] of manifest.layers.entries()) {
    expect(blob(layer.digest).length).toBe(layer.size)
    expect(gunzipSync(blob(layer.digest)).equals(Buffer.from(tars[at] ?? []))).toBe(true)
  }
  for (const [name, bytes] of files)
    if (name.startsWith("blobs/sha256/") && !name.endsWith("/"))
      expect(digestOf(bytes)).toBe(`sha256:${name.slice(13)}`)
  expect(files.has("manifest.json")).toBe(false)
  expect(
    JSON.parse(Buffer.from(response["containerimage.descriptor"] ?? "", "base64").toString()).digest,
  ).toBe(digest)
})

test.each([
  ["zstd", "19", zstdDecompressSync, "application/vnd.oci.image.layer.v1.tar+zstd"],
  ["gzip", "9", gunzipSync, "application/vnd.oci.image.layer.v1.tar+gzip"],
  ["uncompressed", "0", (bytes: Buffer) => bytes, "application/vnd.oci.image.layer.v1.tar"],
] as const)("%s at level %s", async (compression, level, unpack, mediaType) => {
  const image = await buildImage(store, tars)
  const attributes = { compression, "compression-level": level, "force-compression": "true" }
  const { blob, json, response } = await archived([image], "oci", attributes)
  const { layers } = json(response["containerimage.digest"] ?? "")
  expect(layers[0].mediaType).toBe(mediaType)
  expect(Buffer.from(unpack(blob(layers[1].digest))).equals(Buffer.from(tars[1] ?? []))).toBe(true)
})

test("several platforms are an index in oci, and refused in docker", async () => {
  const images = [await buildImage(store, tars), await buildImage(store, tars.slice(1), { platform: riscv })]
  const { json, response } = await archived(images, "oci", {
    "annotation-index.about": "all",
    "annotation[linux/riscv64].only": "here",
  })
  const index = json(response["containerimage.digest"] ?? "")
  expect(index.annotations).toEqual({ about: "all" })
  expect(index.manifests[1].platform).toEqual({ architecture: "riscv64", os: "linux" })
  expect(json(index.manifests[1].digest).annotations).toEqual({ only: "here" })
  expect(json(index.manifests[0].digest).annotations).toBeUndefined()
  expect(response["containerimage.config.digest"]).toBeUndefined()
  await expect(archived(images, "docker")).rejects.toThrow(
    "docker exporter does not currently support exporting manifest lists",
  )
})

test("a docker archive loads, here and in what Docker's own tools read", async () => {
  const image = await buildImage(store, tars)
  const { bytes, response } = await archived([image], "docker", { name: "app:1" })
  const other = await openImageStore()
  try {
    async function* tar() {
      yield bytes
    }
    expect(await other.images.load(tar(), () => {})).toEqual(["app:1"])
    expect((await other.images.get("app:1")).id).toBe(response["containerimage.config.digest"] ?? "")
    expect(await filesOf(other, "app:1")).toEqual({
      one: "of one".repeat(1000),
      two: "of two".repeat(1000),
    })
  } finally {
    await other.close()
  }
})

const skopeo = spawnSync("skopeo", ["--version"]).status === 0
test.skipIf(!skopeo)("skopeo reads both forms, as tar and as directory", async () => {
  const image = await buildImage(store, tars)
  const inspect = (source: string) => {
    const { stdout, stderr } = spawnSync("skopeo", ["inspect", "--no-tags", source], { encoding: "utf8" })
    if (stdout === "") throw new Error(stderr)
    return JSON.parse(stdout)
  }
  const oci = await archived([image], "oci", { name: "app:1" })
  writeFileSync(join(directory, "oci.tar"), oci.bytes)
  const digest = oci.response["containerimage.digest"]
  expect(inspect(`oci-archive:${directory}/oci.tar`).Digest).toBe(digest)
  const tree = await archived([image], "oci", { name: "app:1", tar: "false" })
  writeFileSync(join(directory, "tree.tar"), tree.bytes)
  spawnSync("mkdir", [join(directory, "tree")])
  spawnSync("tar", ["-xf", join(directory, "tree.tar"), "-C", join(directory, "tree")])
  expect(inspect(`oci:${directory}/tree:1`).Digest).toBe(digest)
  const docker = await archived([image], "docker", { name: "app:1" })
  writeFileSync(join(directory, "docker.tar"), docker.bytes)
  expect(inspect(`docker-archive:${directory}/docker.tar:app:1`).Layers).toHaveLength(2)
})

test("the same build gives the same bytes on another day and in another store", async () => {
  const request = plainBuild({ buildArgs: new Map([["SOURCE_DATE_EPOCH", "1700000000"]]) })
  const first = await archived([await buildImage(store, tars)], "oci", { name: "a" }, { request })
  setSystemTime(new Date("2031-05-06T07:08:09Z"))
  const other = await openImageStore({ form: "erofs" })
  try {
    const createdAt = Date.now()
    const later = await buildImage(other, tars, { createdAt })
    const second = await archived([later], "oci", { name: "a" }, { request, in: other })
    expect(second.response).toEqual(first.response)
    expect(second.bytes.equals(first.bytes)).toBe(true)
  } finally {
    await other.close()
  }
})

test.each([
  ["oci", {}, "dest file is required for oci exporter"],
  ["oci", { compression: "estargz" }, "cannot be compressed with estargz"],
  ["oci", { compression: "lz4" }, "unsupported compression type lz4"],
  ["oci", { "compression-level": "high" }, "non-integer value high"],
  ["oci", { compression: "zstd", "compression-level": "23" }, "is not between 0 and 22"],
  ["oci", { tar: "maybe" }, "non-bool value specified for tar"],
  ["oci", { "annotation-index.a": "b" }, "index annotations not supported for single platform"],
  ["oci", { "annotation[linux/s390x].a": "b" }, "no platform linux/s390x found"],
] as const)("%s with %j is refused", async (type, attributes, sentence) => {
  const image = await buildImage(store, tars)
  const rest = sentence.startsWith("dest")
    ? {}
    : { write: async (tar: AsyncIterable<Uint8Array>) => void (await gather(tar)) }
  await expect(runExport(store, [image], [exportRequest(type, attributes, rest)])).rejects.toThrow(sentence)
})

test("an export that is stopped ends soon and leaves nothing", async () => {
  const image = await buildImage(store, tars)
  const before = await store.inventory()
  const stopping = new AbortController()
  const write = async (tar: AsyncIterable<Uint8Array>) => {
    for await (const _ of tar) stopping.abort(new Error("stopped by the user"))
  }
  await expect(
    runExport(store, [image], [exportRequest("oci", { name: "a" }, { write })], { signal: stopping.signal }),
  ).rejects.toThrow("stopped by the user")
  expect(await store.inventory()).toEqual(before)
})
