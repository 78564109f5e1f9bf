// The tar reader: what GNU tar and bsdtar-like writers make, what is damaged, and what a fuzzer thinks of.
import { expect, test } from "bun:test"
import { spawnSync } from "node:child_process"
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import fc from "fast-check"
import { Failure } from "./errors.ts"
import { decodeHeader, encodeHeader } from "./tar-header.ts"
import { parsePax, readTar } from "./tar-reader.ts"
import { type TarSource, writeTar } from "./tar-writer.ts"

const gather = async (chunks: AsyncIterable<Uint8Array>): Promise<Buffer> => {
  const parts: Uint8Array[] = []
  for await (const chunk of chunks) parts.push(chunk)
  return Buffer.concat(parts)
}
async function* split(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
}
const readAll = async (bytes: Uint8Array, size = 4096) => {
  const entries: { name: string; type: string; linkName: string; text: string }[] = []
  for await (const { name, type, linkName, body } of readTar(split(bytes, size)))
    entries.push({ name, type, linkName, text: (await gather(body)).toString() })
  return entries
}

for (const format of ["gnu", "pax", "ustar", "v7"])
  test(`reads what tar --format=${format} writes`, async () => {
    const directory = mkdtempSync(join(tmpdir(), "sloop-tar-"))
    try {
      const long = format === "gnu" || format === "pax" ? "n".repeat(180) : "n".repeat(60)
      mkdirSync(join(directory, "d"))
      writeFileSync(join(directory, "d", long), "long name")
      writeFileSync(join(directory, "d", "empty"), "")
      writeFileSync(join(directory, "d", "big"), "x".repeat(100_000))
      symlinkSync(`../${long}`, join(directory, "d", "link"))
      const made = spawnSync("tar", ["-c", "--sort=name", `--format=${format}`, "-C", directory, "d"], {
        maxBuffer: 1 << 24,
      })
      const entries = await readAll(made.stdout, 777)
      expect(entries.map(({ name, type }) => [name, type])).toEqual([
        ["d/", "directory"],
        ["d/big", "file"],
        ["d/empty", "file"],
        ["d/link", "symlink"],
        [`d/${long}`, "file"],
      ])
      expect(entries[1]?.text).toHaveLength(100_000)
      expect(entries[3]?.linkName).toBe(`../${long}`)
      expect(entries[4]?.text).toBe("long name")
    } finally {
      rmSync(directory, { recursive: true })
    }
  })

test("reads what the writer writes, whatever the names, bodies and chunk sizes", async () => {
  const name = fc
    .string({ unit: "grapheme", minLength: 1, maxLength: 200 })
    .filter((text) => !/\0|\/$/.test(text))
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(name, fc.uint8Array({ maxLength: 2000 })), { maxLength: 8 }),
      fc.integer({ min: 1, max: 3000 }),
      async (files, size) => {
        const sources = files.map(([path, body]): TarSource => ({ name: path, type: "file", body }))
        const tar = await gather(writeTar(sources))
        expect(tar.length % 512).toBe(0)
        const entries = await readAll(tar, size)
        expect(entries.map((entry) => entry.name)).toEqual(files.map(([path]) => path))
        expect(entries.map((entry) => entry.text)).toEqual(
          files.map(([, body]) => Buffer.from(body).toString()),
        )
      },
    ),
    { numRuns: 60 },
  )
})

test("GNU tar accepts what the writer writes", async () => {
  const names = ["a", `long/${"x".repeat(150)}`]
  const tar = await gather(
    writeTar([
      ...names.map((name): TarSource => ({ name, type: "file", body: Buffer.from(name) })),
      { name: "link", type: "symlink", linkName: "y".repeat(120) },
    ]),
  )
  const listed = spawnSync("tar", ["-t"], { input: tar, encoding: "utf8" })
  expect(listed.stderr).toBe("")
  expect(listed.stdout.trimEnd().split("\n")).toEqual([...names, "link"])
})

test("bodies that are not read are skipped", async () => {
  const tar = await gather(
    writeTar([
      { name: "one", type: "file", body: Buffer.alloc(5000, 1) },
      { name: "two", type: "file", body: Buffer.from("2") },
    ]),
  )
  const names: string[] = []
  for await (const entry of readTar(split(tar, 100))) {
    names.push(entry.name)
    for await (const _ of entry.body) break
  }
  expect(names).toEqual(["one", "two"])
})

