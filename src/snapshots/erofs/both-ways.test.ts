// A layer as an EROFS image shows what the same layer unpacked shows: by hand-made archives and by generated ones.
import { afterAll, beforeAll, expect, test } from "bun:test"
import { mkdirSync, mkdtempSync, rmSync } from "node:fs"
import fc from "fast-check"
import {
  padded,
  sealHeader,
  type TarEntry,
  tarEnd,
  tarEntry,
  tarHeader,
  tarOf,
} from "../../../launcher/test/tar.ts"
import { openTestKernel } from "../../../test/fixtures/launcher-kernel.ts"
import { bothWays } from "./both-ways.ts"

let root: string
let opened: Awaited<ReturnType<typeof openTestKernel>>
beforeAll(async () => {
  mkdirSync("/var/tmp/sloop-test", { recursive: true })
  root = mkdtempSync("/var/tmp/sloop-test/both-")
  opened = await openTestKernel(root)
})
afterAll(async () => {
  await opened.stop()
  rmSync(root, { recursive: true, force: true })
})

const same = async (tar: Uint8Array, portion?: number) => {
  const { unpacked, image } = await bothWays(opened.kernel, root, tar, portion)
  expect(image.files).toEqual(unpacked.files)
  expect(image.attributes).toEqual(unpacked.attributes)
  expect(image.refused === undefined).toBe(unpacked.refused === undefined)
  return unpacked
}

const at = (seconds: number, nanoseconds = 0) => BigInt(seconds) * 1_000_000_000n + BigInt(nanoseconds)
const directory = (name: string, more: Partial<TarEntry> = {}): TarEntry => ({
  name,
  kind: "5",
  mode: 0o755,
  mtime: at(1000),
  ...more,
})
const file = (name: string, body = name, more: Partial<TarEntry> = {}): TarEntry => ({
  name,
  body: Buffer.from(body),
  mtime: at(2000),
  ...more,
})
const link = (name: string, target: string, kind = "2"): TarEntry => ({
  name,
  kind,
  link: target,
  mtime: at(3000),
})
const latin = (bytes: string) => Buffer.from(bytes, "latin1")
const le = (...fields: [value: number, bytes: number][]) => {
  const buffer = Buffer.alloc(fields.reduce((sum, [, bytes]) => sum + bytes, 0))
  let place = 0
  for (const [value, bytes] of fields) {
    buffer.writeUIntLE(value, place, bytes)
    place += bytes
  }
  return buffer.toString("latin1")
}
const accessList = (...entries: [tag: number, permissions: number, id: number][]) =>
  le(
    [2, 4],
    ...entries.flatMap(([tag, permissions, id]): [number, number][] => [
      [tag, 2],
      [permissions, 2],
      [id, 4],
    ]),
  )
const nobody = 0xffffffff
const capabilities = le([0x02000001, 4], [0x400, 4], [0, 4], [0, 4], [0, 4])

