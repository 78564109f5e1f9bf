// The registry over real HTTP: every endpoint, its refusals, collection, and kill -9 in the middle of one.
import { afterEach, beforeEach, expect, test } from "bun:test"
import { spawnSync } from "node:child_process"
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { hashSync } from "bcryptjs"
import fc from "fast-check"
import { digestOf } from "../base/digest-stream.ts"
import { mediaTypes } from "../oci/media-types.ts"
import { collectOnce, type Standalone, type StandaloneOptions, serveRegistry } from "./registry-server.ts"

let directory: string
let registry: Standalone
let base: string
const start = async (options: Partial<StandaloneOptions> = {}): Promise<void> => {
  registry = await serveRegistry({
    dataRoot: join(directory, "data"),
    host: "127.0.0.1",
    port: 0,
    readOnly: false,
    collectEvery: 0,
    collect: { untagged: false, grace: 0 },
    ...options,
  })
  base = `http://127.0.0.1:${registry.port}/v2`
}
beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), "sloop-registry-"))
  await start()
})
afterEach(async () => {
  await registry.close()
  rmSync(directory, { recursive: true, force: true })
})

const ask = (method: string, path: string, options: RequestInit = {}) =>
  fetch(path.startsWith("/v2/") ? `${base}${path.slice(3)}` : `${base}/${path}`, { method, ...options })
const errorCode = async (response: Response): Promise<string> =>
  `${response.status} ${((await response.json()) as { errors: { code: string }[] }).errors[0]?.code}`

const push = async (repository: string, text: string): Promise<string> => {
  const digest = digestOf(Buffer.from(text))
  const response = await ask("POST", `${repository}/blobs/uploads/?digest=${digest}`, { body: text })
  expect(response.status).toBe(201)
  return digest
}
const descriptor = (digest: string, text: string, mediaType: string) => ({
  mediaType,
  digest,
  size: text.length,
})
const manifestOf = async (
  repository: string,
  layers: readonly string[],
  more: object = {},
): Promise<string> => {
  const config = "{}"
  return JSON.stringify({
    schemaVersion: 2,
    mediaType: mediaTypes.ociManifest,
    config: descriptor(await push(repository, config), config, mediaTypes.ociConfig),
    layers: await Promise.all(
      layers.map(async (layer) => descriptor(await push(repository, layer), layer, mediaTypes.ociLayer)),
    ),
    ...more,
  })
}
const putManifest = (
  repository: string,
  reference: string,
  body: string,
  type: string = mediaTypes.ociManifest,
) => ask("PUT", `${repository}/manifests/${reference}`, { body, headers: { "Content-Type": type } })
const blobFiles = () => readdirSync(join(directory, "data/content/blobs/sha256")).length