test("the source is read to its end, past the end marker", async () => {
  const tar = await gather(writeTar([]))
  let ended = false
  async function* source() {
    yield tar
    yield Buffer.alloc(10_000)
    ended = true
  }
  for await (const _ of readTar(source()));
  expect(ended).toBe(true)
})

test("refuses truncated, damaged, sparse and foreign input", async () => {
  const tar = await gather(writeTar([{ name: "f", type: "file", body: Buffer.alloc(2000, 7) }]))
  await expect(readAll(tar.subarray(0, 1500))).rejects.toThrow("truncated")
  await expect(readAll(tar.subarray(0, 200))).rejects.toThrow("not a tar archive")
  await expect(readAll(new Uint8Array(0))).rejects.toThrow("not a tar archive")
  await expect(readAll(Buffer.alloc(2048, 0x41))).rejects.toThrow("not a tar archive")
  const damaged = Buffer.from(tar)
  damaged[3] = 0x7f
  await expect(readAll(damaged)).rejects.toThrow("checksum")
  const huge = Buffer.from(
    encodeHeader({ name: "x", type: "pax", size: 1 << 30, linkName: "", mode: 0, uid: 0, gid: 0, mtime: 0 }),
  )
  await expect(readAll(huge)).rejects.toThrow("extended header of 1073741824 bytes")
})

test("pax records: lengths count in bytes, padding is allowed, nonsense is refused", () => {
  const record = (text: string) => parsePax(Buffer.from(text))
  expect([...record("12 path=a b\n")]).toEqual([["path", "a b"]])
  expect([...record("12 path=a b\n\0\0")]).toEqual([["path", "a b"]])
  expect([...record("18 SCHILY.xattr=\x01\n")]).toEqual([])
  for (const bad of ["12 path=a", "x path=a\n", "9999 path=a\n", "0 path=a\n", "5 a\n\n", "3 a\n"])
    expect(() => record(bad)).toThrow(Failure)
})

test("never fails with anything but invalid, never hangs, never reads past a body", async () => {
  const tar = await gather(
    writeTar([
      { name: `p/${"q".repeat(120)}`, type: "file", body: Buffer.alloc(700, 1) },
      { name: "l", type: "symlink", linkName: "p" },
      { name: "f", type: "file", body: Buffer.alloc(100, 2) },
    ]),
  )
  const change = fc.tuple(fc.integer({ min: 0, max: tar.length - 1 }), fc.integer({ min: 0, max: 255 }))
  await fc.assert(
    fc.asyncProperty(
      fc.array(change, { maxLength: 12 }),
      fc.integer({ min: 0, max: tar.length }),
      fc.boolean(),
      async (changes, length, repair) => {
        const bytes = Buffer.from(tar.subarray(0, length))
        for (const [at, value] of changes) if (at < length) bytes[at] = value
        // With its checksum put right, a changed header is believed.
        if (repair)
          for (let at = 0; at + 512 <= length; at += 512) {
            const block = bytes.subarray(at, at + 512)
            if (block.subarray(257, 262).toString() !== "ustar") continue
            block.fill(0x20, 148, 156)
            const sum = block.reduce((total, byte) => total + byte, 0)
            block.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1")
          }
        try {
          await readAll(bytes, 333)
        } catch (error) {
          expect(error).toBeInstanceOf(Failure)
          expect(error).toMatchObject({ kind: "invalid" })
        }
      },
    ),
    { numRuns: 400 },
  )
})

test("random blocks never break the header decoder", () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 512, maxLength: 512 }), (block) => {
      try {
        decodeHeader(block)
      } catch (error) {
        expect(error).toMatchObject({ kind: "invalid" })
      }
    }),
  )
})

test("base-256 numbers, as GNU tar writes sizes above 8 GiB", () => {
  const block = Buffer.from(
    encodeHeader({ name: "x", type: "file", size: 0, linkName: "", mode: 0, uid: 0, gid: 0, mtime: 0 }),
  )
  block.fill(0, 124, 136)
  block[124] = 0x80
  block.writeBigUInt64BE(2n ** 40n, 128)
  block.fill(0x20, 148, 156)
  block.write(
    `${block
      .reduce((total, byte) => total + byte, 0)
      .toString(8)
      .padStart(6, "0")}\0 `,
    148,
    "latin1",
  )
  expect(decodeHeader(block)?.size).toBe(2 ** 40)
})
