// Pulled layers are kept as their tars alone; pushes still send the bytes that the image came as, from wherever those are.
import { afterAll, beforeAll, expect, test } from "bun:test"
import { readdirSync, statSync } from "node:fs"
import { join } from "node:path"
import { hasDockerRegistry, startRegistry, type TestRegistry } from "../fixtures/docker-registry.ts"
import { startEngine, type TestEngine } from "../fixtures/engine.ts"
import { layerTar, makeImage, putImage, type RemoteImage } from "../fixtures/remote-image.ts"

if (!hasDockerRegistry()) throw new Error("these tests need Debian's docker-registry")
let first: TestRegistry
let second: TestRegistry
let third: TestRegistry
let engine: TestEngine
let image: RemoteImage
let firstEnded = false
beforeAll(async () => {
  ;[first, second, third] = await Promise.all([startRegistry(), startRegistry(), startRegistry()])
  engine = await startEngine({ image: false })
  const random = Buffer.from(crypto.getRandomValues(new Uint8Array(60_000)))
  image = makeImage({ layers: [await layerTar("big", random), await layerTar("small", "small")] })
  await putImage(first.origin, "team/app", image, "1")
}, 60_000)
afterAll(async () => {
  await engine.close()
  for (const registry of [...(firstEnded ? [] : [first]), second, third]) await registry.close()
}, 60_000)

const blobs = (): string[] =>
  readdirSync(join(engine.root, "data", "content", "blobs", "sha256")).map((name) => `sha256:${name}`)
const pushed = async (name: string): Promise<{ digest: string; told: string }> => {
  const told = await engine.ok("push", name)
  return { digest: /digest: (sha256:[0-9a-f]{64})/.exec(told)?.[1] ?? "", told }
}
const manifestOf = async (registry: TestRegistry, path: string, tag: string) => {
  const accept = { Accept: image.mediaType }
  const answer = await fetch(`${registry.origin}/v2/${path}/manifests/${tag}`, { headers: accept })
  return (await answer.json()) as { layers: { digest: string }[] }
}

test("a pulled layer is on the disk once", async () => {
  await engine.ok("pull", `${first.host}/team/app:1`)
  expect(blobs().toSorted()).toEqual([image.configDigest, image.digest].toSorted())
  const snapshots = join(engine.root, "data", "snapshots")
  const tars = readdirSync(snapshots).filter((name) => /^[0-9]+$/.test(name))
  expect(tars.map((name) => statSync(join(snapshots, name, "layer.tar")).nlink)).toEqual([1, 1])
  expect(await engine.ok("pull", `${first.host}/team/app:1`)).toContain("Image is up to date")
  // By another name: its layers are known, nothing comes again.
  await putImage(first.origin, "team/same", image, "1")
  expect(await engine.ok("pull", `${first.host}/team/same:1`)).toContain("Already exists")
  expect(blobs().toSorted()).toEqual([image.configDigest, image.digest].toSorted())
}, 30_000)

test("a push to another repository of its registry mounts, to another registry streams the very bytes", async () => {
  await engine.ok("tag", `${first.host}/team/app:1`, `${first.host}/other/app:2`)
  expect((await pushed(`${first.host}/other/app:2`)).digest).toBe(image.digest)
  await engine.ok("tag", `${first.host}/team/app:1`, `${second.host}/moved/app:1`)
  const { digest, told } = await pushed(`${second.host}/moved/app:1`)
  expect(digest).toBe(image.digest)
  expect(told).not.toContain("compressed anew")
  const layers = (await manifestOf(second, "moved/app", "1")).layers.map((layer) => layer.digest)
  expect(layers).toEqual([...image.layers])
  for (const layer of layers) {
    const bytes = await fetch(`${second.origin}/v2/moved/app/blobs/${layer}`)
    expect(Buffer.from(await bytes.arrayBuffer())).toEqual(Buffer.from(image.blobs.get(layer) ?? []))
  }
  expect(blobs().toSorted()).toEqual([image.configDigest, image.digest].toSorted())
}, 30_000)

test("where nobody has the bytes any more, layers are compressed anew, which is said, and from then on it is the same", async () => {
  firstEnded = true
  await first.close()
  await engine.ok("rmi", `${second.host}/moved/app:1`)
  await engine.ok("tag", `${first.host}/team/app:1`, `${third.host}/late/app:1`)
  const lost = await pushed(`${third.host}/late/app:1`)
  expect(lost.told).toContain("compressed anew, and the image's digest changes")
  expect(lost.digest).not.toBe(image.digest)
  const again = await pushed(`${third.host}/late/app:1`)
  expect(again.digest).toBe(lost.digest)
  expect(again.told).not.toContain("compressed anew")
  await engine.ok("tag", `${third.host}/late/app:1`, `${second.host}/late/app:1`)
  expect((await pushed(`${second.host}/late/app:1`)).digest).toBe(lost.digest)
  const id = await engine.ok("image", "inspect", "-f", "{{.Id}}", `${third.host}/late/app:1`)
  expect(id).toBe(image.configDigest)
  await engine.ok("rmi", "-f", id)
  await engine.ok("pull", `${third.host}/late/app:1`)
  expect(await engine.ok("image", "inspect", "-f", "{{.Id}}", `${third.host}/late/app:1`)).toBe(id)
}, 60_000)

test("what was made here is pushed to two registries under one digest, and its blobs are not kept", async () => {
  const made = await layerTar("made", "made here ".repeat(5000))
  await engine.dockerWith({ stdin: made }, "import", "-", `${second.host}/made/app:1`)
  const before = blobs().length
  const there = await pushed(`${second.host}/made/app:1`)
  expect(blobs()).toHaveLength(before + 1)
  await engine.ok("tag", `${second.host}/made/app:1`, `${third.host}/made/app:1`)
  await engine.ok("rmi", `${second.host}/made/app:1`)
  expect((await pushed(`${third.host}/made/app:1`)).digest).toBe(there.digest)
  expect(blobs()).toHaveLength(before + 1)
}, 30_000)
