// Uploads: mounted, whole or streamed; resumed after a cut, cut smaller for those who take no large requests.
import { afterEach, beforeEach, expect, test } from "bun:test"
import { randomBytes } from "node:crypto"
import { type LyingRegistry, startLyingRegistry } from "../../test/fixtures/lying-registry.ts"
import { digestOf } from "../base/digest-stream.ts"
import { openRegistries, type RemoteRepository } from "./registry-client.ts"

const small = randomBytes(1000)
const large = randomBytes(20 << 20)

let registry: LyingRegistry
let remote: RemoteRepository
beforeEach(async () => {
  registry = await startLyingRegistry()
  const registries = openRegistries({
    mirrors: [],
    insecure: [],
    certificates: [],
    agent: "test",
    timing: { firstPause: 1, attempts: 4, answer: 3000, stall: 3000 },
  })
  remote = registries.repository({ domain: registry.host, path: "app" }, { actions: "pull,push" })
})
afterEach(() => registry.close())

const sourceOf = (bytes: Uint8Array) => ({
  digest: digestOf(bytes),
  size: bytes.length,
  async *open(from: number) {
    for (let at = from; at < bytes.length; at += 1 << 20) yield bytes.subarray(at, at + (1 << 20))
  },
})
const stored = (bytes: Uint8Array) => Buffer.from(registry.blobs.get(digestOf(bytes)) ?? []).equals(bytes)
const methods = () => registry.asked(/uploads/).map(({ method }) => method)

test("a small blob goes in one request, a large one is streamed", async () => {
  expect(await remote.hasBlob(digestOf(small))).toBe(false)
  expect(await remote.putBlob(sourceOf(small), { from: [] })).toEqual({})
  expect(stored(small)).toBe(true)
  expect(await remote.hasBlob(digestOf(small))).toBe(true)
  expect(methods()).toEqual(["POST", "PUT"])
  const told: number[] = []
  await remote.putBlob(sourceOf(large), { from: [], progress: (bytes) => told.push(bytes) })
  expect(stored(large)).toBe(true)
  expect(methods().slice(2)).toEqual(["POST", "PATCH", "PUT"])
  expect(told.at(-1)).toBe(large.length)
  expect(await remote.putBlob(sourceOf(Buffer.alloc(0)), { from: [] })).toEqual({})
})

test("a blob that another repository has is mounted; one that it does not have is sent", async () => {
  registry.blobs.set(digestOf(small), small)
  registry.mountable.add("other")
  expect(await remote.putBlob(sourceOf(small), { from: ["absent", "other"] })).toEqual({})
  expect(await remote.putBlob(sourceOf(small), { from: ["other"] })).toEqual({ mountedFrom: "other" })
  expect(methods().at(-1)).toBe("POST")
})

test("a stream that breaks goes on from where the registry is", async () => {
  let cuts = 3
  registry.lie = async (request, response) => {
    if (request.method !== "PATCH" || cuts-- <= 0) return false
    // Something arrives before the line breaks.
    let size = 0
    const parts: Buffer[] = []
    for await (const chunk of request) {
      parts.push(chunk as Buffer)
      size += (chunk as Buffer).length
      if (size > 3 << 20) break
    }
    const kept = Buffer.concat(parts)
    await fetch(`${registry.origin}${request.url}`, {
      method: "PATCH",
      body: kept,
      headers: { "x-inner": "1" },
    })
    response.destroy()
    return true
  }
  const lie = registry.lie
  registry.lie = (request, ...rest) => (request.headers["x-inner"] === "1" ? false : lie(request, ...rest))
  await remote.putBlob(sourceOf(large), { from: [] })
  expect(stored(large)).toBe(true)
  const ranges = registry.asked(/^PATCH/).flatMap(({ headers }) => headers["content-range"] ?? [])
  expect(ranges).toHaveLength(4)
  expect(ranges[0]).toBe(`0-${large.length - 1}`)
  expect(Number(ranges[3]?.split("-")[0])).toBeGreaterThan(9 << 20)
}, 30_000)

test("a registry that takes no large requests gets smaller ones", async () => {
  registry.lie = async (request, response) => {
    if (request.method !== "PATCH" || Number(request.headers["content-length"]) <= 9 << 20) return false
    for await (const _ of request);
    response.writeHead(413).end()
    return true
  }
  await remote.putBlob(sourceOf(large), { from: [] })
  expect(stored(large)).toBe(true)
  expect(registry.asked(/^PATCH/)).toHaveLength(4)
}, 30_000)

test("a registry that stumbles over a part of a blob gets it again", async () => {
  let stumbles = 2
  registry.lie = async (request, response) => {
    if (!["PATCH", "PUT"].includes(request.method ?? "") || stumbles <= 0) return false
    stumbles--
    if (request.method === "PATCH") for await (const _ of request);
    response.writeHead(503).end()
    return true
  }
  await remote.putBlob(sourceOf(large), { from: [] })
  expect(stored(large)).toBe(true)
  stumbles = 1
  await remote.putBlob(sourceOf(small), { from: [] })
  expect(stored(small)).toBe(true)
  stumbles = 1000
  await expect(remote.putBlob(sourceOf(randomBytes(500)), { from: [] })).rejects.toThrow(
    /the registry answered 503/,
  )
}, 30_000)

test("a refusal is told with registry, repository and step", async () => {
  registry.lie = (request, response) => {
    if (request.url?.includes("uploads") !== true) return false
    response.writeHead(403).end(JSON.stringify({ errors: [{ code: "DENIED", message: "quota exceeded" }] }))
    return true
  }
  await expect(remote.putBlob(sourceOf(small), { from: [] })).rejects.toThrow(
    `denied: quota exceeded: cannot push the blob ${digestOf(small)} to ${registry.host}/app`,
  )
  registry.lie = (request, response) => {
    if (request.method !== "POST") return false
    response.writeHead(202).end()
    return true
  }
  await expect(remote.putBlob(sourceOf(small), { from: [] })).rejects.toThrow(/does not say where/)
})

test("bytes that are not what they claim are refused by the registry, and that is told", async () => {
  const wrong = { ...sourceOf(small), digest: digestOf(large) }
  await expect(remote.putBlob(wrong, { from: [] })).rejects.toThrow(/digest invalid/)
})
