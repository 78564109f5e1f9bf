// Graphs of every shape through the whole builder: bases, contexts, triggers, several platforms, imported cache.
import { afterAll, expect, test } from "bun:test"
import { createHash } from "node:crypto"
import type { CacheDirectory } from "../../src/build/build.ts"
import { lines, startBuildGround } from "./ground.ts"

const ground = await startBuildGround()
afterAll(() => ground.close(), 60_000)

const amd64 = { os: "linux", architecture: "amd64", variant: "" }
const arm64 = { os: "linux", architecture: "arm64", variant: "" }

test("FROM scratch, FROM another stage, and stages that are only copied from", async () => {
  const directory = ground.context({
    Dockerfile: lines(
      "FROM scratch AS files",
      "COPY a b/ /in/",
      "FROM files AS more",
      "COPY c /in/",
      "FROM busybox",
      "COPY --from=more /in /out",
      "RUN --mount=from=files,source=/in,target=/mnt cat /mnt/* > /cat",
    ),
    a: "a\n",
    "b/b": "b\n",
    c: "c\n",
  })
  expect(await ground.read(directory, "/out/c")).toBe("c\n")
  expect(await ground.read(directory, "/cat")).toBe("a\nb\n")
  const more = await ground.build(directory, { target: "more" })
  const image = await ground.composed().engine.images.get(more.imageId)
  expect(image.history.map(({ emptyLayer }) => emptyLayer)).toEqual([false, false])
})

test("a named context that is a directory is copied from, mounted, and a stage's base", async () => {
  const directory = ground.context({
    Dockerfile: lines(
      "FROM base AS own",
      "ENV A=b",
      "FROM busybox",
      "COPY --from=other x /x",
      "RUN --mount=from=other,target=/m cat /m/x > /y",
      "COPY --from=own /bin-file /z",
    ),
  })
  const other = ground.context({ x: "x\n" })
  const base = ground.context({ "bin-file": "z\n" })
  const namedContexts = new Map([
    ["other", { type: "directory", path: other }],
    ["base", { type: "directory", path: base }],
  ] as const)
  for (const [path, text] of [
    ["/x", "x\n"],
    ["/y", "x\n"],
    ["/z", "z\n"],
  ] as const)
    expect(await ground.read(directory, path, { namedContexts })).toBe(text)
  const own = await ground.build(directory, { namedContexts, target: "own" })
  const image = await ground.composed().engine.images.get(own.imageId)
  expect([image.layers.length, image.diffIds.length]).toEqual([1, 1])
  expect(image.history.map(({ emptyLayer }) => emptyLayer)).toContain(false)
})

test("triggers of a base run in the child; only the config changes for ENV and LABEL", async () => {
  const base = ground.context({ Dockerfile: lines("FROM busybox", "ONBUILD RUN echo triggered > /t") })
  await ground.build(base, { name: "triggers:1" })
  const child = ground.context({ Dockerfile: lines("FROM triggers:1", "LABEL a=b") })
  const built = await ground.build(child)
  expect(await ground.read(child, "/t")).toBe("triggered\n")
  const image = await ground.composed().engine.images.get(built.imageId)
  expect(image.config.labels).toMatchObject({ a: "b" })
  expect(image.layers.length).toBe(2)
})

test("an image of no layers, and one that is its base", async () => {
  const empty = ground.context({ Dockerfile: lines("FROM scratch", "ENV A=b") })
  const { imageId } = await ground.build(empty)
  expect((await ground.composed().engine.images.get(imageId)).layers).toEqual([])
  const same = ground.context({ Dockerfile: "FROM busybox\n" })
  const first = await ground.build(same)
  expect((await ground.build(same)).imageId).toBe(first.imageId)
})

test("several platforms are results of their own, and steps that are the same for all run once", async () => {
  const directory = ground.context({
    Dockerfile: lines(
      "FROM --platform=$BUILDPLATFORM busybox AS tools",
      "RUN date +%N > /made",
      "FROM scratch",
      "ARG TARGETARCH",
      "COPY --from=tools /made /made",
      "COPY $TARGETARCH /arch",
    ),
    amd64: "a\n",
    arm64: "b\n",
  })
  const request = { platforms: [amd64, arm64] }
  const solved = await ground
    .builder()
    .solve({ ...ground.request(directory), ...request }, () => {}, new AbortController().signal)
  try {
    expect(solved.images.map(({ platform }) => platform.architecture)).toEqual(["amd64", "arm64"])
    const [one, two] = solved.images
    if (one === undefined || two === undefined) throw new Error("two results were asked for")
    expect(one.layers[0]).toEqual(two.layers[0] ?? { diffId: "", blob: "", size: 0 })
    expect(Buffer.from(await solved.readFile(two, "/arch")).toString()).toBe("b\n")
    expect([one.config.architecture, two.config.architecture]).toEqual(["amd64", "arm64"])
  } finally {
    solved.release()
  }
})

/** A client's cache directory, in memory. */
const memoryCache = (): CacheDirectory & { readonly blobs: Map<string, Uint8Array> } => {
  const blobs = new Map<string, Uint8Array>()
  return {
    blobs,
    has: async (digest) => blobs.has(digest),
    async *read(digest) {
      const bytes = blobs.get(digest)
      if (bytes === undefined) throw new Error(`no ${digest}`)
      yield bytes
    },
    async write({ digest }, bytes) {
      const chunks: Uint8Array[] = []
      for await (const chunk of bytes) chunks.push(Uint8Array.from(chunk))
      const all = Buffer.concat(chunks)
      if (`sha256:${createHash("sha256").update(all).digest("hex")}` !== digest) throw new Error("damaged")
      blobs.set(digest, all)
    },
  }
}

test("cache that was exported with all its steps saves them after everything was pruned", async () => {
  const directory = ground.context({
    Dockerfile: lines(
      "FROM busybox AS one",
      "RUN date +%N > /one",
      "FROM busybox",
      "COPY --link a /a",
      "RUN date +%N > /two",
      "COPY --from=one /one /one",
    ),
    a: "a\n",
  })
  const cache = memoryCache()
  const attributes = new Map([
    ["mode", "max"],
    ["dest", "/cache"],
  ])
  const first = await ground.build(directory, {
    exports: { cacheTo: [{ type: "local", attributes, directory: cache }] },
  })
  const { engine, builder } = ground.composed()
  await engine.removeImage(first.imageId, { force: true, prune: true })
  await builder.prune({ all: true })
  expect((await builder.usage()).length).toBe(0)
  const manifest: { digest: string } = JSON.parse(first.response.get("cache.manifest") ?? "{}")
  const from = new Map([
    ["src", "/cache"],
    ["digest", manifest.digest],
  ])
  const again = await ground.build(directory, {
    cacheFrom: [{ type: "local", attributes: from, directory: cache }],
  })
  expect([again.ran, again.imageId]).toEqual([[], first.imageId])
}, 30_000)
