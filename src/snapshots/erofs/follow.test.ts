// What is found while a tar's bytes pass is what reading it finds.
import { afterAll, beforeAll, expect, test } from "bun:test"
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import fc from "fast-check"
import { type TarSource, writeTar } from "../../base/tar-writer.ts"
import { followTar, tarName, writeLayer } from "./write-layer.ts"

let directory = ""
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "sloop-follow-"))
})
afterAll(() => rmSync(directory, { recursive: true, force: true }))

const tarOf = async (entries: readonly TarSource[]): Promise<Buffer> => {
  const parts: Uint8Array[] = []
  for await (const chunk of writeTar([...entries])) parts.push(Buffer.from(chunk))
  return Buffer.concat(parts)
}

const pass = (tar: Buffer, most: number, step: number) => {
  const follower = followTar(most)
  // The memory of a chunk is used again.
  const chunk = Buffer.alloc(step)
  for (let at = 0; at < tar.length; at += step) {
    const length = tar.copy(chunk, 0, at, Math.min(tar.length, at + step))
    follower.write(chunk.subarray(0, length))
  }
  return follower
}

const top = async () => ({ mode: 0o711, uid: 5, gid: 6 })
const layer = (name: string, tar: Buffer): string => {
  const path = join(directory, name)
  mkdirSync(path)
  writeFileSync(join(path, tarName), tar)
  return path
}
/** Without what differs from one time to the next. */
const indexOf = (path: string): Buffer => {
  const bytes = readFileSync(join(path, "index"))
  return bytes.fill(0, 1024 + 24, 1024 + 32).fill(0, 1024 + 48, 1024 + 64)
}

let serial = 0
const names = fc.constantFrom(
  "a",
  "a/b",
  "a/.wh.b",
  "c/.wh..wh..opq",
  "c",
  "c/d/e",
  ".wh.a",
  "long/".repeat(40),
)
const entry = fc.record({ name: names, size: fc.integer({ min: 0, max: 3000 }) })

test("a layer from what was found has the very index that reading its tar gives", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(entry, { maxLength: 12 }),
      fc.integer({ min: 1, max: 5000 }),
      async (list, step) => {
        const tar = await tarOf(
          list.map(({ name, size }) =>
            name.endsWith("/")
              ? { name, type: "directory" as const }
              : { name, type: "file" as const, body: Buffer.alloc(size, name) },
          ),
        )
        const scanned = pass(tar, 1000, step).finish()
        const number = serial++
        const read = layer(`r${number}`, tar)
        const expected = await writeLayer(read, "linked", { top }).catch((error: unknown) => String(error))
        // What cannot be unpacked is told by who reads it.
        expect(scanned === undefined).toBe(typeof expected === "string")
        if (scanned === undefined || typeof expected === "string") return
        const found = layer(`f${number}`, tar)
        const written = await writeLayer(found, "linked", { top, scanned })
        expect(written.size).toBe(expected.size)
        expect(written.inodes).toBe(expected.inodes)
        expect(written.tarBytes).toBe(tar.length)
        expect(written.top).toEqual(expected.top)
        const seconds = scanned.seconds
        const again = pass(tar, 1000, step).finish()
        // Directories that the tar does not name have the time of the scan.
        if (again?.seconds === seconds) expect(indexOf(found).equals(indexOf(read))).toBe(true)
      },
    ),
    { numRuns: 60 },
  )
})

test("it gives up on what is no tar, is cut off, or has more entries than wanted", async () => {
  const tar = await tarOf(
    Array.from({ length: 20 }, (_, number) => ({
      name: `f${number}`,
      type: "file",
      body: Buffer.alloc(600),
    })),
  )
  expect(pass(tar, 100, 1000).finish()?.tree.inodes.count).toBe(21)
  expect(pass(tar, 10, 1000).finish()).toBeUndefined()
  expect(pass(tar, 10, 1000).entries).toBe(0)
  expect(pass(tar.subarray(0, 5000), 100, 1000).finish()).toBeUndefined()
  expect(pass(Buffer.alloc(4096, "no tar"), 100, 1000).finish()).toBeUndefined()
})

test("headers summed as signed bytes hold, others do not", async () => {
  const tar = await tarOf([{ name: "\u00e9\u00e9", type: "file", body: Buffer.from("x") }])
  const header = tar.subarray(0, 512)
  header.fill(0x20, 148, 156)
  const sumOf = (bytes: Iterable<number>) => [...bytes].reduce((sum, byte) => sum + byte, 0)
  const [unsigned, signed] = [sumOf(header), sumOf(new Int8Array(header))]
  const holds = (sum: number) => {
    header.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1")
    return pass(tar, 10, 512).finish() !== undefined
  }
  expect(unsigned).not.toBe(signed)
  expect(holds(unsigned)).toBe(true)
  expect(holds(signed)).toBe(true)
  expect(holds(unsigned + 1)).toBe(false)
})
