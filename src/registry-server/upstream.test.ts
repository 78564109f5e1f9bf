// A cache before a registry: one download for many readers, tags that follow the upstream, and an upstream that is gone.
import { afterEach, beforeEach, expect, test } from "bun:test"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { pushTestIndex, startRegistries, type TestRegistries } from "../../test/fixtures/registries.ts"
import { manifestsFor, parseIndex } from "../oci/index.ts"
import { parseManifest } from "../oci/manifest.ts"
import { parsePlatform } from "../oci/platform.ts"
import { type Standalone, serveRegistry } from "./registry-server.ts"

let directory: string
let behind: TestRegistries
let cache: Standalone
let asked = 0
beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), "sloop-cache-"))
  behind = await startRegistries(1)
  asked = 0
  cache = await serveRegistry({
    dataRoot: directory,
    host: "127.0.0.1",
    port: 0,
    readOnly: false,
    collectEvery: 0,
    collect: { untagged: false, grace: 3_600_000 },
    upstream: {
      freshFor: 0,
      repository(name) {
        const remote = behind.repository(0, name)
        return {
          ...remote,
          blob(...given) {
            asked++
            return remote.blob(...given)
          },
        }
      },
    },
  })
})
afterEach(async () => {
  await cache.close()
  await behind.close()
  rmSync(directory, { recursive: true, force: true })
})

const get = (path: string, headers: Record<string, string> = {}) =>
  fetch(`http://127.0.0.1:${cache.port}/v2/${path}`, { headers })
const firstManifest = async () => {
  const index = parseIndex(Buffer.from(await (await get("a/b/manifests/v1")).arrayBuffer()), "the index")
  const [chosen] = manifestsFor(index, parsePlatform("linux/amd64"))
  const bytes = await (await get(`a/b/manifests/${chosen?.digest}`)).arrayBuffer()
  return parseManifest(Buffer.from(bytes), "the manifest")
}

test("what is asked for comes once and stays when the upstream is gone", async () => {
  const { digest } = await pushTestIndex(behind.repository(0, "a/b"), "v1", ["linux/amd64"])
  const { layers } = await firstManifest()
  const [layer] = layers
  const path = `a/b/blobs/${layer?.digest}`
  const bodies = await Promise.all(Array.from({ length: 8 }, async () => (await get(path)).text()))
  expect(bodies.every((body) => body === "shared".repeat(500))).toBe(true)
  expect(asked).toBe(1)
  const part = await get(`a/b/blobs/${layers[1]?.digest}`, { Range: "bytes=3-7" })
  expect([part.status, await part.text()]).toEqual([206, "of linux/amd64".slice(3, 8)])
  await behind.close()
  const index = await get("a/b/manifests/v1")
  expect(index.headers.get("docker-content-digest")).toBe(digest)
  expect(await (await get(path)).text()).toBe("shared".repeat(500))
  expect(asked).toBe(2)
})

test("a tag that moves upstream moves here", async () => {
  await pushTestIndex(behind.repository(0, "a/b"), "v1", ["linux/amd64"])
  await get("a/b/manifests/v1")
  const moved = await pushTestIndex(behind.repository(0, "a/b"), "v1", ["linux/arm64"])
  expect((await get("a/b/manifests/v1")).headers.get("docker-content-digest")).toBe(moved.digest)
})

test("what is nowhere is not found, and nothing is pushed to a cache", async () => {
  expect((await get("a/b/manifests/v1")).status).toBe(404)
  expect((await get(`a/b/blobs/sha256:${"0".repeat(64)}`)).status).toBe(404)
  const pushed = await fetch(`http://127.0.0.1:${cache.port}/v2/a/blobs/uploads/`, { method: "POST" })
  expect(pushed.status).toBe(405)
})
