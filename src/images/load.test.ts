// load: the archives that docker, skopeo and buildx make, and the ones that attackers make.
import { afterEach, beforeEach, expect, test } from "bun:test"
import { gzipSync, zstdCompressSync } from "node:zlib"
import {
  type ArchivedImage,
  busyboxDockerArchive,
  configDocument,
  dockerArchive,
  gather,
  streamed,
} from "../../test/fixtures/busybox-image.ts"
import { type ImageStore, openImageStore } from "../../test/fixtures/image-store.ts"
import { digestOf } from "../base/digest-stream.ts"
import { readTar } from "../base/tar-reader.ts"
import { type TarSource, writeTar } from "../base/tar-writer.ts"
import { chainIdOf } from "../oci/chain-id.ts"

let store: ImageStore
beforeEach(async () => {
  store = await openImageStore()
})
afterEach(() => store.close())

const file = (name: string, body: Uint8Array | string): TarSource => ({
  name,
  type: "file",
  body: typeof body === "string" ? Buffer.from(body) : body,
})
const json = (value: unknown) => Buffer.from(JSON.stringify(value))
const tarOf = (entries: readonly TarSource[]) => gather(writeTar(entries))
const load = (bytes: Uint8Array, chunk?: number) => store.images.load(streamed(bytes, chunk), () => {})
const layer = (text: string) => tarOf([file("file", text)])
const hex = (bytes: Uint8Array) => digestOf(bytes).slice(7)

/** What the root of an image holds. */
const filesOf = async (reference: string): Promise<Record<string, string>> => {
  const mount = store.images.view(await store.images.get(reference))
  if (mount.type !== "overlay") throw new Error("not an overlay")
  const files: Record<string, string> = {}
  const tar = store.kernel.receive([
    ["pack"],
    ["root-overlay", "", "", "", ...mount.lower],
    ["path", "/"],
    ["option", "contents", "yes"],
  ])
  for await (const entry of readTar(tar))
    if (entry.type === "file") files[entry.name] = Buffer.from(await gather(entry.body)).toString("latin1")
  return files
}

test("busybox as docker 20.10 saves it", async () => {
  const archive = await busyboxDockerArchive()
  expect(await load(archive)).toEqual(["busybox:latest"])
  const image = await store.images.get("busybox")
  expect(image.tags).toEqual(["busybox:latest"])
  expect(image.config.command).toEqual(["sh"])
  expect(image.size).toBeGreaterThan(1_000_000)
  expect((await filesOf("busybox"))["etc/passwd"]).toStartWith("root:x:0:0")
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
  expect(await filesOf(loaded[1] ?? "")).toEqual({ file: "base", two: "2" })
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
  expect(await filesOf("a:1")).toEqual({ file: "one", two: "2" })
})

interface Layout {
  readonly manifestType?: string
  readonly annotations?: Record<string, string>
  readonly index?: (manifest: object) => object
  readonly more?: readonly TarSource[]
}
const ociArchive = async (image: ArchivedImage, layout: Layout = {}): Promise<Uint8Array> => {
  const config = configDocument(image)
  const layers = image.layers.map((tar) => gzipSync(tar))
  const blob = (bytes: Uint8Array) => file(`blobs/sha256/${hex(bytes)}`, bytes)
  const describe = (mediaType: string, bytes: Uint8Array) => ({
    mediaType,
    digest: digestOf(bytes),
    size: bytes.length,
  })
  const manifest = json({
    schemaVersion: 2,
    mediaType: "application/vnd.oci.image.manifest.v1+json",
    config: describe("application/vnd.oci.image.config.v1+json", config),
    layers: layers.map((bytes) => describe("application/vnd.oci.image.layer.v1.tar+gzip", bytes)),
  })
  const entry = {
    ...describe("application/vnd.oci.image.manifest.v1+json", manifest),
    ...(layout.annotations ? { annotations: layout.annotations } : {}),
  }
  return tarOf([
    file("oci-layout", json({ imageLayoutVersion: "1.0.0" })),
    file("index.json", json(layout.index?.(entry) ?? { schemaVersion: 2, manifests: [entry] })),
    ...[config, manifest, ...layers].map(blob),
    ...(layout.more ?? []),
  ])
}

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
  expect(await filesOf(loaded)).toEqual({ file: "one" })
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
  expect(await filesOf("user/app:1")).toEqual({ file: "one" })
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

test("two loads of the same archive at once", async () => {
  const archive = await busyboxDockerArchive()
  const both = await Promise.all([load(archive), load(archive, 10_000)])
  expect(both).toEqual([["busybox:latest"], ["busybox:latest"]])
  expect(await store.images.list()).toHaveLength(1)
  expect(Object.keys(await filesOf("busybox"))).toContain("bin/busybox")
})
