// What whole builds hand on: the same bytes on another day from another directory, caches that serve another engine.
import { afterAll, afterEach, beforeAll, expect, setSystemTime, test } from "bun:test"
import { createHash } from "node:crypto"
import { utimesSync } from "node:fs"
import { join } from "node:path"
import type { ExportRequest } from "../../src/build/build.ts"
import { startRegistries, type TestRegistries } from "../fixtures/registries.ts"
import { type BuildGround, startBuildGround } from "./ground.ts"

let one: BuildGround
let other: BuildGround
let servers: TestRegistries
beforeAll(async () => {
  one = await startBuildGround()
  other = await startBuildGround()
  servers = await startRegistries(1)
}, 60_000)
afterEach(() => setSystemTime())
afterAll(async () => {
  await one.close()
  await other.close()
  await servers.close()
}, 60_000)

const files = {
  Dockerfile: `FROM busybox AS made
ARG SOURCE_DATE_EPOCH
RUN mkdir -p /out/d && date > /tmp/now && echo made > /out/d/file && ln -s d/file /out/link && ln /out/d/file /out/twin
FROM busybox
ARG SOURCE_DATE_EPOCH
COPY --from=made /out /out
COPY . /context
RUN rm -r /home && touch /out/later && chmod 4755 /out/later
WORKDIR /w
LABEL a=b
`,
  "a/b": "from the context\n",
  z: "z\n",
}

/** The digest of what an archive has in it, and what the exporter answers. */
const archive = async (ground: BuildGround, directory: string, more: { baseTime?: string } = {}) => {
  const hash = createHash("sha256")
  const oci: ExportRequest = {
    type: "oci",
    attributes: new Map(Object.entries({ name: "out:1", "rewrite-timestamp": "true" })),
    write: async (bytes) => {
      for await (const chunk of bytes) hash.update(chunk)
    },
  }
  const image: ExportRequest = { type: "image", attributes: new Map([["name", "out:1"]]) }
  const buildArgs = new Map([["SOURCE_DATE_EPOCH", more.baseTime ?? "1700000000"]])
  const built = await ground.build(directory, {
    buildArgs,
    noCache: true,
    exports: { exports: [image, oci] },
  })
  return {
    digest: hash.digest("hex"),
    manifest: built.response.get("containerimage.digest"),
    imageId: built.imageId,
    ran: built.ran,
  }
}

test("with SOURCE_DATE_EPOCH the same inputs are the same bytes, on another day, in another directory and engine", async () => {
  // Of the base image the time of its import is told, which is no part of the build.
  const exported = one.composed().engine.images.save(["busybox:latest"])
  await other.composed().engine.images.load(exported, () => {})
  const first = await archive(one, one.context(files))
  setSystemTime(new Date(Date.now() + 3 * 86_400_000))
  const elsewhere = other.context(files)
  // Checked out at another time; only what is older than the epoch would keep its own.
  for (const name of ["a/b", "z", "a"]) utimesSync(join(elsewhere, name), 1_750_000_000, 1_750_000_000)
  const second = await archive(other, elsewhere)
  expect(second.ran).toEqual(first.ran)
  expect(second.ran.length).toBeGreaterThan(2)
  expect(second).toEqual(first)
  const later = await archive(other, elsewhere, { baseTime: "1700000001" })
  expect(later.digest).not.toBe(first.digest)
}, 60_000)

test("a cache that one engine exports serves another, with what its cache mounts hold", async () => {
  const cached = {
    Dockerfile: `FROM busybox
RUN --mount=type=cache,id=keep,target=/k echo kept > /k/file && date +%N > /when
COPY f /f
RUN cat /f > /g
`,
    f: "f\n",
  }
  const mounted = {
    Dockerfile: "FROM busybox\nRUN --mount=type=cache,id=keep,target=/k cat /k/file > /seen\n",
  }
  const ref = `${servers.domain(0)}/cache:1`
  const attributes = new Map(Object.entries({ ref, mode: "max", "cache-mounts": "true" }))
  const exports = { exports: [], cacheTo: [{ type: "registry", attributes }] }
  const image = async (ground: BuildGround) => (await ground.composed().engine.images.get("busybox")).id
  expect(await image(other)).toBe(await image(one))
  await one.build(one.context(cached), { exports })
  const cacheFrom = [
    { type: "registry", attributes: new Map(Object.entries({ ref, "cache-mounts": "true" })) },
  ]
  const there = other.context(cached)
  const built = await other.build(there, { cacheFrom, name: "cached" })
  expect(built.ran).toEqual([])
  expect(await other.read(there, "/g")).toBe("f\n")
  expect(await other.read(there, "/when")).toBe(await one.read(one.context(cached), "/when"))
  expect(await other.read(other.context(mounted), "/seen")).toBe("kept\n")
}, 60_000)

test("--squash leaves one layer beyond the base, and the same files", async () => {
  const directory = one.context(files)
  await one.build(directory, { name: "plain" })
  const squashed = await one.build(directory, { exports: { squash: true }, name: "squashed" })
  const { images } = one.composed().engine
  expect((await images.get("squashed")).layers.length).toBe((await images.get("busybox")).layers.length + 1)
  expect(await images.compare("plain", "squashed")).toEqual([])
  const again = await one.build(directory, { exports: { squash: true } })
  expect(again.imageId).toBe(squashed.imageId)
}, 60_000)
