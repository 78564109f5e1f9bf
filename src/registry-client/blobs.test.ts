// Blobs from a registry that cuts, stalls and lies: all of the bytes, or a sentence that says what was wrong.
import { afterEach, beforeEach, expect, test } from "bun:test"
import { createHash, randomBytes } from "node:crypto"
import { type LyingRegistry, startLyingRegistry } from "../../test/fixtures/lying-registry.ts"
import { digestOf } from "../base/digest-stream.ts"
import type { Descriptor } from "../oci/descriptor.ts"
import { openRegistries, type RemoteRepository, type Timing } from "./registry-client.ts"

const timing: Partial<Timing> = { firstPause: 1, stall: 150, answer: 400, attempts: 3, longestPause: 1500 }
const bytes = randomBytes(200_000)
const blob: Descriptor = { mediaType: "", digest: digestOf(bytes), size: bytes.length, annotations: {} }

let registry: LyingRegistry
let remote: RemoteRepository
beforeEach(async () => {
  registry = await startLyingRegistry()
  registry.blobs.set(blob.digest, bytes)
  const registries = openRegistries({ mirrors: [], insecure: [], certificates: [], agent: "test", timing })
  remote = registries.repository({ domain: registry.host, path: "app" }, { actions: "pull" })
})
afterEach(() => registry.close())

const fetchAll = async (descriptor = blob, from = 0): Promise<Buffer> => {
  const parts: Uint8Array[] = []
  for await (const chunk of remote.blob(descriptor, from)) parts.push(chunk)
  return Buffer.concat(parts)
}
const isBlob = (url: string | undefined) => url?.includes("/blobs/") === true

/** Sends the first bytes of what would be the answer, with its own headers, and breaks the connection. */
const cutAt =
  (length: number | ((count: number) => number)): NonNullable<LyingRegistry["lie"]> =>
  async (request, response, { status, headers, body }, count) => {
    if (!isBlob(request.url)) return false
    const most = typeof length === "number" ? length : length(count)
    if (most >= body.length) return false
    response.writeHead(status, { ...headers, "Content-Length": String(body.length) })
    response.write(body.subarray(0, most))
    await Bun.sleep(2)
    response.destroy()
    return true
  }

test("a transfer that is cut at every hundredth arrives whole, from where it was", async () => {
  registry.lie = cutAt(2000)
  expect((await fetchAll()).equals(bytes)).toBe(true)
  const ranges = registry.asked(/^GET .*blobs/).map(({ range }) => range ?? "")
  expect(ranges.length).toBeGreaterThanOrEqual(99)
  const places = ranges.map((range) => Number(/bytes=(\d+)-/.exec(range)?.[1] ?? 0))
  expect(places).toEqual(places.toSorted((a, b) => a - b))
  expect(places.at(-1)).toBeGreaterThan(bytes.length - 5000)
}, 30_000)

test.each(Array.from({ length: 20 }, (_, at) => at * 5))("one cut at %d hundredths", async (hundredth) => {
  let cut = false
  const place = cutAt(Math.floor((bytes.length * hundredth) / 100))
  registry.lie = (request, response, served, count) => {
    if (cut || !isBlob(request.url)) return false
    cut = true
    return place(request, response, served, count)
  }
  expect((await fetchAll()).equals(bytes)).toBe(true)
})

test("a registry without ranges is read from the beginning, and what is known is passed over", async () => {
  let cut = false
  registry.lie = async (request, response, served, count) => {
    if (!isBlob(request.url)) return false
    if (!cut) {
      cut = true
      return cutAt(90_000)(request, response, served, count)
    }
    response.writeHead(200, { "Content-Length": String(bytes.length) })
    response.end(bytes)
    return true
  }
  expect((await fetchAll()).equals(bytes)).toBe(true)
})

test("from a place on", async () => {
  expect((await fetchAll(blob, 150_000)).equals(bytes.subarray(150_000))).toBe(true)
})

test("a stall is a cut", async () => {
  let stalled = 0
  registry.lie = (request, response, { status, headers, body }) => {
    if (!isBlob(request.url) || stalled++ > 1) return false
    response.writeHead(status, { ...headers, "Content-Length": String(body.length) })
    response.write(body.subarray(0, 50_000))
    return true
  }
  expect((await fetchAll()).equals(bytes)).toBe(true)
  expect(stalled).toBeGreaterThan(2)
})

test("one that never brings anything is given up, with registry, repository, step and place", async () => {
  registry.lie = cutAt(0)
  await expect(fetchAll()).rejects.toThrow(
    new RegExp(`^cannot fetch the blob ${blob.digest} of ${registry.host}/app: `),
  )
  registry.lie = cutAt(10)
  await expect(fetchAll()).rejects.toMatchObject({ kind: "unavailable" })
  await expect(fetchAll()).rejects.toThrow(/broke 3 times in a row at byte \d+ of 200000/)
  registry.lie = (request, response) => {
    if (isBlob(request.url)) response.socket?.pause()
    return isBlob(request.url)
  }
  await expect(fetchAll()).rejects.toThrow(/nothing came for 0.4 seconds/)
}, 30_000)

