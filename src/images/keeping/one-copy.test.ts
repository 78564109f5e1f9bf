// Where layers are images over their tars, the tar is all that is kept of them: what is loaded, imported and committed lies on
// the disk once, and is saved as it was.
import { afterEach, beforeEach, expect, test } from "bun:test"
import { readdirSync, statSync } from "node:fs"
import { join } from "node:path"
import { gzipSync } from "node:zlib"
import { dockerArchive, gather, streamed } from "../../../test/fixtures/busybox-image.ts"
import { layer, ociArchive } from "../../../test/fixtures/image-archives.ts"
import { type ImageStore, openImageStore } from "../../../test/fixtures/image-store.ts"
import { digestOf } from "../../base/digest-stream.ts"
import { readTar } from "../../base/tar-reader.ts"

let store: ImageStore
beforeEach(async () => {
  store = await openImageStore({ form: "erofs" })
})
afterEach(() => store.close())

const blobs = (of: ImageStore = store): string[] =>
  readdirSync(join(of.directory, "content", "blobs", "sha256")).map((name) => `sha256:${name}`)
const load = (archive: Uint8Array, into: ImageStore = store) => into.images.load(streamed(archive), () => {})
const tarOf = async (chainId: string): Promise<Buffer> => {
  const tar = store.snapshots.tar(chainId)
  if (tar === undefined) throw new Error(`the tar of ${chainId} is not kept`)
  expect(statSync(tar.path).nlink).toBe(1)
  return gather(tar.open())
}
const members = async (archive: Uint8Array): Promise<string[]> => {
  const names: string[] = []
  for await (const { name, type } of readTar(streamed(archive))) if (type === "file") names.push(name)
  return names
}

test("a docker-archive's layers are taken over, not copied", async () => {
  const tars = [await layer("one"), Buffer.concat([await layer("two"), Buffer.alloc(3 << 20)])]
  await load(await dockerArchive([{ layers: tars, tags: ["a:1"] }]))
  const image = await store.images.get("a:1")
  expect(blobs()).toEqual([image.id])
  expect(await tarOf(image.chainId)).toEqual(Buffer.from(tars[1] ?? []))
})

test("an OCI layout's compressed layers are given up; what is saved is the same tar under the same image id", async () => {
  const image = { layers: [await layer("one"), await layer("two")], tags: [] }
  const archive = await ociArchive(image, {
    annotations: { "io.containerd.image.name": "docker.io/library/a:1" },
  })
  await load(archive)
  const { id, layers, manifestDigest } = await store.images.get("a:1")
  expect(blobs().toSorted()).toEqual([id, manifestDigest].toSorted())
  const saved = await gather(store.images.save(["a:1"]))
  for (const { diffId } of layers) expect(await members(saved)).toContain(`blobs/sha256/${diffId.slice(7)}`)
  const other = await openImageStore()
  try {
    await load(saved, other)
    expect((await other.images.get("a:1")).id).toBe(id)
  } finally {
    await other.close()
  }
  // Again: the layers are here and known, nothing is unpacked, nothing remains.
  await load(archive)
  expect(blobs().toSorted()).toEqual([id, manifestDigest].toSorted())
})

test("told to keep layers compressed, it keeps both and saves the very blobs", async () => {
  await store.close()
  store = await openImageStore({ form: "erofs", keepCompressed: true })
  const tar = await layer("one")
  const archive = await ociArchive(
    { layers: [tar], tags: [] },
    { annotations: { "io.containerd.image.name": "docker.io/library/a:1" } },
  )
  await load(archive)
  const image = await store.images.get("a:1")
  const blob = digestOf(gzipSync(tar))
  expect(blobs()).toContain(blob)
  expect(await members(await gather(store.images.save(["a:1"])))).toEqual(
    expect.arrayContaining([
      `blobs/sha256/${blob.slice(7)}`,
      `blobs/sha256/${image.manifestDigest.slice(7)}`,
    ]),
  )
  // Another process that is not told so gives them up.
  await store.images.recover()
  expect(blobs()).toContain(blob)
})

