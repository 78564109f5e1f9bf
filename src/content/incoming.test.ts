// Blobs that are read while they come in: all readers get all bytes, and none gets an end before the bytes are proven.
import { afterEach, beforeEach, expect, test } from "bun:test"
import { randomBytes } from "node:crypto"
import { mkdtempSync, readdirSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { digestOf } from "../base/digest-stream.ts"
import { type ContentStore, type Incoming, openContent } from "./content.ts"

let root: string
let content: ContentStore
beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), "sloop-incoming-"))
  content = await openContent(root)
})
afterEach(() => rmSync(root, { recursive: true, force: true }))

const bytes = randomBytes(5_000_000)
const expected = { digest: digestOf(bytes), size: bytes.length }
const ingests = () => readdirSync(join(root, "ingest"))

const feed = async (incoming: Incoming, source: Uint8Array, piece = 70_000) => {
  for (let at = 0; at < source.length; at += piece) {
    await incoming.write(source.subarray(at, at + piece))
    if (at % 5 === 0) await Bun.sleep(0)
  }
}
const readAll = async (incoming: Incoming) => {
  const parts: Uint8Array[] = []
  for await (const chunk of incoming.follow()) parts.push(chunk)
  return Buffer.concat(parts)
}

test("readers follow from the first byte, whenever they begin", async () => {
  const incoming = await content.receive(expected)
  const early = readAll(incoming)
  await feed(incoming, bytes.subarray(0, 2_000_000))
  const middle = readAll(incoming)
  await feed(incoming, bytes.subarray(2_000_000))
  await incoming.finish()
  const late = readAll(incoming)
  for (const read of await Promise.all([early, middle, late])) expect(read.equals(bytes)).toBe(true)
  expect(content.size(expected.digest)).toBe(bytes.length)
  expect(ingests()).toEqual([])
  await content.sync()
})

test("wrong bytes have no end: readers and writer get the error, and nothing remains", async () => {
  for (const wrong of [Buffer.alloc(bytes.length), bytes.subarray(1)]) {
    const incoming = await content.receive(expected)
    const reading = readAll(incoming)
    reading.catch(() => {})
    await feed(incoming, wrong)
    await expect(incoming.finish()).rejects.toMatchObject({ kind: "invalid" })
    await expect(reading).rejects.toMatchObject({ kind: "invalid" })
    expect(content.has(expected.digest)).toBe(false)
    expect(ingests()).toEqual([])
  }
  const incoming = await content.receive({ ...expected, size: 10 })
  await expect(incoming.write(bytes)).rejects.toThrow(/longer than the 10 bytes/)
  await incoming.abandon()
  expect(ingests()).toEqual([])
})

test("what is given up wakes its readers with the reason", async () => {
  const incoming = await content.receive(expected)
  await feed(incoming, bytes.subarray(0, 1_500_000))
  const reading = readAll(incoming)
  reading.catch(() => {})
  await Bun.sleep(5)
  await incoming.abandon(new Error("no more"))
  await expect(reading).rejects.toThrow("no more")
  await expect(readAll(incoming)).rejects.toThrow("no more")
  expect(ingests()).toEqual([])
})

test("what is passing is proven and read, but becomes no blob", async () => {
  const incoming = await content.receive(expected, { passing: true })
  const early = readAll(incoming)
  await feed(incoming, bytes)
  await incoming.finish()
  expect((await early).equals(bytes)).toBe(true)
  expect((await readAll(incoming)).equals(bytes)).toBe(true)
  expect(content.has(expected.digest)).toBe(false)
  expect(ingests()).toHaveLength(1)
  await incoming.abandon()
  expect(ingests()).toEqual([])
  await expect(readAll(incoming)).rejects.toMatchObject({ kind: "cancelled" })
})

test("the same blob twice at once, and after a crash", async () => {
  const [one, two] = await Promise.all([content.receive(expected), content.receive(expected)])
  await Promise.all([feed(one, bytes), feed(two, bytes)])
  await Promise.all([one.finish(), two.finish()])
  expect(content.has(expected.digest)).toBe(true)
  const lost = await content.receive(expected)
  await feed(lost, bytes.subarray(0, 2_000_000))
  const again = await openContent(root)
  await again.recover()
  expect(ingests()).toEqual([])
  await lost.abandon()
})