test("blobs: at once, streamed, in chunks, read whole and in part, mounted, deleted", async () => {
  const text = "0123456789"
  const digest = await push("a/b", text)
  const got = await ask("GET", `a/b/blobs/${digest}`)
  expect([got.status, await got.text(), got.headers.get("docker-content-digest")]).toEqual([
    200,
    text,
    digest,
  ])
  const part = await ask("GET", `a/b/blobs/${digest}`, { headers: { Range: "bytes=2-4" } })
  expect([part.status, await part.text(), part.headers.get("content-range")]).toEqual([
    206,
    "234",
    "bytes 2-4/10",
  ])
  const tail = await ask("GET", `a/b/blobs/${digest}`, { headers: { Range: "bytes=-3" } })
  expect(await tail.text()).toBe("789")
  expect((await ask("GET", `a/b/blobs/${digest}`, { headers: { Range: "bytes=10-" } })).status).toBe(416)
  const head = await ask("HEAD", `a/b/blobs/${digest}`)
  expect([head.status, head.headers.get("content-length")]).toEqual([200, "10"])

  const begun = await ask("POST", "a/b/blobs/uploads/")
  const place = begun.headers.get("location") ?? ""
  const chunk = (range: string, body: string) =>
    ask("PATCH", place, { body, headers: { "Content-Range": range } })
  expect((await chunk("0-3", "abcd")).headers.get("range")).toBe("0-3")
  const wrong = await chunk("2-5", "cdef")
  expect([wrong.status, wrong.headers.get("range")]).toEqual([416, "0-3"])
  expect((await chunk("4-5", "ef")).status).toBe(202)
  expect((await ask("GET", place)).headers.get("range")).toBe("0-5")
  const whole = digestOf(Buffer.from("abcdefgh"))
  expect((await ask("PUT", `${place}?digest=${whole}`, { body: "gh" })).status).toBe(201)
  expect(await (await ask("GET", `a/b/blobs/${whole}`)).text()).toBe("abcdefgh")
  expect(await errorCode(await ask("GET", place))).toBe("404 BLOB_UPLOAD_UNKNOWN")

  expect(await errorCode(await ask("GET", `other/blobs/${digest}`))).toBe("404 BLOB_UNKNOWN")
  expect((await ask("POST", `other/blobs/uploads/?mount=${digest}&from=a/b`)).status).toBe(201)
  expect(await (await ask("GET", `other/blobs/${digest}`)).text()).toBe(text)
  expect(
    (await ask("POST", `other/blobs/uploads/?mount=${digestOf(Buffer.from("none"))}&from=a/b`)).status,
  ).toBe(202)
  expect((await ask("DELETE", `a/b/blobs/${digest}`)).status).toBe(202)
  expect((await ask("HEAD", `a/b/blobs/${digest}`)).status).toBe(404)
  expect((await ask("HEAD", `other/blobs/${digest}`)).status).toBe(200)
  expect((await ask("DELETE", `other/blobs/${digest}`)).status).toBe(202)
  expect(blobFiles()).toBe(1)
})

test("wrong digests and lost clients leave nothing", async () => {
  const digest = digestOf(Buffer.from("right"))
  expect(await errorCode(await ask("POST", `x/blobs/uploads/?digest=${digest}`, { body: "wrong" }))).toBe(
    "400 DIGEST_INVALID",
  )
  const place = (await ask("POST", "x/blobs/uploads/")).headers.get("location") ?? ""
  expect(await errorCode(await ask("PUT", `${place}?digest=${digest}`, { body: "wrong" }))).toBe(
    "400 DIGEST_INVALID",
  )
  expect(await errorCode(await ask("PUT", `${place}?digest=${digest}`, { body: "right" }))).toBe(
    "404 BLOB_UPLOAD_UNKNOWN",
  )
  const cancelled = (await ask("POST", "x/blobs/uploads/")).headers.get("location") ?? ""
  expect((await ask("DELETE", cancelled)).status).toBe(204)
  expect(blobFiles()).toBe(0)
  expect(readdirSync(join(directory, "data/content/uploads"))).toEqual([])
})