const cases: Readonly<Record<string, readonly TarEntry[]>> = {
  "modes, owners, times": [
    directory("./", { mode: 0o1770, uid: 7, gid: 8, mtime: at(5, 6) }),
    directory("d/", { mode: 0o2751, uid: 70_000, gid: 4_294_967_294, mtime: at(123_456_789, 987_654_321) }),
    file("d/f", "x", { mode: 0o4711, uid: 3_000_000_000, gid: 12, mtime: at(-5, -300) }),
    file("empty", "", { mode: 0 }),
    file("old", "o", { mtime: at(-1) }),
  ],
  "links of all kinds": [
    file("a/f", "body"),
    link("a/hard", "a/f", "1"),
    link("hard2", "./a/../a/f", "1"),
    link("soft", "a/f"),
    link("long", "t/".repeat(600)),
    link("hardsoft", "soft", "1"),
    { name: "fifo", kind: "6", mode: 0o600, mtime: at(1) },
    link("hardfifo", "fifo", "1"),
    ...[440, 447, 448, 449, 511, 512, 513, 4000].map((size) => link(`l${size}`, "x".repeat(size))),
  ],
  devices: [
    { name: "c", kind: "3", device: [1, 3], mode: 0o666, mtime: at(9) },
    { name: "b", kind: "4", device: [259, 70_000], mode: 0o660, gid: 6, mtime: at(9) },
    { name: "big", kind: "3", device: [4095, 1_048_575], mtime: at(9) },
  ],
  "extended attributes and capabilities": [
    directory("d", { xattrs: { "user.a": "1", "trusted.b": "\0\xff", "security.foo": "" } }),
    file("ping", "p", { mode: 0o755, xattrs: { "security.capability": capabilities } }),
    file("many", "m", {
      xattrs: Object.fromEntries(Array.from({ length: 60 }, (_, n) => [`user.n${n}`, "v".repeat(n)])),
    }),
    { ...link("soft", "x"), xattrs: { "trusted.t": "1", "user.dropped": "1" } },
    { name: "fifo", kind: "6", mtime: at(1), xattrs: { "user.dropped": "1", "trusted.t": "1" } },
    file("strange", "s", { xattrs: { "com.apple.quarantine": "1", "btrfs.x": "1" } }),
    directory("d", { mode: 0o700, xattrs: { "user.a": "2" } }),
  ],
  "access control lists": [
    file("list", "l", {
      mode: 0o600,
      xattrs: {
        "system.posix_acl_access": accessList(
          [1, 6, nobody],
          [2, 7, 1000],
          [4, 4, nobody],
          [16, 5, nobody],
          [32, 1, nobody],
        ),
      },
    }),
    file("plain", "l", {
      mode: 0o600,
      xattrs: { "system.posix_acl_access": accessList([1, 7, nobody], [4, 5, nobody], [32, 4, nobody]) },
    }),
    directory("dir", {
      xattrs: {
        "system.posix_acl_default": accessList(
          [1, 7, nobody],
          [4, 5, nobody],
          [8, 7, 5],
          [16, 7, nobody],
          [32, 0, nobody],
        ),
      },
    }),
  ],
  "whiteouts and opaque directories": [
    directory("d"),
    file("d/.wh.gone", ""),
    file("d/.wh..wh..opq", ""),
    file("d/x"),
    file("d/.wh.x", ""),
    directory("e"),
    file(".wh.e", ""),
    file(".wh.f", ""),
    file("f"),
    file(".wh.g", ""),
    directory("g"),
    file(".wh..wh.plnk/1.2", ""),
    file("new/sub/.wh.y", ""),
    link("hw", "d/gone", "1"),
  ],
  "later entries win": [
    directory("d", { mtime: at(1) }),
    file("d/f", "one"),
    file("d/f", "two", { mode: 0o600 }),
    directory("d", { mode: 0o700, mtime: at(2) }),
    file("t", "file"),
    directory("t", { mtime: at(3) }),
    file("t/in", "in"),
    directory("u"),
    file("u/a/b/c", "deep"),
    file("u", "now a file"),
    link("d/f", "t"),
    file("s", "s"),
    link("s2", "s", "1"),
    file("s", "again"),
    link("s2", "s2", "1"),
  ],
  "parents that are missing or links": [
    file("no/such/parent"),
    link("to", "real"),
    file("to/inside"),
    link("abs", "/real/deep"),
    file("abs/inside2"),
    link("up", "../../../../real"),
    file("up/inside3"),
    link("chain", "to"),
    file("chain/inside4"),
    link("chain/hard", "chain/inside4", "1"),
    directory("gid", { mode: 0o2755, gid: 42 }),
    file("gid/sub/f"),
  ],
  "strange names": [
    file("\xff\xfe"),
    file("é\xc3"),
    file("n".repeat(255)),
    file(`${"d".repeat(255)}/${"e".repeat(255)}/${"f".repeat(255)}`),
    file("..."),
    file(".-x"),
    file("!"),
    file("..a"),
    file(".a"),
    file("a b\nc\x01"),
    file("/abs/olute"),
    file("./././x//y"),
    file("a/../b"),
    file(".whx"),
  ],
}
for (const [name, entries] of Object.entries(cases))
  test(name, async () => {
    const { refused } = await same(tarOf(...entries))
    expect(refused).toBeUndefined()
  })

