// Base images: local ones first, others by their manifest alone, and layers when a step needs them.
import { afterEach, beforeEach, expect, setDefaultTimeout, test } from "bun:test"
import { type LyingRegistry, startLyingRegistry } from "../../../test/fixtures/lying-registry.ts"
import { layerTar, makeImage, makeIndex } from "../../../test/fixtures/remote-image.ts"
import { hostPlatform, type Platform, parsePlatform } from "../../oci/platform.ts"
import { openRegistries } from "../../registry-client/registry-client.ts"
import type { BuildRequest, ContextSource } from "../build.ts"
import type { ImageNode, ResolvedImage } from "../graph/graph.ts"
import { buildRequest } from "../graph/testing/graph-request.ts"
import { openSources } from "./open.ts"
import { openSourceGround, type SourceGround } from "./testing/ground.ts"

setDefaultTimeout(30_000)

let registry: LyingRegistry
let ground: SourceGround
const foreign: Platform = parsePlatform(process.arch === "x64" ? "linux/arm64" : "linux/amd64")

const config = { Env: ["A=1"] }
const ours = makeImage({ layers: [await layerTar("one", "1"), await layerTar("two", "2")], config })
const theirs = makeImage({
  layers: [await layerTar("one", "other")],
  config,
  architecture: foreign.architecture,
})
const newer = makeImage({ layers: [await layerTar("one", "newer")], config })
const index = makeIndex([
  { image: ours, platform: { os: "linux", architecture: hostPlatform().architecture } },
  { image: theirs, platform: { os: "linux", architecture: foreign.architecture } },
])

beforeEach(async () => {
  registry = await startLyingRegistry()
  ground = await openSourceGround(
    openRegistries({
      mirrors: [],
      insecure: [],
      certificates: [],
      agent: "test",
      timing: { firstPause: 1, attempts: 2, stall: 500, answer: 1000 },
    }),
  )
})
afterEach(async () => {
  await ground.close()
  await registry.close()
})

const name = () => `${registry.host}/team/app:1`
const serveIndex = () => {
  registry.hold("team/app", ours.digest, ours)
  registry.hold("team/app", theirs.digest, theirs)
  registry.manifests.set("team/app 1", index)
  registry.manifests.set(`team/app ${index.digest}`, index)
}
const resolve = (
  reference: string,
  options: { platform?: Platform; request?: Partial<BuildRequest> } = {},
): Promise<ResolvedImage> => {
  const request = { ...buildRequest(), ...options.request }
  const { report, signal } = ground.run()
  const platform = options.platform ?? hostPlatform()
  return openSources(ground.rooms).resolveImage(reference, platform, request, report, signal)
}
const node = (reference: string, resolved: ResolvedImage, platform = hostPlatform()): ImageNode => ({
  type: "image",
  digest: "sha256:node",
  definition: "sha256:definition",
  name: "FROM",
  platform,
  fresh: false,
  reference,
  resolved,
})
const failing = async (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => "nothing failed",
    (error: unknown) => (error instanceof Error ? error.message : String(error)),
  )
const blobsAsked = () => registry.requests.filter(({ url }) => url.includes("/blobs/")).length

test("an image that is not here is resolved without its layers, and told as a vertex", async () => {
  serveIndex()
  const resolved = await resolve(name())
  expect(resolved).toMatchObject({ digest: index.digest, manifest: ours.digest, imageId: "" })
  expect(resolved.config.config.env).toEqual(["A=1"])
  expect(blobsAsked()).toBeLessThanOrEqual(1)
  expect(await ground.store.images.list()).toEqual([])
  const told = ground.told.flatMap((event) => (event.type === "vertex" ? [event.vertex] : []))
  expect(told.map((vertex) => vertex.name)).toEqual(
    Array.from({ length: 2 }, () => `[internal] load metadata for ${name()}`),
  )
  expect(told[1]?.completedAt).toBeGreaterThan(0)
})

test("its layers come by digest when they are needed, and its name goes to who has none", async () => {
  serveIndex()
  const resolved = await resolve(name())
  // The tag moves on in the meantime.
  registry.hold("team/app", "1", newer)
  const tree = await openSources(ground.rooms).image(node(name(), resolved), ground.run())
  expect(tree.layers.map(({ diffId }) => diffId)).toEqual([...resolved.config.diffIds])
  expect((await ground.store.images.get(name())).id).toBe(ours.configDigest)
})

test("a name that somebody has stays theirs", async () => {
  registry.hold("team/app", "1", newer)
  await ground.store.images.pull({ reference: name() }, () => undefined)
  serveIndex()
  const resolved = await resolve(name(), { request: { pull: true } })
  expect(resolved.imageId).toBe("")
  await openSources(ground.rooms).image(node(name(), resolved), ground.run())
  expect((await ground.store.images.get(name())).id).toBe(newer.configDigest)
})

test("the classic builder's --pull takes the name, as any pull does", async () => {
  registry.hold("team/app", "1", newer)
  await ground.store.images.pull({ reference: name() }, () => undefined)
  serveIndex()
  const request = { pull: true, face: "classic" } as const
  const resolved = await resolve(name(), { request })
  await openSources(ground.rooms).image(node(name(), resolved), ground.run(request))
  expect((await ground.store.images.get(name())).id).toBe(ours.configDigest)
})

