// unpack: what a tar says is what lies on the disk afterwards, in every dialect of tar.
import { afterAll, expect, test } from "bun:test"
import { execFileSync } from "node:child_process"
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  symlinkSync,
  writeFileSync,
} from "node:fs"
import { join } from "node:path"
import { describeTree, freshDirectory, pack, unpack, upload } from "./archives.ts"
import { startLauncher } from "./client.ts"
import { padded, readTar, sealHeader, tarEnd, tarEntry, tarHeader, tarOf } from "./tar.ts"

const launcher = await startLauncher()
afterAll(() => launcher[Symbol.asyncDispose]())

const fresh = () => freshDirectory(launcher.directory)
const body = (text: string) => Buffer.from(text)

test("files, directories, links and nodes get their owners, modes and times", async () => {
  using place = fresh()
  const archive = tarOf(
    { name: "d/", kind: "5", mode: 0o1750, uid: 7, gid: 8, mtime: 1_000_000_000_123_456_789n },
    { name: "d/file", mode: 0o6755, uid: 1000, gid: 3_000_000, mtime: -1_500_000_001n, body: body("hello") },
    { name: "d/hard", kind: "1", link: "d/file" },
    { name: "d/soft", kind: "2", link: "../../etc/passwd", uid: 5, gid: 6, mtime: 99n },
    { name: "fifo", kind: "6", mode: 0o640 },
    { name: "null", kind: "3", mode: 0o666, device: [1, 3] },
    { name: "disk", kind: "4", mode: 0o600, device: [259, 300] },
  )
  const report = await unpack(launcher.socket, place.path, archive)
  expect(report).toMatchObject({ kind: "ok", values: { entries: "7", bytes: "5" } })
  const stat = (name: string) => lstatSync(join(place.path, name), { bigint: true })
  expect(stat("d")).toMatchObject({ mode: 0o41750n, uid: 7n, gid: 8n, mtimeNs: 1_000_000_000_123_456_789n })
  expect(stat("d/file")).toMatchObject({
    mode: 0o106755n,
    uid: 1000n,
    gid: 3_000_000n,
    mtimeNs: -1_500_000_001n,
    nlink: 2n,
  })
  expect(stat("d/hard").ino).toBe(stat("d/file").ino)
  expect(stat("d/soft")).toMatchObject({ uid: 5n, gid: 6n, mtimeNs: 99n })
  expect(readlinkSync(join(place.path, "d/soft"))).toBe("../../etc/passwd")
  expect(stat("fifo").mode).toBe(0o10640n)
  expect(stat("null")).toMatchObject({ mode: 0o20666n, rdev: 0x103n })
  expect(execFileSync("stat", ["-c", "%t %T %F", join(place.path, "disk")]).toString()).toBe(
    "103 12c block special file\n",
  )
})

test("everything belongs to one user of the root when the plan names one", async () => {
  using place = fresh()
  mkdirSync(join(place.path, "etc"))
  writeFileSync(join(place.path, "etc/passwd"), "web:x:33:44::/:/bin/sh\n")
  const archive = tarOf(
    { name: "d/", kind: "5", uid: 7 },
    { name: "d/f", uid: 1000, gid: 1, body: body("x") },
  )
  const give = (user: string) =>
    upload(launcher.socket, [["unpack"], ["root-path", place.path], ["at", "/"], ["user", user]], archive)
  expect((await give("web")).kind).toBe("ok")
  for (const name of ["d", "d/f"])
    expect(lstatSync(join(place.path, name))).toMatchObject({ uid: 33, gid: 44 })
  expect(await give("nobody")).toMatchObject({ kind: "failed" })
})

test("missing parents are made for root with 0755, whatever the launcher's umask", async () => {
  using place = fresh()
  expect((await unpack(launcher.socket, place.path, tarOf({ name: "a/b/c", mode: 0o666 }))).kind).toBe("ok")
  expect(lstatSync(join(place.path, "a/b")).mode).toBe(0o40755)
  expect(lstatSync(join(place.path, "a/b/c")).mode).toBe(0o100666)
})

test("long, odd and non-UTF-8 names arrive byte by byte", async () => {
  using place = fresh()
  const names = [
    `${"d".repeat(150)}/${"f".repeat(200)}`,
    "\xff\xfe bytes",
    " lead",
    "new\nline",
    `l/${"p".repeat(99)}/x`,
  ]
  await unpack(launcher.socket, place.path, tarOf(...names.map((name) => ({ name, body: body(name) }))))
  const found = describeTree(place.path).map((line) => line.split(" 100")[0])
  for (const name of names) expect(found).toContain(name)
})