test("manifests: by tag and digest, refused without their blobs, deleted with their tags", async () => {
  const body = await manifestOf("a", ["one", "two"])
  const digest = digestOf(Buffer.from(body))
  expect((await putManifest("a", "v1", body)).headers.get("docker-content-digest")).toBe(digest)
  expect((await putManifest("a", "v2", body)).status).toBe(201)
  const got = await ask("GET", "a/manifests/v1")
  expect([await got.text(), got.headers.get("content-type")]).toEqual([body, mediaTypes.ociManifest])
  expect((await ask("HEAD", `a/manifests/${digest}`)).status).toBe(200)
  expect(await errorCode(await putManifest("b", "v1", body))).toBe("404 MANIFEST_BLOB_UNKNOWN")
  expect(await errorCode(await putManifest("a", "v3", body.slice(1)))).toBe("400 MANIFEST_INVALID")
  expect(await errorCode(await putManifest("a", "v3", '{"schemaVersion":1}'))).toBe("400 MANIFEST_INVALID")
  expect(await errorCode(await putManifest("a", digestOf(Buffer.from("x")), body))).toBe("400 DIGEST_INVALID")
  expect(await errorCode(await putManifest("a", "v3", `${body}${" ".repeat(5 << 20)}`))).toBe(
    "413 MANIFEST_INVALID",
  )
  expect(await errorCode(await ask("GET", "a/manifests/none"))).toBe("404 MANIFEST_UNKNOWN")
  expect(await errorCode(await ask("GET", "none/manifests/v1"))).toBe("404 NAME_UNKNOWN")

  const index = JSON.stringify({
    schemaVersion: 2,
    mediaType: mediaTypes.ociIndex,
    manifests: [descriptor(digest, body, mediaTypes.ociManifest)],
  })
  expect((await putManifest("a", "all", index, mediaTypes.ociIndex)).status).toBe(201)
  expect(await errorCode(await putManifest("b", "all", index, mediaTypes.ociIndex))).toBe(
    "404 MANIFEST_BLOB_UNKNOWN",
  )

  // What lists blobs is a cache of BuildKit.
  const blob = JSON.parse(body).layers[0]
  const cache = JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: [blob] })
  expect((await putManifest("a", "cache", cache, mediaTypes.ociIndex)).status).toBe(201)
  expect((await ask("DELETE", "a/manifests/cache")).status).toBe(202)

  expect((await ask("DELETE", "a/manifests/v2")).status).toBe(202)
  expect(await (await ask("GET", "a/tags/list")).json()).toEqual({ name: "a", tags: ["all", "v1"] })
  expect((await ask("DELETE", `a/manifests/${digest}`)).status).toBe(202)
  expect(await (await ask("GET", "a/tags/list")).json()).toEqual({ name: "a", tags: ["all"] })
})

test("sha512 names the same bytes", async () => {
  const { createHash } = await import("node:crypto")
  const digest = `sha512:${createHash("sha512").update("long").digest("hex")}`
  expect((await ask("POST", `a/blobs/uploads/?digest=${digest}`, { body: "long" })).status).toBe(201)
  expect(await (await ask("GET", `a/blobs/${digest}`)).text()).toBe("long")
  expect((await ask("DELETE", `a/blobs/${digest}`)).status).toBe(202)
  expect(blobFiles()).toBe(0)
})

test("lists come in pages, referrers by subject and type", async () => {
  const body = await manifestOf("a", [])
  for (const tag of ["c", "a", "b"]) await putManifest("a", tag, body)
  await push("z/z", "blob")
  const first = await ask("GET", "a/tags/list?n=2")
  expect(await first.json()).toEqual({ name: "a", tags: ["a", "b"] })
  const next = /<([^>]+)>; rel="next"/.exec(first.headers.get("link") ?? "")?.[1] ?? ""
  expect(await (await ask("GET", next)).json()).toEqual({ name: "a", tags: ["c"] })
  expect(await (await ask("GET", "_catalog")).json()).toEqual({ repositories: ["a", "z/z"] })
  expect(await errorCode(await ask("GET", "a/tags/list?n=-1"))).toBe("400 PAGINATION_NUMBER_INVALID")

  const subject = descriptor(digestOf(Buffer.from(body)), body, mediaTypes.ociManifest)
  const signature = await manifestOf("a", [], {
    subject,
    artifactType: "application/x-sig",
    annotations: { by: "me" },
  })
  expect((await putManifest("a", "sig", signature)).headers.get("oci-subject")).toBe(subject.digest)
  const found = (await (await ask("GET", `a/referrers/${subject.digest}`)).json()) as { manifests: object[] }
  expect(found.manifests).toEqual([
    {
      ...descriptor(digestOf(Buffer.from(signature)), signature, mediaTypes.ociManifest),
      artifactType: "application/x-sig",
      annotations: { by: "me" },
    },
  ])
  const none = await ask("GET", `a/referrers/${subject.digest}?artifactType=other`)
  expect([none.headers.get("oci-filters-applied"), await none.json()]).toEqual([
    "artifactType",
    { schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: [] },
  ])
})