const refusals: Readonly<Record<string, readonly TarEntry[]>> = {
  "a name that leads out": [file("../x")],
  "a name that leads out later": [file("a/../../x")],
  "a hard link to outside": [link("h", "../../etc/passwd", "1")],
  "a hard link to nothing": [link("h", "nothing", "1")],
  "a hard link to a directory": [directory("d"), link("h", "d", "1")],
  "a hard link to the root": [link("h", "/", "1")],
  "a parent that is a file": [file("f"), file("f/g")],
  "links that never end": [link("a", "b"), link("b", "a"), file("a/x")],
  "an empty link": [link("l", "")],
  "a name of 256 bytes": [file("n".repeat(256))],
  "a file as root": [file("./", "", { kind: "0" }), file(".", "x")],
  "a forged whiteout": [{ name: "w", kind: "3", device: [0, 0] }],
  "overlay's attribute": [file("f", "f", { xattrs: { "trusted.overlay.redirect": "/x" } })],
  "overlay's attribute of a user": [directory("d", { xattrs: { "user.overlay.opaque": "y" } })],
  "a whiteout that is a directory": [file(".wh.d/f")],
  "a whiteout of nothing": [file(".wh.")],
  "a whiteout of the parent": [file(".wh...")],
  "capabilities that are none": [file("f", "f", { xattrs: { "security.capability": "x" } })],
  "an access list that is none": [file("f", "f", { xattrs: { "system.posix_acl_access": "x" } })],
  "a default list on a file": [
    file("f", "f", {
      xattrs: { "system.posix_acl_default": accessList([1, 7, nobody], [4, 5, nobody], [32, 4, nobody]) },
    }),
  ],
}
for (const [name, entries] of Object.entries(refusals))
  test(`refused: ${name}`, async () => {
    const { refused } = await same(tarOf(file("before"), ...entries))
    expect(refused).toBeDefined()
  })

const octal12 = (value: number) => latin(`${value.toString(8).padStart(11, "0")}\0`)
const pattern = (length: number) => Buffer.from(Array.from({ length }, (_, n) => (n * 7 + (n >> 8)) & 0xff))

/** GNU's old form, with as many extension blocks as the map needs. */
const oldSparse = (name: string, size: number, extents: readonly (readonly [number, number])[]): Buffer => {
  const stored = extents.reduce((sum, [, length]) => sum + length, 0)
  const header = tarHeader({ name, kind: "S", mtime: at(10) }, stored)
  latin("ustar  \0").copy(header, 257)
  const slots = (block: Buffer, place: number, list: readonly (readonly [number, number])[]) => {
    for (const [index, [offset, length]] of list.entries()) {
      octal12(offset).copy(block, place + index * 24)
      octal12(length).copy(block, place + index * 24 + 12)
    }
  }
  slots(header, 386, extents.slice(0, 4))
  header[482] = extents.length > 4 ? 1 : 0
  octal12(size).copy(header, 483)
  const blocks = [sealHeader(header)]
  for (let next = 4; next < extents.length; next += 21) {
    const block = Buffer.alloc(512)
    slots(block, 0, extents.slice(next, next + 21))
    block[504] = extents.length > next + 21 ? 1 : 0
    blocks.push(block)
  }
  return Buffer.concat([...blocks, padded(pattern(stored))])
}
const sparseMap = (extents: readonly (readonly [number, number])[]) =>
  padded(latin(`${[extents.length, ...extents.flat()].join("\n")}\n`))
const paxSparse = (name: string, size: number, extents: readonly (readonly [number, number])[]): Buffer => {
  const stored = pattern(extents.reduce((sum, [, length]) => sum + length, 0))
  const body = Buffer.concat([sparseMap(extents), stored])
  const pax = {
    "GNU.sparse.major": "1",
    "GNU.sparse.minor": "0",
    "GNU.sparse.name": name,
    "GNU.sparse.realsize": String(size),
  }
  return tarEntry({ name: "GNUSparseFile.0/x", body, mtime: at(10), pax })
}

