// load: the archives that docker, skopeo and buildx make.
import { afterEach, beforeEach, expect, test } from "bun:test"
import { gzipSync, zstdCompressSync } from "node:zlib"
import {
  busyboxDockerArchive,
  configDocument,
  dockerArchive,
  gather,
  streamed,
} from "../../../test/fixtures/busybox-image.ts"
import { file, hex, json, layer, ociArchive, tarOf } from "../../../test/fixtures/image-archives.ts"
import { filesOf, type ImageStore, openImageStore } from "../../../test/fixtures/image-store.ts"
import { digestOf } from "../../base/digest-stream.ts"
import { readTar } from "../../base/tar-reader.ts"
import type { TarSource } from "../../base/tar-writer.ts"
import { chainIdOf } from "../../oci/chain-id.ts"

let store: ImageStore
beforeEach(async () => {
  store = await openImageStore()
})
afterEach(() => store.close())

const load = (bytes: Uint8Array, chunk?: number) => store.images.load(streamed(bytes, chunk), () => {})

test("busybox as docker 20.10 saves it", async () => {
  const archive = await busyboxDockerArchive()
  expect(await load(archive)).toEqual(["busybox:latest"])
  const image = await store.images.get("busybox")
  expect(image.tags).toEqual(["busybox:latest"])
  expect(image.config.command).toEqual(["sh"])
  expect(image.size).toBeGreaterThan(1_000_000)
  expect((await filesOf(store, "busybox"))["etc/passwd"]).toStartWith("root:x:0:0")
  expect(store.happened).toEqual([`load ${image.id}`])
  for (const name of [
    image.id,
    image.id.slice(7),
    image.id.slice(7, 19),
    image.id.slice(0, 15),
    "docker.io/library/busybox:latest",
  ])
    expect((await store.images.get(name)).id).toBe(image.id)
  expect(await store.images.find("nothing")).toBeUndefined()
  expect(await store.images.find("feedface0000")).toBeUndefined()
  await expect(store.images.get("nothing")).rejects.toThrow("No such image: nothing:latest")
  await expect(store.images.get("Nothing")).rejects.toThrow("must be lowercase")
  expect(await load(archive)).toEqual(["busybox:latest"])
  expect(await store.images.list()).toHaveLength(1)
})

test("a compressed archive, in any chunks", async () => {
  const image = { layers: [await layer("one")], tags: ["a:1", "a:2"] }
  const archive = await dockerArchive([image])
  expect(await load(gzipSync(archive), 100)).toEqual(["a:1", "a:2"])
  expect(await load(zstdCompressSync(archive), 7)).toEqual(["a:1", "a:2"])
})

test("several images share layers, and one has no name", async () => {
  const [base, one, two] = [
    await layer("base"),
    await tarOf([file("one", "1")]),
    await tarOf([file("two", "2")]),
  ]
  const loaded = await load(
    await dockerArchive([
      { layers: [base, one], tags: ["one:latest"] },
      { layers: [base, two], tags: [] },
    ]),
  )
  expect(loaded[0]).toBe("one:latest")
  expect(loaded[1]).toStartWith("sha256:")
  expect(await filesOf(store, loaded[1] ?? "")).toEqual({ file: "base", two: "2" })
  expect(store.state.snapshots.list()).toHaveLength(3)
})

test("a tag that moves leaves the old image without a name and says so", async () => {
  await load(await dockerArchive([{ layers: [await layer("old")], tags: ["a:1"] }]))
  const old = await store.images.get("a:1")
  const said: string[] = []
  const archive = await dockerArchive([{ layers: [await layer("new")], tags: ["a:1"] }])
  await store.images.load(streamed(archive), (progress) => said.push(progress.status))
  expect(said).toContain(
    `The image a:1 already exists, renaming the old one with ID ${old.id} to empty string`,
  )
  expect((await store.images.get(old.id)).tags).toEqual([])
  expect((await store.images.get("a:1")).id).not.toBe(old.id)
})

test("links between layers, config before or after them, as skopeo and old dockers write", async () => {
  const one = await layer("one")
  const config = configDocument({ layers: [one, one], tags: [] })
  const archive = await tarOf([
    { name: "second/layer.tar", type: "symlink", linkName: "../first/layer.tar" },
    file(
      "manifest.json",
      json([{ Config: "c.json", RepoTags: ["a:1"], Layers: ["first/layer.tar", "second/layer.tar"] }]),
    ),
    file("./first/layer.tar", one),
    { name: "c.json", type: "hardlink", linkName: "conf" },
    file("conf", config),
  ])
  expect(await load(archive)).toEqual(["a:1"])
  expect((await store.images.get("a:1")).chainId).toBe(chainIdOf([digestOf(one), digestOf(one)]))
})

