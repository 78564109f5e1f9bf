// pull over a real launcher from a registry that lies: the whole image under its name, or nothing at all and a sentence why.
import { afterEach, beforeEach, expect, setDefaultTimeout, test } from "bun:test"
import { spawn } from "node:child_process"
import { randomBytes } from "node:crypto"
import { readdirSync } from "node:fs"
import { join } from "node:path"
import { gzipSync } from "node:zlib"
import { type ImageStore, openImageStore } from "../../../test/fixtures/image-store.ts"
import { type LyingRegistry, startLyingRegistry } from "../../../test/fixtures/lying-registry.ts"
import { layerTar, makeImage, makeIndex, type RemoteImage } from "../../../test/fixtures/remote-image.ts"
import { digestOf } from "../../base/digest-stream.ts"
import { openRegistries } from "../../registry-client/registry-client.ts"

// A launcher and a disk that others use too: nothing here is about speed.
setDefaultTimeout(30_000)

let registry: LyingRegistry
let store: ImageStore
const registries = openRegistries({
  mirrors: [],
  insecure: [],
  certificates: [],
  agent: "test",
  timing: { firstPause: 1, attempts: 3, stall: 300, answer: 1000 },
})
beforeEach(async () => {
  registry = await startLyingRegistry()
  store = await openImageStore({ registries })
})
afterEach(async () => {
  await store.close()
  await registry.close()
})

const name = () => `${registry.host}/team/app:1`
const told: string[] = []
const pull = (reference = name(), options: { platform?: string; signal?: AbortSignal } = {}) => {
  told.length = 0
  return store.images.pull(
    { reference, platform: options.platform },
    ({ id, status }) => told.push(id === undefined ? status : `${id}: ${status}`),
    options.signal,
  )
}
const tars = await Promise.all(
  ["one", "two", "three", "four"].map((text) => layerTar(text, randomBytes(300_000))),
)
const image = makeImage({ layers: tars })
const isBlob = (url: string | undefined) => url?.includes("/blobs/") === true

/** What a failed pull must leave: nothing. */
const expectNothing = async () => {
  expect(await store.inventory()).toEqual([])
  expect(readdirSync(join(store.directory, "content", "ingest"))).toEqual([])
}

test("an image of many layers, all at once, comes whole; again, nothing of it moves", async () => {
  registry.hold("team/app", "1", image)
  expect(await pull()).toEqual([image.configDigest])
  const found = await store.images.get(name())
  expect(found).toMatchObject({
    id: image.configDigest,
    manifestDigest: image.digest,
    tags: [name()],
    digests: [`${registry.host}/team/app@${image.digest}`],
  })
  expect(found.diffIds).toEqual(tars.map(digestOf))
  expect(told[0]).toBe("1: Pulling from team/app")
  for (const layer of image.layers)
    expect(told.filter((line) => line.startsWith(layer.slice(7, 19))).at(-1)).toBe(
      `${layer.slice(7, 19)}: Pull complete`,
    )
  expect(told.slice(-2)).toEqual([`Digest: ${image.digest}`, `Status: Downloaded newer image for ${name()}`])
  expect(store.happened).toEqual([`pull ${registry.host}/team/app`])
  registry.requests.length = 0
  await pull()
  expect(registry.asked(/GET/)).toEqual([])
  expect(told.at(-1)).toBe(`Status: Image is up to date for ${name()}`)
})

test("a second image moves only what the first has not", async () => {
  registry.hold("team/app", "1", image)
  const more = makeImage({ layers: [...tars, await layerTar("five", "more")] })
  registry.hold("team/app", "2", more)
  await pull()
  registry.requests.length = 0
  await pull(`${registry.host}/team/app:2`)
  expect(
    registry
      .asked(/GET .*blobs/)
      .map(({ url }) => url.split("/").at(-1))
      .toSorted(),
  ).toEqual([more.configDigest, more.layers[4] ?? ""].toSorted())
  expect(told.filter((line) => line.endsWith("Already exists"))).toHaveLength(4)
})