test("sparse files in all forms", async () => {
  const many = Array.from({ length: 60 }, (_, n): [number, number] => [n * 10_000, 512])
  const { refused } = await same(
    Buffer.concat([
      oldSparse("old", 100_000, [
        [0, 512],
        [8192, 4096],
        [50_000, 100],
        [100_000, 0],
      ]),
      oldSparse("old-many", 700_000, many),
      oldSparse("only-holes", 123_456, []),
      paxSparse("new", 1_000_000, [
        [4096, 8192],
        [65_536, 65_536],
        [999_999, 1],
      ]),
      paxSparse("new-many", 700_001, many),
      paxSparse("tail", 20_000, [[12_288, 7712]]),
      paxSparse("nothing", 0, []),
      tarEntry(
        file("listed", pattern(1024).toString("latin1"), {
          body: pattern(1024),
          pax: {
            "GNU.sparse.major": "0",
            "GNU.sparse.minor": "1",
            "GNU.sparse.name": "listed-name",
            "GNU.sparse.size": "9000",
            "GNU.sparse.map": "0,512,5000,512",
          },
        }),
      ),
      tarEntry(file("after", "after")),
      tarEnd,
    ]),
    777,
  )
  expect(refused).toBeUndefined()
}, 20_000)

test("GNU long names, ustar prefixes, global headers", async () => {
  const long = "g/".repeat(200)
  const prefixed = tarHeader(file("short"), 5)
  latin("some/prefix").copy(prefixed, 345)
  const records = latin("20 mtime=777.123456\n")
  const tar = Buffer.concat([
    tarHeader({ name: "././@LongLink", kind: "L" }, long.length + 5),
    padded(latin(`${long}name\0`)),
    tarHeader(file("cut off"), 3),
    padded(latin("abc")),
    tarHeader({ name: "././@LongLink", kind: "K" }, 301),
    padded(latin(`${"t".repeat(300)}\0`)),
    tarHeader(link("linked", "cut off"), 0),
    sealHeader(prefixed),
    padded(latin("12345")),
    tarHeader({ name: "global", kind: "g" }, records.length),
    padded(records),
    tarEntry(file("timed", "t", { mtime: 0n })),
    tarEntry({ name: "unknown", kind: "Z", body: latin("skipped") }),
    tarEntry(file("last")),
    tarEnd,
  ])
  const { refused, files } = await same(tar, 100)
  expect(refused).toBeUndefined()
  expect(files.some((line) => line.includes("some/prefix/short"))).toBe(true)
})

test("a directory of 20,000 files, cut into small portions", async () => {
  const entries = Array.from({ length: 20_000 }, (_, n) =>
    file(`many/${(n * 7919) % 20_000}-${"x".repeat(n % 40)}`, ""),
  )
  await same(tarOf(...entries), 10_007)
}, 60_000)

const part = fc.constantFrom("a", "b", "c", "..", ".", ".wh.a", ".wh.b", ".wh..wh..opq", "d")
const name = fc.array(part, { minLength: 1, maxLength: 4 }).map((parts) => parts.join("/"))
const target = fc.oneof(
  name,
  name.map((text) => `/${text}`),
)
const entry: fc.Arbitrary<TarEntry> = fc
  .record({
    name,
    kind: fc.constantFrom("0", "0", "0", "5", "5", "5", "2", "2", "1", "6", "3"),
    link: target,
    mode: fc.constantFrom(0o755, 0o644, 0o2755, 0o4711, 0o1777),
    uid: fc.constantFrom(0, 5),
    gid: fc.constantFrom(0, 7),
    body: fc.constantFrom("", "x", "y".repeat(600)),
    attribute: fc.constantFrom(undefined, "1", "2"),
  })
  .map(({ name, kind, link, mode, uid, gid, body, attribute }) => ({
    name,
    kind,
    mode,
    uid,
    gid,
    mtime: at(1_000_000),
    ...(kind === "1" || kind === "2" ? { link } : {}),
    ...(kind === "0" ? { body: Buffer.from(body) } : {}),
    ...(kind === "3" ? { device: [1, 5] as const } : {}),
    ...(attribute === undefined ? {} : { xattrs: { "trusted.x": attribute } }),
  }))

test("generated archives look the same both ways, or are refused both ways", async () => {
  let refused = 0
  await fc.assert(
    fc.asyncProperty(fc.array(entry, { maxLength: 12 }), async (entries) => {
      const seen = await same(tarOf(...entries))
      if (seen.refused !== undefined) refused++
    }),
    { numRuns: 150 },
  )
  expect(refused).toBeGreaterThan(0)
}, 120_000)
