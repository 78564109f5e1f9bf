// Cache mounts go along with a cache when that is asked for, and never take the place of one that is there.
import { afterEach, beforeEach, expect, test } from "bun:test"
import {
  chmodSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs"
import { join } from "node:path"
import { buildImage, exportRooms, runExport, solvedOf } from "../../../../test/fixtures/built-image.ts"
import { gather } from "../../../../test/fixtures/busybox-image.ts"
import { type ImageStore, openImageStore } from "../../../../test/fixtures/image-store.ts"
import { layerTar } from "../../../../test/fixtures/remote-image.ts"
import { digestOf } from "../../../base/digest-stream.ts"
import type { CacheDirectory, CacheLocation } from "../../build.ts"
import type { BuildEvent } from "../../progress.ts"
import { openImportedCaches } from "../open.ts"
import { cacheMountKey } from "./mounts.ts"

let store: ImageStore
let fresh: ImageStore
let blobs: Map<string, Uint8Array>
beforeEach(async () => {
  store = await openImageStore()
  fresh = await openImageStore()
  blobs = new Map()
})
afterEach(async () => {
  await store.close()
  await fresh.close()
})

const tar = await layerTar("a", "x")
const directory: CacheDirectory = {
  has: async (digest) => blobs.has(digest),
  async *read(digest) {
    yield blobs.get(digest) ?? new Uint8Array(0)
  },
  async write({ digest }, bytes) {
    blobs.set(digest, await gather(bytes))
  },
}
const id = (letter: string) => letter.repeat(32)
const filesOf = (of: ImageStore, mount: string) => join(exportRooms(of).root, "cache-mounts", mount, "fs")

const addMount = (of: ImageStore, mount: string, name: string, usedAt: number) => {
  const files = filesOf(of, mount)
  mkdirSync(join(files, "sub"), { recursive: true })
  chmodSync(files, 0o710)
  writeFileSync(join(files, "sub", "file"), `of ${name}`, { mode: 0o640 })
  symlinkSync("sub/file", join(files, "link"))
  of.state.cacheMounts.put(mount, {
    ...{ id: mount, directory: `cache-mounts/${mount}`, name, scope: "", sharing: "shared" },
    ...{ createdAt: 1, usedAt, uses: 1, bytes: 0 },
  })
}

const send = async (attributes: Readonly<Record<string, string>>): Promise<string> => {
  const to: CacheLocation = {
    type: "local",
    attributes: new Map(Object.entries({ dest: "/c", ...attributes })),
    directory,
  }
  const { response } = await runExport(store, [await buildImage(store, [tar])], [], { cacheTo: [to] })
  return JSON.parse(response.get("cache.manifest") ?? "{}").digest
}

const receive = async (digest: string, attributes: Readonly<Record<string, string>>) => {
  const events: BuildEvent[] = []
  const from: CacheLocation = {
    type: "local",
    attributes: new Map(Object.entries({ src: "/c", digest, ...attributes })),
    directory,
  }
  const { signal } = new AbortController()
  const cache = openImportedCaches(exportRooms(fresh), [from], {
    credentials: async () => undefined,
    report: (event) => events.push(event),
    hold: fresh.images.sharing.hold(),
    signal,
  })
  await cache.ready()
  const said = events.flatMap((event) => (event.type === "log" ? [Buffer.from(event.bytes).toString()] : []))
  return { mounts: fresh.state.cacheMounts.list().map(({ name }) => name), said: said.join("") }
}

test("what the build used goes along, and comes back with owners and modes", async () => {
  const { startedAt } = solvedOf([])
  addMount(store, id("a"), "npm", startedAt + 1)
  addMount(store, id("b"), "old", startedAt - 1)
  const digest = await send({ "cache-mounts": "true" })
  expect((await receive(digest, {})).mounts).toEqual([])
  expect((await receive(digest, { "cache-mounts": "true" })).mounts).toEqual(["npm"])
  const files = filesOf(fresh, id("a"))
  expect(readFileSync(join(files, "link"), "utf8")).toBe("of npm")
  expect(statSync(files).mode & 0o7777).toBe(0o710)
  expect(statSync(join(files, "sub", "file")).mode & 0o7777).toBe(0o640)
  expect(fresh.state.cacheMounts.find(id("a"))?.directory).toBe(`cache-mounts/${id("a")}`)
})

test("by name, whether used or not, in either direction", async () => {
  for (const [at, name] of ["npm", "go", "apt"].entries()) addMount(store, id(String(at)), name, 1)
  const digest = await send({ "cache-mounts": "npm,go", compression: "zstd", "image-manifest": "false" })
  expect((await receive(digest, { "cache-mounts": "go" })).mounts).toEqual(["go"])
  expect((await receive(digest, { "cache-mounts": "true" })).mounts.toSorted()).toEqual(["go", "npm"])
})

test("one that is there stays", async () => {
  addMount(store, id("a"), "npm", 1)
  const digest = await send({ "cache-mounts": "npm" })
  addMount(fresh, id("a"), "mine", 1)
  expect((await receive(digest, { "cache-mounts": "true" })).mounts).toEqual(["mine"])
  expect(readFileSync(join(filesOf(fresh, id("a")), "link"), "utf8")).toBe("of mine")
})

test("one without files is left out and told of", async () => {
  store.state.cacheMounts.put(id("c"), {
    ...{ id: id("c"), directory: `cache-mounts/${id("c")}`, name: "gone", scope: "", sharing: "locked" },
    ...{ createdAt: 1, usedAt: 1, uses: 1, bytes: 0 },
  })
  const digest = await send({ "cache-mounts": "gone" })
  expect((await receive(digest, { "cache-mounts": "true" })).mounts).toEqual([])
})

test.each([
  ["a path as its id", { id: "../../escape" }],
  ["an unknown sharing", { sharing: "all" }],
  ["another form", []],
])("a manifest with %s gives no cache mount", async (_, change) => {
  addMount(store, id("a"), "npm", 1)
  const document = JSON.parse(Buffer.from(blobs.get(await send({ "cache-mounts": "npm" })) ?? []).toString())
  const at = document.layers.length - 1
  const mount = JSON.parse(document.layers[at].annotations[cacheMountKey])
  const changed = Array.isArray(change) ? change : { ...mount, ...change }
  document.layers[at].annotations[cacheMountKey] = JSON.stringify(changed)
  const bytes = Buffer.from(JSON.stringify(document))
  blobs.set(digestOf(bytes), bytes)
  expect((await receive(digestOf(bytes), { "cache-mounts": "true" })).mounts).toEqual([])
})

test("bytes that are not what they are said to be leave nothing", async () => {
  addMount(store, id("a"), "npm", 1)
  const digest = await send({ "cache-mounts": "npm" })
  const { layers } = JSON.parse(Buffer.from(blobs.get(digest) ?? []).toString())
  const blob = layers.at(-1).digest
  blobs.set(blob, (blobs.get(blob) ?? new Uint8Array(0)).subarray(0, 60))
  const { mounts, said } = await receive(digest, { "cache-mounts": "true" })
  expect(mounts).toEqual([])
  expect(said).toContain("the cache mount npm of /c is not taken in")
  expect(readdirSync(join(exportRooms(fresh).root, "cache-mounts"))).toEqual([])
})