test("two pulls at once share one download", async () => {
  registry.hold("team/app", "1", image)
  registry.hold("team/copy", "1", image)
  registry.lie = async (request) => {
    if (isBlob(request.url)) await Bun.sleep(30)
    return false
  }
  await Promise.all([
    pull(),
    pull(),
    store.images.pull({ reference: `${registry.host}/team/copy:1` }, () => {}),
  ])
  for (const layer of image.layers) expect(registry.asked(new RegExp(layer))).toHaveLength(1)
  expect((await store.images.get(name())).tags).toHaveLength(2)
})

test("one of two pulls goes away: the other one has its image", async () => {
  registry.hold("team/app", "1", image)
  registry.lie = async (request) => {
    if (isBlob(request.url)) await Bun.sleep(100)
    return false
  }
  const leaving = new AbortController()
  const first = pull(name(), { signal: leaving.signal })
  const second = pull()
  setTimeout(() => leaving.abort(new Error("gone")), 150)
  await expect(first).rejects.toThrow("gone")
  expect(await second).toEqual([image.configDigest])
})

test("a pull that is cancelled leaves nothing", async () => {
  registry.hold("team/app", "1", image)
  registry.lie = (request, response, { status, headers, body }) => {
    if (!isBlob(request.url) || request.url?.includes(image.configDigest)) return false
    response.writeHead(status, { ...headers, "Content-Length": String(body.length) })
    response.write(body.subarray(0, 100_000))
    return true
  }
  const leaving = new AbortController()
  const pulled = pull(name(), { signal: leaving.signal })
  setTimeout(() => leaving.abort(new Error("gone")), 100)
  await expect(pulled).rejects.toThrow("gone")
  await expectNothing()
})

/** The image with one of its blobs exchanged at the registry. */
const exchanged = (bytes: Uint8Array) => {
  registry.hold("team/app", "1", image)
  registry.blobs.set(image.layers[1] ?? "", bytes)
}
const second = image.blobs.get(image.layers[1] ?? "") ?? new Uint8Array()

test("wrong bytes of the right length", async () => {
  const wrong = Buffer.from(second)
  wrong[wrong.length - 1000] = (wrong[wrong.length - 1000] ?? 0) ^ 1
  exchanged(wrong)
  await expect(pull()).rejects.toThrow(
    new RegExp(`^cannot (fetch|unpack) the layer ${image.layers[1]} of ${registry.host}/team/app: `),
  )
  await expectNothing()
})

test("too few bytes, and too many", async () => {
  exchanged(second.subarray(0, second.length - 1))
  await expect(pull()).rejects.toThrow(/but the manifest says/)
  await expectNothing()
  exchanged(Buffer.concat([second, Buffer.alloc(1)]))
  await expect(pull()).rejects.toThrow(/but the manifest says/)
  await expectNothing()
})

/** An image whose second layer is what `make` gives, with a digest that is right. */
const withLayer = (make: (gzip: Uint8Array) => Uint8Array): RemoteImage => {
  const whole = makeImage({ layers: tars.slice(0, 2) })
  const wrong = make(whole.blobs.get(whole.layers[1] ?? "") ?? new Uint8Array())
  const manifest = JSON.parse(Buffer.from(whole.manifest).toString())
  manifest.layers[1] = { ...manifest.layers[1], digest: digestOf(wrong), size: wrong.length }
  const bytes = Buffer.from(JSON.stringify(manifest))
  const blobs = new Map([...whole.blobs, [digestOf(wrong), wrong] as const])
  return { ...whole, blobs, manifest: bytes, digest: digestOf(bytes) }
}
const broken: [string, (gzip: Uint8Array) => Uint8Array, RegExp][] = [
  ["a truncated gzip", (gzip) => gzip.subarray(0, gzip.length - 5000), /damaged gzip data|unexpected end/],
  [
    "another tar than the config says",
    () => gzipSync(tars[2] ?? new Uint8Array()),
    /has the digest .* but .* was announced/,
  ],
  [
    "bytes after the archive",
    (gzip) => Buffer.concat([gzip, randomBytes(1000)]),
    /damaged gzip data|has the digest/,
  ],
  ["no archive", () => gzipSync(randomBytes(10_000)), /cannot unpack/],
  ["xz", () => Buffer.from([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00, 0, 0]), /damaged xz data/],
]
test.each(broken)("%s", async (_what, make, message) => {
  const wrong = withLayer(make)
  registry.hold("team/app", "1", wrong)
  await expect(pull()).rejects.toThrow(message)
  await expect(pull()).rejects.toThrow(
    new RegExp(`${wrong.blobs.size > 3 ? "layer sha256" : ""}.* of ${registry.host}/team/app`),
  )
  await expectNothing()
})

