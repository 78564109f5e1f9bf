// pack: a tree on the disk becomes a tar that this and other readers understand; unpacked again it is the same tree.
import { afterAll, expect, test } from "bun:test"
import { execFileSync, spawn } from "node:child_process"
import {
  chmodSync,
  existsSync,
  lchownSync,
  linkSync,
  mkdirSync,
  readFileSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs"
import { createServer } from "node:net"
import { join } from "node:path"
import fc from "fast-check"
import { describeTree, download, freshDirectory, pack, unpack } from "./archives.ts"
import { connect, startLauncher } from "./client.ts"
import { readTar, tarOf } from "./tar.ts"

const launcher = await startLauncher()
afterAll(() => launcher[Symbol.asyncDispose]())

const fresh = () => freshDirectory(launcher.directory)
const names = (archive: Buffer): string[] => readTar(archive).map((entry) => entry.name)

test("the top is named after its path, after a wish, or left out", async () => {
  using place = fresh()
  mkdirSync(join(place.path, "a/b"), { recursive: true })
  writeFileSync(join(place.path, "a/b/f"), "x")
  const sorted = { "numeric-sort": "yes" }
  expect(names(await pack(launcher.socket, place.path, "/a/", sorted))).toEqual(["a/", "a/b/", "a/b/f"])
  expect(names(await pack(launcher.socket, place.path, "a/b/f", { name: "other" }))).toEqual(["other"])
  expect(names(await pack(launcher.socket, place.path, "/a", { name: "top", ...sorted }))).toEqual([
    "top/",
    "top/b/",
    "top/b/f",
  ])
  expect(names(await pack(launcher.socket, place.path, "/a", { contents: "yes", ...sorted }))).toEqual([
    "b/",
    "b/f",
  ])
  expect(names(await pack(launcher.socket, place.path, "/", sorted))[0]).toBe("./")
})

test("symlinks are packed, those on the way to the path are followed inside the root", async () => {
  using place = fresh()
  mkdirSync(join(place.path, "real"))
  writeFileSync(join(place.path, "real/f"), "inside")
  symlinkSync("/real", join(place.path, "way"))
  symlinkSync("/etc/passwd", join(place.path, "link"))
  expect(readTar(await pack(launcher.socket, place.path, "/way/f"))[0]).toMatchObject({
    name: "f",
    kind: "0",
  })
  expect(readTar(await pack(launcher.socket, place.path, "/link"))[0]).toMatchObject({
    kind: "2",
    link: "/etc/passwd",
  })
  expect(readTar(await pack(launcher.socket, place.path, "/way"))[0]).toMatchObject({
    kind: "2",
    link: "/real",
  })
  const { report } = await download(launcher.socket, [["pack"], ["root-path", place.path], ["path", "/none"]])
  expect([report.kind, report.fields[2]]).toEqual(["failed", "2"])
})

test("sockets are left out, files that change while they are read keep the size in their header", async () => {
  using place = fresh()
  const server = createServer().listen(join(place.path, "socket"))
  const growing = join(place.path, "growing")
  writeFileSync(growing, Buffer.alloc(100_000, 1))
  const script = `while :; do head -c 3000000 /dev/zero > ${growing}; : > ${growing}; done`
  const writer = spawn("sh", ["-c", script], { stdio: "ignore" })
  try {
    for (let i = 0; i < 30; i++)
      expect(names(await pack(launcher.socket, place.path, "/", { contents: "yes" }))).toEqual(["growing"])
  } finally {
    writer.kill("SIGKILL")
    server.close()
  }
})

test("the root may be that of a live process, its mounts included", async () => {
  using place = fresh()
  writeFileSync(join(place.path, "f"), "live")
  const plan = ["root-pid", process.pid] as const
  const { data } = await download(launcher.socket, [["pack"], plan, ["path", join(place.path, "f")]])
  expect(readTar(data)[0]).toMatchObject({ name: "f", body: Buffer.from("live") })
  const stat = await download(launcher.socket, [["stat"], plan, ["path", "/proc/self/root/etc"]])
  expect(stat.report.kind).toBe("failed")
})

test("a client that goes away ends the verb", async () => {
  using place = fresh()
  writeFileSync(join(place.path, "big"), "")
  truncateSync(join(place.path, "big"), 2 ** 33 + 5)
  const connection = await connect(launcher.socket)
  connection.send([["pack"], ["root-path", place.path], ["path", "big"]])
  const first = await connection.frame()
  connection.close()
  const header = first?.payload.subarray(0, 1536) ?? Buffer.alloc(0)
  expect(header.includes("19 size=8589934597\n")).toBe(true)
  expect(header.toString("latin1", 1024, 1027)).toBe("big")
})

test("very deep trees are packed, measured and removed with few descriptors", async () => {
  using place = fresh()
  const deep = tarOf({ name: `top/${"d/".repeat(1500)}f`, body: Buffer.from("deep") })
  expect((await unpack(launcher.socket, place.path, deep)).kind).toBe("ok")
  const archive = await pack(launcher.socket, place.path, "/top")
  expect(readTar(archive).at(-1)?.name).toBe(`top/${"d/".repeat(1500)}f`)
  const usage = await download(launcher.socket, [["usage"], ["path", join(place.path, "top")]])
  expect(usage.report.values.inodes).toBe("1502")
  expect(
    (await download(launcher.socket, [["remove-tree"], ["path", join(place.path, "top")]])).report.kind,
  ).toBe("ok")
  expect(existsSync(join(place.path, "top"))).toBe(false)
}, 30_000)

// Names are latin1: each character is one byte.
const name = fc
  .oneof(
    fc.string({
      minLength: 1,
      maxLength: 12,
      unit: fc.integer({ min: 1, max: 255 }).map((code) => String.fromCharCode(code)),
    }),
    fc.integer({ min: 90, max: 250 }).map((length) => "n".repeat(length)),
  )
  .filter((text) => !text.includes("/") && text !== "." && text !== "..")
const time = fc.bigInt({ min: -2_000_000_000n, max: 9_000_000_000_000_000_000n })
const node = fc.record({
  parent: fc.nat(),
  name,
  kind: fc.constantFrom("file", "directory", "symlink", "hard", "fifo"),
  mode: fc.integer({ min: 0, max: 0o7777 }),
  uid: fc.integer({ min: 0, max: 4_294_967_294 }),
  gid: fc.nat(3_000_000),
  time,
  content: fc.uint8Array({ maxLength: 1500 }),
  target: name,
})
type Node = typeof node extends fc.Arbitrary<infer T> ? T : never

const bytes = (path: string): Buffer => Buffer.from(path, "latin1")

function makeNode(path: string, wish: Node, files: string[]): void {
  const first = files[wish.parent % (files.length || 1)]
  if (wish.kind === "hard" && first) {
    linkSync(bytes(first), bytes(path))
    return
  }
  if (wish.kind === "directory") mkdirSync(bytes(path))
  else if (wish.kind === "symlink") symlinkSync(bytes(wish.target), bytes(path))
  else if (wish.kind === "fifo" && /^[ -~]+$/.test(path)) execFileSync("mkfifo", ["--", path])
  else {
    writeFileSync(bytes(path), wish.content)
    files.push(path)
  }
  lchownSync(bytes(path), wish.uid, wish.gid)
  if (wish.kind !== "symlink") chmodSync(bytes(path), wish.mode)
}

function makeTree(root: string, wishes: readonly Node[]): void {
  const directories = [root]
  const files: string[] = []
  const made: [string, bigint][] = []
  for (const wish of wishes) {
    const path = `${directories[wish.parent % directories.length]}/${wish.name}`
    if (made.some(([other]) => other === path)) continue
    makeNode(path, wish, files)
    if (wish.kind === "directory") directories.push(path)
    made.push([path, wish.time])
  }
  for (const [path, at] of made.reverse()) {
    const seconds = `${at < 0n && at % 1_000_000_000n ? at / 1_000_000_000n - 1n : at / 1_000_000_000n}`
    const fraction = ((at % 1_000_000_000n) + 1_000_000_000n) % 1_000_000_000n
    if (/^[ -~]+$/.test(path))
      execFileSync("touch", ["-h", "-d", `@${seconds}.${String(fraction).padStart(9, "0")}`, "--", path])
  }
}

test("any tree: pack and unpack give it back, and GNU tar agrees in both directions", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(node, { maxLength: 14 }), async (wishes) => {
      using from = fresh()
      using to = fresh()
      using gnu = fresh()
      using back = fresh()
      makeTree(from.path, wishes)
      const expected = describeTree(from.path)
      const archive = await pack(launcher.socket, from.path, "/", { contents: "yes", "numeric-sort": "yes" })
      expect((await unpack(launcher.socket, to.path, archive)).kind).toBe("ok")
      expect(describeTree(to.path)).toEqual(expected)
      execFileSync("tar", ["xp", "--numeric-owner", "--delay-directory-restore", "-C", gnu.path], {
        input: archive,
        stdio: "pipe",
      })
      expect(describeTree(gnu.path)).toEqual(expected)
      const theirs = execFileSync("tar", ["c", "--format=posix", "--numeric-owner", "-C", from.path, "."], {
        stdio: "pipe",
      })
      expect((await unpack(launcher.socket, back.path, theirs)).kind).toBe("ok")
      expect(describeTree(back.path)).toEqual(expected)
    }),
    { numRuns: 40 },
  )
}, 60_000)

test("the same tree gives the same bytes, and a launcher's own archive is plain ustar where it can be", async () => {
  using place = fresh()
  for (const file of ["b", "a", "B", "a.b"]) writeFileSync(join(place.path, file), file)
  execFileSync("touch", ["-d", "@1000000000", "a", "b", "B", "a.b"], { cwd: place.path })
  const options = { contents: "yes", "numeric-sort": "yes" }
  const first = await pack(launcher.socket, place.path, "/", options)
  expect(first.equals(await pack(launcher.socket, place.path, "/", options))).toBe(true)
  expect(names(first)).toEqual(["B", "a", "a.b", "b"])
  expect(first.length).toBe(4 * 1024 + 1024)
  expect(readFileSync(join(place.path, "a"), "utf8")).toBe("a")
})
