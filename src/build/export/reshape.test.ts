// --squash and rewrite-timestamp: the same files in other layers, with whiteouts only for what the base shows.
import { afterEach, beforeEach, expect, test } from "bun:test"
import { buildImage, builtAt, exportRequest, runExport } from "../../../test/fixtures/built-image.ts"
import { gather } from "../../../test/fixtures/busybox-image.ts"
import { filesOf, type ImageStore, openImageStore } from "../../../test/fixtures/image-store.ts"
import { readTar } from "../../base/tar-reader.ts"
import { type TarSource, writeTar } from "../../base/tar-writer.ts"
import type { Image } from "../../images/images.ts"
import { chainIds } from "../../oci/chain-id.ts"

let store: ImageStore
beforeEach(async () => {
  store = await openImageStore()
})
afterEach(() => store.close())

const file = (name: string, text = `of ${name}`): TarSource => ({
  name,
  type: "file",
  mtime: 5000,
  body: Buffer.from(text),
})
const directory = (name: string, mode = 0o755): TarSource => ({ name, type: "directory", mode })
const tar = (...entries: TarSource[]) => gather(writeTar(entries))

const layerBytes = ({ layers }: Image, at: number): AsyncIterable<Uint8Array> => {
  const diffIds = layers.map(({ diffId }) => diffId)
  return store.snapshots.tar(chainIds(diffIds)[at] ?? "")?.open() ?? store.content.open(diffIds[at] ?? "")
}

/** Names and links of a layer's entries. */
const namesIn = async (image: Image, at: number): Promise<string[]> => {
  const names: string[] = []
  for await (const { name, linkName } of readTar(layerBytes(image, at)))
    names.push(linkName === "" ? name : `${name}>${linkName}`)
  return names
}

const squash = async (tars: readonly Uint8Array[], baseLayers: number) => {
  const image = await buildImage(store, tars, { baseLayers })
  await runExport(store, [image], [exportRequest("image", { name: "plain" })])
  await runExport(store, [image], [exportRequest("image", { name: "one" })], { squash: true })
  const [plain, one] = [await store.images.get("plain"), await store.images.get("one")]
  expect(await store.images.compare(plain.id, one.id)).toEqual([])
  return one
}

test("all layers beyond the base are one, and the history stays", async () => {
  const one = await squash(
    [
      await tar(file("base"), file("gone")),
      await tar(file("a"), file("x")),
      await tar(file(".wh.gone", ""), file(".wh.x", ""), file("b")),
    ],
    1,
  )
  expect(one.layers).toHaveLength(2)
  expect(await namesIn(one, 1)).toEqual([".wh.gone", "a", "b"])
  expect(one.history.map(({ createdBy, emptyLayer }) => [createdBy, emptyLayer])).toEqual([
    ["RUN step 1", false],
    ["RUN step 2", true],
    ["RUN step 3", true],
    ["", false],
  ])
  expect(one.history.at(-1)?.comment).toMatch(/^create new from sha256:[0-9a-f]{64}$/)
  expect(one.history.at(-1)?.created).toBe(builtAt)
})

test("directories that replace, hide and fill", async () => {
  const one = await squash(
    [
      await tar(directory("d/"), file("d/old"), file("f"), directory("p/"), file("p/kept")),
      await tar(file(".wh.d", "")),
      await tar(directory("d/", 0o700), file("d/new")),
      await tar(file("p/added"), directory("e/"), file("e/first")),
      await tar(directory("e/"), file("e/.wh..wh..opq", ""), file("e/second")),
    ],
    1,
  )
  expect(await filesOf(store, "one")).toEqual({
    "d/new": "of d/new",
    "e/second": "of e/second",
    f: "of f",
    "p/added": "of p/added",
    "p/kept": "of p/kept",
  })
  const names = await namesIn(one, 1)
  expect(names).toEqual(["d/", "e/", "d/.wh..wh..opq", "d/new", "p/added", "e/second"])
})

test("a link lives on when the name that its file came with is gone", async () => {
  const one = await squash(
    [
      await tar(
        file("a", "shared"),
        { name: "b", type: "hardlink", linkName: "a" },
        { name: "c", type: "hardlink", linkName: "a" },
      ),
      await tar(file(".wh.a", "")),
    ],
    0,
  )
  expect(await namesIn(one, 0)).toEqual(["b", "c>b"])
})

test("what has no layer beyond its base stays, and scratch becomes one layer", async () => {
  const one = await squash([await tar(file("base"))], 1)
  expect(one.layers).toHaveLength(1)
  const all = await squash([await tar(file("a")), await tar(file("b"))], 0)
  expect(await namesIn(all, 0)).toEqual(["a", "b"])
})

test("the same layers give the same squashed layer", async () => {
  const tars = [await tar(file("a")), await tar(file("b")), await tar(file(".wh.a", ""))]
  const [first, second] = [await squash(tars, 0), await squash(tars, 0)]
  expect(first.layers).toEqual(second.layers)
})

test("rewrite-timestamp changes late times alone, and not the base's", async () => {
  const tars = [await tar(file("base")), await tar({ ...file("early"), mtime: 10 }), await tar(file("late"))]
  const image = await buildImage(store, tars, { baseLayers: 1 })
  const attributes = { name: "a", "rewrite-timestamp": "true", "source-date-epoch": "1000" }
  await runExport(store, [image], [exportRequest("image", attributes)])
  const rewritten = await store.images.get("a")
  const { layers } = rewritten
  expect(layers.slice(0, 2)).toEqual(image.layers.slice(0, 2))
  expect(layers[2]?.diffId).not.toBe(image.layers[2]?.diffId ?? "")
  for await (const entry of readTar(layerBytes(rewritten, 2)))
    expect([entry.name, entry.mtime]).toEqual(["late", 1000])
  const { events } = await runExport(
    store,
    [image],
    [exportRequest("image", { "rewrite-timestamp": "true" })],
  )
  const said = events.flatMap((event) => (event.type === "log" ? [Buffer.from(event.bytes).toString()] : []))
  expect(said).toEqual(["rewrite-timestamp is specified, but no source-date-epoch was found\n"])
})