test("a config that does not fit, is not for Linux, or is not one", async () => {
  const document = (change: (config: Record<string, unknown>) => unknown): RemoteImage => {
    const whole = makeImage({ layers: tars.slice(0, 1) })
    const config = Buffer.from(
      JSON.stringify(change(JSON.parse(Buffer.from(whole.blobs.get(whole.configDigest) ?? []).toString()))),
    )
    const manifest = JSON.parse(Buffer.from(whole.manifest).toString())
    manifest.config = { ...manifest.config, digest: digestOf(config), size: config.length }
    const bytes = Buffer.from(JSON.stringify(manifest))
    return {
      ...whole,
      manifest: bytes,
      digest: digestOf(bytes),
      blobs: new Map([...whole.blobs, [digestOf(config), config]]),
    }
  }
  const cases: [(config: Record<string, unknown>) => unknown, RegExp][] = [
    [(config) => ({ ...config, os: "windows" }), /operating system "windows" cannot be used/],
    [
      (config) => ({ ...config, rootfs: { type: "layers", diff_ids: [] } }),
      /layers from manifest don't match/,
    ],
    [(config) => ({ ...config, rootfs: undefined }), /has no rootfs/],
    [() => [], /is not a JSON object/],
  ]
  for (const [change, message] of cases) {
    registry.hold("team/app", "1", document(change))
    await expect(pull()).rejects.toThrow(message)
    await expectNothing()
  }
})

test("an index: the platform's manifest, whichever level it is on; lies in it are refused", async () => {
  registry.hold("team/app", "amd", image)
  const platform = { os: "linux", architecture: process.arch === "x64" ? "amd64" : process.arch }
  const hold = (tag: string, index: ReturnType<typeof makeIndex>) => {
    for (const key of [tag, index.digest]) registry.manifests.set(`team/app ${key}`, index)
    return { ...image, manifest: index.bytes, mediaType: index.mediaType, digest: index.digest }
  }
  let level = hold("1", makeIndex([{ image, platform }]))
  await pull()
  expect((await store.images.get(name())).digests).toEqual([`${registry.host}/team/app@${level.digest}`])
  expect((await store.images.get(name())).manifestDigest).toBe(image.digest)
  for (let depth = 0; depth < 3; depth++) level = hold("deep", makeIndex([{ image: level, platform }]))
  await pull(`${registry.host}/team/app:deep`)
  for (let depth = 0; depth < 5; depth++) level = hold("deeper", makeIndex([{ image: level, platform }]))
  await expect(pull(`${registry.host}/team/app:deeper`)).rejects.toThrow(/nest deeper than 4 levels/)
  hold("lie", makeIndex([{ image: { ...image, manifest: Buffer.alloc(5) }, platform }]))
  await expect(pull(`${registry.host}/team/app:lie`)).rejects.toThrow(/has \d+ bytes, but 5 were announced/)
  hold(
    "type",
    makeIndex([{ image: { ...image, mediaType: "application/vnd.oci.image.index.v1+json" }, platform }]),
  )
  await expect(pull(`${registry.host}/team/app:type`)).rejects.toThrow(/is announced as/)
  hold("none", makeIndex([{ image, platform: { os: "linux", architecture: "s390x" } }]))
  await expect(pull(`${registry.host}/team/app:none`)).rejects.toThrow(
    /no matching manifest for linux\/amd64|arm64/,
  )
})