test("passwords and read-only", async () => {
  await registry.close()
  const htpasswd = join(directory, "htpasswd")
  writeFileSync(htpasswd, `ann:${hashSync("secret", 4)}\n`)
  await start({ htpasswd, readOnly: true })
  const refused = await ask("GET", "")
  expect([refused.status, refused.headers.get("www-authenticate")]).toEqual([
    401,
    'Basic realm="Sloop registry", charset="UTF-8"',
  ])
  const as = (name: string, password: string, method = "GET") =>
    ask(method, method === "GET" ? "" : "a/blobs/uploads/", {
      headers: { Authorization: `Basic ${Buffer.from(`${name}:${password}`).toString("base64")}` },
    })
  expect((await as("ann", "wrong")).status).toBe(401)
  expect((await as("bob", "secret")).status).toBe(401)
  expect((await as("ann", "secret")).status).toBe(200)
  expect(await errorCode(await as("ann", "secret", "POST"))).toBe("403 DENIED")
  writeFileSync(htpasswd, `ann:${hashSync("other", 4)}\nbob:${hashSync("x", 4)}\n`)
  expect((await as("ann", "secret")).status).toBe(401)
  expect((await as("ann", "other")).status).toBe(200)
})

test("a collection removes what nothing leads to and keeps the rest, served on meanwhile", async () => {
  const kept = await manifestOf("a", ["kept", "shared"])
  const old = await manifestOf("a", ["old", "shared"])
  await putManifest("a", "v1", old)
  await putManifest("a", "v1", kept)
  const stray = await push("b", "stray")
  await registry.close()
  expect(await collectOnce(join(directory, "data"), { untagged: false, grace: 3_600_000 })).toEqual({
    manifests: 0,
    blobs: 0,
    bytes: 0,
  })
  await start()
  const control = (query: string) =>
    fetch(`http://localhost/collect${query}`, { method: "POST", unix: join(directory, "data/control.sock") })
  expect(await (await control("")).json()).toEqual({ manifests: 0, blobs: 1, bytes: 5 })
  expect((await ask("HEAD", `b/blobs/${stray}`)).status).toBe(404)
  expect(((await (await control("?untagged=1")).json()) as { manifests: number }).manifests).toBe(1)
  expect(await (await ask("GET", "a/manifests/v1")).text()).toBe(kept)
  for (const text of ["kept", "shared", "{}"])
    expect(await (await ask("GET", `a/blobs/${digestOf(Buffer.from(text))}`)).text()).toBe(text)
  expect(blobFiles()).toBe(4)
})

test("kill -9 in a collection or an upload loses nothing that is reachable, and the rest goes", async () => {
  const kept = await manifestOf("a", ["kept"])
  await putManifest("a", "v1", kept)
  await push("a", "stray")
  await registry.close()
  const work = join(import.meta.dirname, "../../test/fixtures/registry-work.ts")
  for (const [step, what] of [
    ["registry:forgotten", "collect"],
    ["blob:written", "push"],
  ] as const) {
    const child = spawnSync(process.execPath, [work, join(directory, "data"), what], {
      env: { ...process.env, SLOOP_CRASH_AT: step },
      encoding: "utf8",
    })
    expect(`${child.signal} ${child.stderr}`).toBe("SIGKILL ")
    await start()
    expect(await (await ask("GET", "a/manifests/v1")).text()).toBe(kept)
    expect(blobFiles()).toBe(3)
    expect(readdirSync(join(directory, "data/content/uploads"))).toEqual([])
    await registry.close()
  }
  await start()
})

test("whatever is asked, the answer is a refusal and never a failure", async () => {
  const part = fc.oneof(
    fc.constantFrom(
      "a",
      "..",
      "",
      "blobs",
      "uploads",
      "manifests",
      "tags",
      "list",
      "referrers",
      "_catalog",
      "%2e%2e",
      "%",
      "sha256:00",
    ),
    fc.string({ maxLength: 12 }),
  )
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"),
      fc.array(part, { maxLength: 6 }),
      fc.string({ maxLength: 40 }),
      async (method, parts, body) => {
        const path = parts.map((text) => text.replace(/[?#\s\\]/g, "")).join("/")
        const hasBody = method !== "GET" && method !== "HEAD"
        const response = await ask(method, path, hasBody ? { body } : {})
        await response.arrayBuffer()
        expect(response.status).toBeLessThan(500)
      },
    ),
    { numRuns: 300 },
  )
})