test("500s and 429s are waited for, but not for ever", async () => {
  let refusals = 2
  registry.lie = (request, response) => {
    if (!isBlob(request.url) || refusals-- <= 0) return false
    response.writeHead(refusals === 1 ? 503 : 429, { "Retry-After": "0" }).end()
    return true
  }
  expect((await fetchAll()).equals(bytes)).toBe(true)
  refusals = 1
  registry.lie = (request, response) => {
    if (!isBlob(request.url) || refusals-- <= 0) return false
    response.writeHead(429, { "Retry-After": "1" }).end()
    return true
  }
  const started = performance.now()
  expect((await fetchAll()).equals(bytes)).toBe(true)
  expect(performance.now() - started).toBeGreaterThan(990)
  registry.lie = (request, response) => {
    if (!isBlob(request.url)) return false
    response.writeHead(429, { "Retry-After": "3600" })
    response.end(JSON.stringify({ errors: [{ code: "TOOMANYREQUESTS", message: "slow down" }] }))
    return true
  }
  await expect(fetchAll()).rejects.toThrow(/^toomanyrequests: slow down/)
  registry.lie = (_request, response) => {
    response.writeHead(500).end()
    return true
  }
  await expect(fetchAll()).rejects.toThrow(/the registry answered 500/)
}, 30_000)

const lies: [string, number, Record<string, string>, Uint8Array, RegExp][] = [
  [
    "a length that is too small",
    200,
    { "Content-Length": "199999" },
    bytes.subarray(1),
    /sends 199999 bytes, but the manifest says 200000/,
  ],
  [
    "a length that is too large",
    200,
    { "Content-Length": "200001" },
    Buffer.concat([bytes, Buffer.alloc(1)]),
    /sends 200001 bytes/,
  ],
  [
    "no length and too many bytes",
    200,
    {},
    Buffer.concat([bytes, Buffer.alloc(1)]),
    /more than the 200000 bytes/,
  ],
  [
    "one more encoding",
    200,
    { "Content-Encoding": "gzip", "Content-Length": "200000" },
    bytes,
    /encodes it once more as "gzip"/,
  ],
  ["a 404 without words", 404, {}, Buffer.alloc(0), /cannot fetch the blob .* the registry does not have it/],
  ["a page", 418, {}, Buffer.from("<html>"), /the registry answered 418/],
]
test.each(lies)("%s", async (_what, status, headers, body, message) => {
  registry.lie = (request, response) => {
    if (!isBlob(request.url)) return false
    response.writeHead(status, headers)
    response.end(body)
    return true
  }
  await expect(fetchAll()).rejects.toThrow(message)
})

test("a range that is another one is refused", async () => {
  registry.lie = (request, response) => {
    if (!isBlob(request.url)) return false
    response.writeHead(206, { "Content-Range": "bytes 0-9/10", "Content-Length": "10" })
    response.end(bytes.subarray(0, 10))
    return true
  }
  await expect(fetchAll(blob, 100)).rejects.toThrow(/asked for the bytes from 100 on/)
})

test("a foreign layer comes from its own address when the registry does not have it, without credentials", async () => {
  const other = await startLyingRegistry()
  try {
    registry.blobs.clear()
    other.lie = (_request, response) => {
      response.writeHead(200, { "Content-Length": String(bytes.length) })
      response.end(bytes)
      return true
    }
    const foreign: Descriptor = {
      ...blob,
      mediaType: "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
      urls: ["file:///etc/passwd", `${other.origin}/layer`],
    }
    expect((await fetchAll(foreign)).equals(bytes)).toBe(true)
    expect(other.requests.map(({ authorization }) => authorization)).toEqual([undefined])
    await expect(fetchAll({ ...foreign, mediaType: "" })).rejects.toMatchObject({ kind: "not-found" })
  } finally {
    await other.close()
  }
})

test("memory stays flat over a large blob with a slow reader", async () => {
  const size = 300 << 20
  const chunk = randomBytes(1 << 20)
  const hash = createHash("sha256")
  for (let at = 0; at < size; at += chunk.length) hash.update(chunk)
  const digest = `sha256:${hash.digest("hex")}`
  registry.lie = async (request, response) => {
    if (!isBlob(request.url)) return false
    response.writeHead(200, { "Content-Length": String(size) })
    for (let at = 0; at < size; at += chunk.length)
      if (!response.write(chunk)) await new Promise((resolve) => response.once("drain", resolve))
    response.end()
    return true
  }
  const measure = createHash("sha256")
  Bun.gc(true)
  const before = process.memoryUsage.rss()
  let peak = 0
  let count = 0
  for await (const part of remote.blob({ ...blob, digest, size }, 0)) {
    measure.update(part)
    if (++count % 100 === 0) peak = Math.max(peak, process.memoryUsage.rss())
    if (count === 50) await Bun.sleep(100)
  }
  expect(`sha256:${measure.digest("hex")}`).toBe(digest)
  expect((peak - before) / (1 << 20)).toBeLessThan(120)
}, 30_000)