test("layers may be compressed", async () => {
  const plain = [await layer("one"), await tarOf([file("two", "2")])]
  const config = configDocument({ layers: plain, tags: [] })
  const archive = await tarOf([
    file("c.json", config),
    file("1", gzipSync(plain[0] ?? "")),
    file("2", zstdCompressSync(plain[1] ?? "")),
    file("manifest.json", json([{ Config: "c.json", RepoTags: ["a:1"], Layers: ["1", "2"] }])),
  ])
  await load(archive)
  expect(await filesOf(store, "a:1")).toEqual({ file: "one", two: "2" })
})

test.each([
  [{ "org.opencontainers.image.ref.name": "example.com/app:1" }, "example.com/app:1"],
  [
    { "io.containerd.image.name": "docker.io/library/app:2", "org.opencontainers.image.ref.name": "2" },
    "app:2",
  ],
  [{ "org.opencontainers.image.ref.name": "latest" }, undefined],
  [{}, undefined],
])("an oci-archive annotated with %p", async (annotations, name) => {
  const archive = await ociArchive({ layers: [await layer("one")], tags: [] }, { annotations })
  const [loaded = ""] = await load(archive)
  if (name === undefined) expect(loaded).toStartWith("sha256:")
  else expect(loaded).toBe(name)
  const image = await store.images.get(loaded)
  expect(store.content.has(image.manifestDigest)).toBe(true)
  expect(await filesOf(store, loaded)).toEqual({ file: "one" })
})

test("an index of platforms: the host's is loaded, others need not be there", async () => {
  const nested = (manifest: object) => {
    const platform = { os: "linux", architecture: process.arch === "arm64" ? "arm64" : "amd64" }
    const missing = {
      ...manifest,
      digest: `sha256:${"0".repeat(64)}`,
      platform: { os: "linux", architecture: "s390x" },
    }
    return { schemaVersion: 2, manifests: [missing, { ...manifest, platform }] }
  }
  await load(await ociArchive({ layers: [await layer("one")], tags: [] }, { index: nested }))
  expect(await store.images.list()).toHaveLength(1)
  const none = (manifest: object) => ({
    manifests: [{ ...manifest, platform: { os: "linux", architecture: "s390x" } }],
  })
  await expect(
    load(await ociArchive({ layers: [await layer("two")], tags: [] }, { index: none })),
  ).rejects.toThrow("no matching manifest for linux/")
})

test("an index inside index.json, with attestations, as buildx exports it", async () => {
  const platform = { os: "linux", architecture: process.arch === "arm64" ? "arm64" : "amd64" }
  const archive = await ociArchive({ layers: [await layer("one")], tags: [] })
  const members: TarSource[] = []
  let entry: object = {}
  for await (const member of readTar(streamed(archive))) {
    const body = await gather(member.body)
    if (member.name === "index.json") entry = JSON.parse(body.toString()).manifests[0]
    else members.push(file(member.name, body))
  }
  const attestation = {
    ...entry,
    digest: `sha256:${"0".repeat(64)}`,
    platform: { os: "unknown", architecture: "unknown" },
    annotations: { "vnd.docker.reference.type": "attestation-manifest" },
  }
  const nested = json({
    schemaVersion: 2,
    mediaType: "application/vnd.oci.image.index.v1+json",
    manifests: [{ ...entry, platform }, attestation],
  })
  const outer = {
    mediaType: "application/vnd.oci.image.index.v1+json",
    digest: digestOf(nested),
    size: nested.length,
    annotations: { "io.containerd.image.name": "docker.io/user/app:1" },
  }
  members.push(file(`blobs/sha256/${hex(nested)}`, nested))
  members.push(file("index.json", json({ schemaVersion: 2, manifests: [outer] })))
  expect(await load(await tarOf(members))).toEqual(["user/app:1"])
  expect(await filesOf(store, "user/app:1")).toEqual({ file: "one" })
  // An index that holds itself cannot be written (its digest would have to be known), but deep ones can.
  let deep: Uint8Array = nested
  const chain: TarSource[] = [...members.filter(({ name }) => name !== "index.json")]
  const describe = (bytes: Uint8Array) => ({
    mediaType: "application/vnd.oci.image.index.v1+json",
    digest: digestOf(bytes),
    size: bytes.length,
  })
  for (let at = 0; at < 12; at++) {
    deep = json({ schemaVersion: 2, manifests: [describe(deep)] })
    chain.push(file(`blobs/sha256/${hex(deep)}`, deep))
  }
  chain.push(file("index.json", json({ schemaVersion: 2, manifests: [describe(deep)] })))
  await expect(load(await tarOf(chain))).rejects.toThrow("nest deeper than 8 levels")
})

test("two loads of the same archive at once", async () => {
  const archive = await busyboxDockerArchive()
  const both = await Promise.all([load(archive), load(archive, 10_000)])
  expect(both).toEqual([["busybox:latest"], ["busybox:latest"]])
  expect(await store.images.list()).toHaveLength(1)
  expect(Object.keys(await filesOf(store, "busybox"))).toContain("bin/busybox")
})