test("GNU long names and links, base-256 numbers and star prefixes are understood", async () => {
  using place = fresh()
  const long = `x/${"y".repeat(180)}`
  const gnu = (kind: string, text: string) =>
    Buffer.concat([tarHeader({ name: "././@LongLink", kind }, text.length + 1), padded(body(`${text}\0`))])
  const base256 = tarHeader({ name: "big-owner" }, 0)
  base256.fill(0, 108, 116)
  base256[108] = 0x80
  base256.writeUInt32BE(4_000_000_000, 112)
  base256.fill(0xff, 136, 148)
  const prefixed = tarHeader({ name: "tail" }, 0)
  prefixed.write("front", 345)
  const archive = Buffer.concat([
    gnu("L", long),
    gnu("K", `t${long}`),
    tarEntry({ name: "cut", kind: "2", link: "cut" }),
    sealHeader(base256),
    sealHeader(prefixed),
    tarEnd,
  ])
  expect((await unpack(launcher.socket, place.path, archive)).kind).toBe("ok")
  expect(readlinkSync(join(place.path, long))).toBe(`t${long}`)
  expect(lstatSync(join(place.path, "big-owner"), { bigint: true })).toMatchObject({
    uid: 4_000_000_000n,
    mtimeNs: -1_000_000_000n,
  })
  expect(existsSync(join(place.path, "front/tail"))).toBe(true)
})

test("global pax records hold for all that follow, until an entry says otherwise", async () => {
  using place = fresh()
  const records = body("12 uid=1234\n20 mtime=1000000000\n")
  const global = Buffer.concat([tarHeader({ name: "g", kind: "g" }, records.length), padded(records)])
  const archive = Buffer.concat([global, tarOf({ name: "a" }, { name: "b", pax: { uid: "77" } })])
  expect((await unpack(launcher.socket, place.path, archive)).kind).toBe("ok")
  const owners = ["a", "b"].map((name) => lstatSync(join(place.path, name)).uid)
  expect(owners).toEqual([1234, 77])
})

test("extended attributes with any bytes survive unpack and pack", async () => {
  using place = fresh()
  const xattrs = {
    "user.plain": "value",
    "user.odd": "\0\n=\xff",
    "security.capability": "\x01\0\0\x02\0\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
  }
  await unpack(
    launcher.socket,
    place.path,
    tarOf(
      { name: "f", uid: 12, mode: 0o755, xattrs, body: body("x") },
      { name: "d/", kind: "5", xattrs: { "user.d": "1" } },
    ),
  )
  const packed = readTar(
    await pack(launcher.socket, place.path, "/", { contents: "yes", "numeric-sort": "yes" }),
  )
  expect(packed.map((entry) => entry.xattrs)).toEqual([{ "user.d": "1" }, xattrs])
})

const sparse = Buffer.alloc(3 << 20)
sparse.write("start", 0)
sparse.write("middle", 1 << 20)
sparse.write("end", sparse.length - 3)

test.each([
  "--format=gnu",
  "--format=pax",
  "--format=pax --sparse-version=0.0",
  "--format=pax --sparse-version=0.1",
])("sparse files of tar %s have their holes", async (format) => {
  using from = fresh()
  using to = fresh()
  writeFileSync(join(from.path, "plain"), sparse)
  execFileSync("cp", ["--sparse=always", join(from.path, "plain"), join(from.path, "holes")])
  const archive = execFileSync("tar", ["c", "-S", ...format.split(" "), "-C", from.path, "holes"], {
    maxBuffer: 16 << 20,
  })
  expect(archive.length).toBeLessThan(100_000)
  expect((await unpack(launcher.socket, to.path, archive)).kind).toBe("ok")
  expect(readFileSync(join(to.path, "holes")).equals(sparse)).toBe(true)
  expect(lstatSync(join(to.path, "holes")).blocks).toBeLessThan(100)
})

test("old formats of GNU tar are read as GNU tar reads them", async () => {
  for (const format of ["v7", "oldgnu", "ustar", "posix", "gnu"]) {
    using to = fresh()
    using gnu = fresh()
    const source = import.meta.dir
    const archive = execFileSync("tar", ["c", `--format=${format}`, "-C", source, "."], {
      maxBuffer: 64 << 20,
    })
    expect((await unpack(launcher.socket, to.path, archive)).kind).toBe("ok")
    execFileSync("tar", ["xp", "-C", gnu.path], { input: archive })
    expect(describeTree(to.path)).toEqual(describeTree(gnu.path))
  }
})

test("what is there is replaced, directories are merged", async () => {
  using place = fresh()
  const at = (name: string) => join(place.path, name)
  mkdirSync(at("dir/kept"), { recursive: true })
  mkdirSync(at("becomes-file/inside"), { recursive: true })
  writeFileSync(at("becomes-dir"), "")
  symlinkSync("/etc", at("link"))
  const archive = tarOf(
    { name: "dir/", kind: "5", mode: 0o700 },
    { name: "becomes-file", body: body("f") },
    { name: "becomes-dir/", kind: "5" },
    { name: "link", body: body("not etc") },
    { name: "link", body: body("twice") },
  )
  expect((await unpack(launcher.socket, place.path, archive)).kind).toBe("ok")
  expect([existsSync(at("dir/kept")), lstatSync(at("dir")).mode]).toEqual([true, 0o40700])
  expect([readFileSync(at("becomes-file"), "utf8"), lstatSync(at("becomes-dir")).isDirectory()]).toEqual([
    "f",
    true,
  ])
  expect([lstatSync(at("link")).isFile(), readFileSync(at("link"), "utf8")]).toEqual([true, "twice"])
})

