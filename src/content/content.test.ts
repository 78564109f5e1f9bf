// The content store on a real disk.
import { afterEach, beforeEach, expect, test } from "bun:test"
import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { digestOf } from "../base/digest-stream.ts"
import { type ContentStore, openContent } from "./content.ts"

let root = ""
let content: ContentStore
beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), "sloop-content-"))
  content = await openContent(root)
})
afterEach(() => rmSync(root, { recursive: true, force: true }))

async function* chunks(bytes: Uint8Array, size = 1000) {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
}
const gather = async (source: AsyncIterable<Uint8Array>) => {
  const parts: Uint8Array[] = []
  for await (const chunk of source) parts.push(chunk)
  return Buffer.concat(parts)
}
const text = Buffer.from("0123456789".repeat(500_000))
const leftovers = () => readdirSync(join(root, "ingest"))

test("what goes in comes out, by its digest", async () => {
  const { digest, size } = await content.ingest(chunks(text, 70_000))
  expect({ digest, size }).toEqual({ digest: digestOf(text), size: text.length })
  expect(content.has(digest)).toBe(true)
  expect(content.size(digest)).toBe(text.length)
  expect((await gather(content.open(digest))).equals(text)).toBe(true)
  expect((await gather(content.open(digest, { start: 5, end: 12 }))).toString()).toBe("5678901")
  expect((await gather(content.open(digest, { start: text.length - 3 }))).toString()).toBe("789")
  expect(await Array.fromAsync(content.list())).toEqual([{ digest, size }])
  expect(await content.ingest(chunks(text), { digest, size })).toEqual({ digest, size })
  expect(leftovers()).toEqual([])
  await content.remove(digest)
  await content.remove(digest)
  expect(content.has(digest)).toBe(false)
})

test("sync waits for all that was ingested, and costs nothing then", async () => {
  const { digest } = await content.ingest(chunks(text))
  await Promise.all([content.sync(), content.sync()])
  await content.sync()
  expect(content.size(digest)).toBe(text.length)
})

test("wrong digests and sizes leave nothing", async () => {
  for (const expected of [{ digest: `sha256:${"0".repeat(64)}` }, { size: 3 }, { size: text.length + 1 }])
    await expect(content.ingest(chunks(text), expected)).rejects.toMatchObject({ kind: "invalid" })
  expect(leftovers()).toEqual([])
  expect(await Array.fromAsync(content.list())).toEqual([])
})

test("a source that breaks, and one that is aborted, leave nothing", async () => {
  async function* broken() {
    yield text
    throw new Error("gone")
  }
  const failed = content.ingest(broken())
  await expect(failed).rejects.toThrow("gone")
  const stop = new AbortController()
  stop.abort(new Error("stopped"))
  const stopped = content.ingest(chunks(text), {}, stop.signal)
  await expect(stopped).rejects.toThrow("stopped")
  expect(leftovers()).toEqual([])
})

test("small blobs are verified when read", async () => {
  const { digest } = await content.ingest(chunks(Buffer.from("{}")))
  expect(Buffer.from(await content.read(digest)).toString()).toBe("{}")
  writeFileSync(join(root, "blobs", "sha256", digest.slice(7)), "[]")
  await expect(content.read(digest)).rejects.toThrow("damaged on disk")
  const { digest: large } = await content.ingest(chunks(text, 100_000))
  await expect(content.read(large)).rejects.toThrow("at most 4194304")
})

test("missing blobs are not found, malformed digests are invalid", async () => {
  const missing = `sha256:${"0".repeat(64)}`
  await expect(content.read(missing)).rejects.toMatchObject({ kind: "not-found" })
  await expect(gather(content.open(missing))).rejects.toMatchObject({ kind: "not-found" })
  expect(content.size(missing)).toBeUndefined()
  for (const bad of ["../../etc/passwd", "sha256:../x", "sha256:ABC"])
    expect(() => content.has(bad)).toThrow("is not a sha256 digest")
})

test("recover drops unfinished ingests; directories are private", async () => {
  writeFileSync(join(root, "ingest", "abc"), "half")
  await content.recover()
  expect(leftovers()).toEqual([])
  expect(statSync(root).mode & 0o777).toBe(0o700)
  expect(statSync(join(root, "blobs", "sha256")).mode & 0o777).toBe(0o700)
})

test("the same bytes ingested twice at once", async () => {
  const results = await Promise.all([content.ingest(chunks(text)), content.ingest(chunks(text, 333_333))])
  expect(results[0]).toEqual(results[1])
  expect(leftovers()).toEqual([])
})