test("an image for another platform never takes a name", async () => {
  serveIndex()
  await ground.store.images.pull({ reference: name() }, () => undefined)
  const before = (await ground.store.images.get(name())).digests
  const resolved = await resolve(name(), { platform: foreign })
  expect(resolved.manifest).toBe(theirs.digest)
  const tree = await openSources(ground.rooms).image(node(name(), resolved, foreign), ground.run())
  expect(tree.layers).toHaveLength(1)
  const image = await ground.store.images.get(name())
  expect(image.id).toBe(ours.configDigest)
  expect(image.digests).toEqual(before)
})

test("a local image is taken without asking, unless pull is wanted or it does not fit", async () => {
  serveIndex()
  await ground.store.images.pull({ reference: name() }, () => undefined)
  registry.requests.length = 0
  const local = await resolve(name())
  expect(local).toMatchObject({ digest: ours.configDigest, imageId: ours.configDigest })
  expect(registry.requests).toEqual([])
  expect(await resolve(name(), { request: { pull: true } })).toMatchObject({ imageId: ours.configDigest })
  expect(registry.requests.length).toBeGreaterThan(0)
  expect((await resolve(name(), { platform: foreign })).imageId).toBe("")
  expect((await resolve(ours.configDigest)).imageId).toBe(ours.configDigest)
  const tree = await openSources(ground.rooms).image(node(name(), local), ground.run())
  expect(tree.layers).toHaveLength(2)
})

test("a word that only begins an image's id is no name of it", async () => {
  serveIndex()
  await ground.store.images.pull({ reference: name() }, () => undefined)
  const word = ours.configDigest.replace("sha256:", "").slice(0, 4)
  expect(await failing(resolve(`${registry.host}/${word}`))).toContain("not found")
})

test("what cannot be resolved is told as BuildKit tells it, and as a pull does to the classic builder", async () => {
  const absent = `${registry.host}/team/none:2`
  expect(await failing(resolve(absent))).toBe(
    `failed to resolve source metadata for ${absent}: ${absent}: not found`,
  )
  serveIndex()
  expect(await failing(resolve(name(), { platform: parsePlatform("linux/s390x") }))).toBe(
    `failed to resolve source metadata for ${name()}: ${name()}: no match for platform in manifest: not found`,
  )
  expect(await failing(resolve(absent, { request: { face: "classic" } }))).not.toContain("source metadata")
})

test("credentials go to the registry that they are for", async () => {
  serveIndex()
  const asked: string[] = []
  const credentials = async (domain: string) => {
    asked.push(domain)
    return undefined
  }
  await resolve(name(), { request: { credentials } })
  expect(asked).toEqual([registry.host])
})

test("a config that is not what its digest says is refused", async () => {
  const wrong = makeImage({ layers: [await layerTar("x", "y")], config: { Env: ["B=2"] } })
  registry.hold("team/wrong", "1", wrong)
  const bytes = Buffer.from(registry.blobs.get(wrong.configDigest) ?? [])
  bytes[bytes.length - 2] = 32
  registry.blobs.set(wrong.configDigest, bytes)
  expect(await failing(resolve(`${registry.host}/team/wrong:1`))).toContain(
    "failed to resolve source metadata",
  )
})

test("a layout that a client holds is resolved, and its layers are taken in", async () => {
  const blobs = new Map([...ours.blobs, ...theirs.blobs])
  blobs.set(ours.digest, ours.manifest)
  blobs.set(theirs.digest, theirs.manifest)
  blobs.set(index.digest, index.bytes)
  const read: string[] = []
  const layout: ContextSource = {
    type: "layout",
    digest: index.digest,
    async *read(digest) {
      read.push(digest)
      const bytes = blobs.get(digest)
      if (bytes === undefined) throw new Error(`no ${digest}`)
      yield bytes
    },
  }
  const request = { namedContexts: new Map([["base", layout]]) }
  const reference = `oci-layout://base@${index.digest}`
  const resolved = await resolve(reference, { platform: foreign, request })
  expect(resolved).toMatchObject({ digest: index.digest, manifest: theirs.digest, imageId: "" })
  expect(read).not.toContain(theirs.layers[0])
  const sources = openSources(ground.rooms)
  const tree = await sources.image(node(reference, resolved, foreign), ground.run(request))
  expect(tree.layers.map(({ diffId }) => diffId)).toEqual([...resolved.config.diffIds])
  const opened = await sources.open(layout, "base", ground.run(request), foreign)
  expect(await opened.tree({ ignore: [] })).toEqual(tree)
  opened.release()
})

test("a layout that lies about a blob is refused", async () => {
  const layout: ContextSource = {
    type: "layout",
    digest: ours.digest,
    async *read() {
      yield Buffer.from("{}")
    },
  }
  const request = { namedContexts: new Map([["base", layout]]) }
  expect(await failing(resolve(`oci-layout://base@${ours.digest}`, { request }))).toContain(
    "is not what its digest says",
  )
})