test("overwrite-dir-with-file no refuses with Docker's words, owners no keeps root", async () => {
  using place = fresh()
  mkdirSync(join(place.path, "d"))
  const refused = await unpack(launcher.socket, place.path, tarOf({ name: "d", uid: 9 }), {
    "overwrite-dir-with-file": "no",
  })
  expect([refused.kind, refused.fields[3]]).toEqual([
    "failed",
    'cannot overwrite directory "d" with non-directory',
  ])
  await unpack(launcher.socket, place.path, tarOf({ name: "f", uid: 9 }), { owners: "no" })
  expect(lstatSync(join(place.path, "f")).uid).toBe(0)
})

test("the destination may be any directory of the root, also behind a symlink", async () => {
  using place = fresh()
  mkdirSync(join(place.path, "var/lib"), { recursive: true })
  symlinkSync("/var/lib", join(place.path, "short"))
  const plan = [["unpack"], ["root-path", place.path], ["at", "/short"]] as const
  expect((await upload(launcher.socket, plan, tarOf({ name: "x/y" }, { name: "../z" }))).kind).toBe("failed")
  expect(existsSync(join(place.path, "var/lib/x/y"))).toBe(true)
})

test("input past the end of the archive is drained, frames may be of any size", async () => {
  using place = fresh()
  const archive = Buffer.concat([
    tarOf({ name: "a", body: body("x".repeat(3000)) }),
    Buffer.alloc(3 << 20, 0x55),
  ])
  expect((await unpack(launcher.socket, place.path, archive)).kind).toBe("ok")
  const plan = [["unpack"], ["root-path", place.path]] as const
  expect((await upload(launcher.socket, plan, tarOf({ name: "b", body: body("hello") }), 7)).kind).toBe("ok")
  expect(readFileSync(join(place.path, "b"), "utf8")).toBe("hello")
})

test("an archive may end with its last byte, as those of docker's client do", async () => {
  using place = fresh()
  const whole = tarOf({ name: "first" }, { name: "last", body: body("x".repeat(700)) })
  const report = await unpack(
    launcher.socket,
    place.path,
    whole.subarray(0, whole.length - tarEnd.length - (1024 - 700)),
  )
  expect(report.kind).toBe("ok")
  expect(readFileSync(join(place.path, "last"), "utf8")).toBe("x".repeat(700))
})

test("damage is one failure that names the entry", async () => {
  using place = fresh()
  const good = tarOf({ name: "first" }, { name: "second", body: body("x".repeat(2000)) })
  const wrongSum = Buffer.from(good)
  wrongSum[512 + 148] = 0x31
  const cases: [Buffer, RegExp][] = [
    [good.subarray(0, 1500), /"second": it ends before the entry does/],
    [good.subarray(0, 700), /"first": it ends in the middle of a header/],
    [wrongSum, /"first": the checksum of the header after it is wrong/],
    [tarOf({ name: "" }), /it has no name/],
    [tarOf({ name: "f", pax: { uid: "4294967295" } }), /not a number in range/],
    [tarOf({ name: "f", pax: { size: "99999999999999999999" } }), /not a number in range/],
    [tarOf({ name: "f", pax: { path: "a\0b" } }), /NUL/],
  ]
  for (const [archive, message] of cases) {
    const report = await unpack(launcher.socket, place.path, archive)
    expect([report.kind, report.fields[0]]).toEqual(["failed", "unpack"])
    expect(report.fields[3]).toMatch(message)
  }
})

test("a limit ends the stream, a client that sends on still gets the failure", async () => {
  using place = fresh()
  const report = await unpack(
    launcher.socket,
    place.path,
    tarOf({ name: "big", body: Buffer.alloc(5 << 20) }),
    { limit: "100000" },
  )
  expect(report).toMatchObject({ kind: "failed" })
  expect(report.fields[3]).toBe("the tar is longer than the 100000 bytes allowed")
})

test("a full disk fails with the path", async () => {
  using place = fresh()
  execFileSync("mount", ["-t", "tmpfs", "-o", "size=64k", "tmpfs", place.path])
  try {
    const report = await unpack(
      launcher.socket,
      place.path,
      tarOf({ name: "a/big", body: Buffer.alloc(1 << 20) }),
    )
    expect(report.fields.slice(0, 3)).toEqual(["unpack", "a/big", "28"])
  } finally {
    execFileSync("umount", [place.path])
  }
})