test("import keeps the tar alone; removal leaves nothing", async () => {
  const tar = await layer("imported")
  const id = await store.images.import(streamed(tar), { reference: "b:1" })
  expect(blobs()).toEqual([id])
  const { chainId } = await store.images.get("b:1")
  expect(await tarOf(chainId)).toEqual(Buffer.from(tar))
  await store.images.remove("b:1", { force: false, prune: true }, () => [])
  await store.snapshots.settle()
  expect(await store.inventory()).toEqual([])
  expect(readdirSync(join(store.directory, "snapshots")).filter((name) => /^[0-9]/.test(name))).toEqual([])
})

test("a commit over an image keeps its diff as a tar, and both are one image after a restart", async () => {
  await load(await dockerArchive([{ layers: [await layer("one")], tags: ["a:1"] }]))
  const parent = await store.images.get("a:1")
  await store.snapshots.prepare("key", parent.chainId, { ephemeral: false })
  await Bun.write(join(store.snapshots.layers("key").upper, "new"), "n")
  await store.images.commit({
    snapshotKey: "key",
    parent,
    reference: "c:1",
    config: parent.config,
    createdBy: "",
  })
  const committed = await store.images.get("c:1")
  expect(blobs()).toHaveLength(2)
  const before = await store.inventory()
  store = await store.reopen()
  expect(await store.inventory()).toEqual(before)
  expect(
    (await gather(store.snapshots.tar(committed.chainId)?.open() ?? streamed(Buffer.alloc(0)))).length,
  ).toBeGreaterThan(512)
})

test("the same layer on two parents, and an image whose layers are unpacked already", async () => {
  const shared = await layer("shared")
  const archive = await dockerArchive([
    { layers: [await layer("one"), shared], tags: ["a:1"] },
    { layers: [await layer("two"), shared], tags: ["b:1"] },
  ])
  await load(archive)
  const [a, b] = [await store.images.get("a:1"), await store.images.get("b:1")]
  expect(a.chainId).not.toBe(b.chainId)
  expect(await gather(store.snapshots.tar(a.chainId)?.open() ?? streamed(Buffer.alloc(0)))).toEqual(
    Buffer.from(shared),
  )
  await store.images.remove("a:1", { force: false, prune: true }, () => [])
  await store.snapshots.settle()
  expect(await gather(store.snapshots.tar(b.chainId)?.open() ?? streamed(Buffer.alloc(0)))).toEqual(
    Buffer.from(shared),
  )
})

test("unpacked layers of an older data root go on working beneath new ones", async () => {
  await store.close()
  const old = await openImageStore({ form: "overlay" })
  await load(await dockerArchive([{ layers: [await layer("one")], tags: ["a:1"] }]), old)
  await old.closeKeepingFiles()
  store = await openImageStore({ form: "erofs", directory: old.directory })
  const parent = await store.images.get("a:1")
  expect(store.snapshots.tar(parent.chainId)).toBeUndefined()
  const tars = [await layer("one"), await layer("upper")]
  await load(await dockerArchive([{ layers: tars, tags: ["b:1"] }]))
  const image = await store.images.get("b:1")
  const mount = store.snapshots.view(image.chainId)
  expect(mount.type === "overlay" ? mount.lower.map((lower) => lower.startsWith("erofs:")) : []).toEqual([
    true,
    false,
  ])
  const answer = await store.kernel.perform([
    ["stat"],
    ["root-overlay", "", "", "", ...(mount.type === "overlay" ? mount.lower : [])],
    ["path", "/file"],
  ])
  expect(answer.get("size")).toEqual(["5"])
  expect(await members(await gather(store.images.save(["b:1"])))).toHaveLength(8)
})

test("a damaged blob of a layer that is known already is refused", async () => {
  const tar = await layer("one")
  await load(
    await ociArchive(
      { layers: [tar], tags: [] },
      { annotations: { "io.containerd.image.name": "docker.io/library/a:1" } },
    ),
  )
  const before = await store.inventory()
  const evil = await ociArchive({ layers: [tar], tags: [] })
  const broken = Buffer.from(evil)
  const at = broken.indexOf(gzipSync(tar))
  broken[at + 30] = (broken[at + 30] ?? 0) ^ 1
  await expect(load(broken)).rejects.toMatchObject({ kind: "invalid" })
  expect(await store.inventory()).toEqual(before)
})