test("removed while it is pulled: the image of before goes, the new one comes whole", async () => {
  registry.hold("team/app", "1", makeImage({ layers: tars.slice(0, 3) }))
  await pull()
  registry.hold("team/app", "1", image)
  registry.lie = async (request) => {
    if (isBlob(request.url)) await Bun.sleep(100)
    return false
  }
  const pulling = pull()
  await Bun.sleep(50)
  await store.images.remove(name(), { force: true, prune: true }, () => [])
  expect(await pulling).toEqual([image.configDigest])
  const layers = (await store.images.get(name())).layers.length
  expect(layers).toBe(4)
  const again = await store.reopen()
  await again.images.recover()
  expect((await again.images.get(name())).layers).toHaveLength(4)
})

test("what others give up meanwhile comes back at once; what the pull needs of it stays", async () => {
  registry.hold("team/app", "1", makeImage({ layers: tars.slice(0, 2) }))
  const large = makeImage({ layers: [await layerTar("other", randomBytes(100_000))] })
  registry.hold("team/other", "1", large)
  await pull()
  await pull(`${registry.host}/team/other:1`)
  registry.hold("team/app", "2", image)
  const held = Promise.withResolvers<void>()
  registry.lie = async (request) => {
    if (isBlob(request.url) && !request.url?.includes(image.configDigest)) await held.promise
    return false
  }
  const pulling = pull(`${registry.host}/team/app:2`)
  while (!told.some((line) => line.endsWith("Already exists"))) await Bun.sleep(5)
  await store.images.remove(`${registry.host}/team/other:1`, { force: true, prune: true }, () => [])
  await store.images.remove(name(), { force: true, prune: true }, () => [])
  expect((await store.inventory()).join("\n")).not.toContain(large.configDigest.slice(7))
  held.resolve()
  await pulling
  expect((await store.images.get(`${registry.host}/team/app:2`)).layers).toHaveLength(4)
  const again = await store.reopen()
  await again.images.recover()
  expect(await again.inventory()).not.toEqual([])
})

test("a name that moves takes its blobs with it when nobody else needs them", async () => {
  registry.hold("team/app", "1", makeImage({ layers: tars.slice(0, 1) }))
  await pull()
  registry.hold("team/app", "1", makeImage({ layers: tars.slice(0, 1), compression: "zstd" }))
  await pull()
  await store.images.remove(name(), { force: true, prune: true }, () => [])
  for (const { id } of await store.images.list())
    await store.images.remove(id, { force: true, prune: true }, () => [])
  await expectNothing()
})

for (const step of [
  "blob:written",
  "layer:unpacked",
  "layer:committed",
  "pull:committed",
  "pull:synced",
  "pull:named",
])
  test(`killed at ${step}: the next start has the whole image or nothing of it`, async () => {
    registry.hold("team/app", "1", image)
    const script = join(import.meta.dirname, "../../../test/fixtures/image-work.ts")
    const child = spawn(process.execPath, [script, store.directory, "pull", name()], {
      env: { ...process.env, SLOOP_CRASH_AT: step },
      stdio: "inherit",
    })
    const signal = await new Promise((resolve) => child.once("exit", (_, how) => resolve(how)))
    expect(signal).toBe("SIGKILL")
    store = await store.reopen()
    await store.snapshots.recover()
    await store.images.recover()
    if (step !== "pull:named") await expectNothing()
    else expect((await store.images.get(name())).layers).toHaveLength(4)
    await pull()
    expect((await store.images.get(name())).id).toBe(image.configDigest)
  })
