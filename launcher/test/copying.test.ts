// scan, digest and assemble: what copies are made of. Nothing outside a root is told of, read or written.
import { afterAll, expect, test } from "bun:test"
import { createHash } from "node:crypto"
import {
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs"
import { createServer } from "node:net"
import { join } from "node:path"
import fc from "fast-check"
import { decodeScan, hexOf, type ScannedEntry } from "../../src/build/sources/local/scan.ts"
import { download, freshDirectory } from "./archives.ts"
import { connect, type Operation, type Report, startLauncher } from "./client.ts"

const launcher = await startLauncher()
afterAll(() => launcher[Symbol.asyncDispose]())

const fresh = () => freshDirectory(launcher.directory)
const sha = (bytes: Uint8Array | string) => createHash("sha256").update(bytes).digest("hex")

const look = async (root: string, ...looks: Operation[]) => {
  const { report, data: bytes } = await download(launcher.socket, [["scan"], ["root-path", root], ...looks])
  expect(report.kind).toBe("ok")
  return decodeScan(bytes)
}
const paths = (entries: readonly ScannedEntry[] | undefined) => entries?.map(({ path }) => path)

test("a tree is told of in order, as the file system has it", async () => {
  using place = fresh()
  const root = place.path
  mkdirSync(join(root, "a/z"), { recursive: true })
  mkdirSync(join(root, "a-b"))
  writeFileSync(join(root, "a/f"), "four")
  linkSync(join(root, "a/f"), join(root, "a/g"))
  symlinkSync("/etc/shadow", join(root, "l"))
  const raw = Buffer.concat([Buffer.from(`${root}/`), Buffer.from([0xff, 0x0a, 0x01])])
  writeFileSync(raw, "")
  const [found] = await look(root, ["beneath", ""])
  expect(paths(found?.entries)).toEqual(["", "a", "a/f", "a/g", "a/z", "a-b", "l", "\xff\n\x01"])
  const status = lstatSync(join(root, "a/f"), { bigint: true })
  const entry = found?.entries[2]
  expect(entry).toMatchObject({ mode: 0o100644, size: 4, names: 2, inode: Number(status.ino) })
  expect(BigInt(entry?.mtime ?? 0) * 1_000_000_000n + BigInt(entry?.mtimeFraction ?? 0)).toBe(status.mtimeNs)
  expect(found?.entries[6]?.link).toBe("/etc/shadow")
  const [part] = await look(root, ["skip", hexOf("a/z")], ["skip", hexOf("l")], ["beneath", hexOf("a")])
  expect(paths(part?.entries)).toEqual(["a", "a/f", "a/g"])
})

test("paths are followed inside the root only", async () => {
  using place = fresh()
  const root = place.path
  mkdirSync(join(root, "real/deep"), { recursive: true })
  writeFileSync(join(root, "real/f"), "")
  symlinkSync("/real", join(root, "way"))
  symlinkSync("../../../../etc", join(root, "real/out"))
  symlinkSync("loop", join(root, "loop"))
  const [file, missing, out, loop, last, plain] = await look(
    root,
    ["follow", hexOf("way/f")],
    ["follow", hexOf("way/deep/new/x")],
    ["follow", hexOf("way/out/passwd")],
    ["follow", hexOf("loop/x")],
    ["resolve", hexOf("way")],
    ["entry", hexOf("way/f")],
  )
  expect([file?.error, file?.path, paths(file?.entries)]).toEqual([0, "real/f", ["", "real", "real/f"]])
  expect([missing?.error, missing?.path]).toEqual([2, "real/deep/new/x"])
  expect(paths(missing?.entries)).toEqual(["", "real", "real/deep"])
  expect([out?.error, out?.path]).toEqual([2, "etc/passwd"])
  expect(loop?.error).toBe(40)
  expect([last?.error, last?.path]).toEqual([0, "way"])
  // The plain forms never follow.
  expect(plain?.error).not.toBe(0)
})

test("digests are those of contents; links and what is no file have none", async () => {
  using place = fresh()
  const root = place.path
  const long = Buffer.alloc(1_000_003, "long")
  writeFileSync(join(root, "f"), long)
  writeFileSync(join(root, "empty"), "")
  symlinkSync("/etc/shadow", join(root, "l"))
  const server = createServer().listen(join(root, "socket"))
  try {
    const names = ["f", "empty", "l", "socket", "none", ""]
    const files = names.map((name): Operation => ["file", hexOf(name)])
    const { data: bytes } = await download(launcher.socket, [["digest"], ["root-path", root], ...files])
    expect(bytes.length).toBe(96 * names.length)
    const rows = names.map((_, at) => bytes.subarray(96 * at, 96 * (at + 1)))
    expect(rows.map((row) => row[0])).toEqual([0, 0, 1, 1, 1, 0])
    expect(rows[0]?.subarray(8, 40).toString("hex")).toBe(sha(long))
    expect(rows[1]?.subarray(8, 40).toString("hex")).toBe(sha(""))
  } finally {
    server.close()
  }
})

const literal = (bytes: Uint8Array): Buffer => {
  const head = Buffer.alloc(5, "L")
  head.writeUInt32LE(bytes.length, 1)
  return Buffer.concat([head, bytes])
}
const fileOf = (path: string, size: number, root = 0): Buffer => {
  const head = Buffer.alloc(36)
  head[0] = 0x46
  head[1] = root
  head.writeUInt16LE(Buffer.byteLength(path, "latin1"), 2)
  head.writeBigUInt64LE(BigInt(size), 4)
  return Buffer.concat([head, Buffer.from(path, "latin1")])
}
const rangeOf = (file: number, offset: bigint, length: bigint): Buffer => {
  const head = Buffer.alloc(18)
  head[0] = 0x52
  head[1] = file
  head.writeBigUInt64LE(offset, 2)
  head.writeBigUInt64LE(length, 10)
  return head
}

const assemble = async (operations: readonly Operation[], script: Uint8Array): Promise<Report> => {
  const connection = await connect(launcher.socket)
  try {
    connection.send([["assemble"], ...operations])
    for (let at = 0; at < script.length; at += 1 << 20) connection.data(script.subarray(at, at + (1 << 20)))
    connection.data(Buffer.alloc(0))
    return await connection.report()
  } finally {
    connection.close()
  }
}

test("bytes, files and ranges become one file, hashed", async () => {
  using place = fresh()
  const root = join(place.path, "root")
  mkdirSync(join(root, "d"), { recursive: true })
  const big = Buffer.alloc(3_000_001, "contents ")
  writeFileSync(join(root, "d/big"), big)
  writeFileSync(join(place.path, "older"), "0123456789")
  const output = join(place.path, "out")
  const report = await assemble(
    [
      ["root-path", root],
      ["file", join(place.path, "older")],
      ["output", output],
    ],
    Buffer.concat([
      literal(Buffer.from("head")),
      fileOf("d/big", big.length),
      rangeOf(0, 2n, 5n),
      literal(Buffer.alloc(0)),
    ]),
  )
  const expected = Buffer.concat([
    Buffer.from("head"),
    big,
    Buffer.alloc(-big.length & 511),
    Buffer.from("23456"),
  ])
  expect(report.kind).toBe("ok")
  expect(report.values).toMatchObject({ sha256: sha(expected), size: String(expected.length), changed: "1" })
  expect(readFileSync(output).equals(expected)).toBe(true)
})

test("a file that begins as an older one did is hashed from a known state on", async () => {
  using place = fresh()
  const older = Buffer.alloc((12 << 20) + 700)
  for (let at = 0; at < older.length; at += 4) older.writeUInt32LE((at * 2_654_435_761) % 2 ** 32, at)
  writeFileSync(join(place.path, "older"), older)
  const build = (name: string, script: Buffer, ...more: Operation[]) =>
    assemble([["file", join(place.path, "older")], ["output", join(place.path, name)], ...more], script)
  const whole = rangeOf(0, 0n, BigInt(older.length))
  const first = await build("first", Buffer.concat([whole, literal(Buffer.from("one"))]))
  const states = first.values?.states ?? ""
  expect([states.length, first.values?.sha256]).toEqual([
    3 * 64,
    sha(Buffer.concat([older, Buffer.from("one")])),
  ])
  for (const known of [1, 2, 3]) {
    const resume = ["resume", String(known << 22), states.slice(64 * (known - 1), 64 * known)] as const
    const output = `resumed-${known}`
    const report = await build(output, Buffer.concat([whole, literal(Buffer.from("two"))]), resume)
    const expected = Buffer.concat([older, Buffer.from("two")])
    expect(report.values).toMatchObject({ sha256: sha(expected), size: String(expected.length) })
    expect(report.values?.states).toBe(states.slice(64 * known))
    expect(readFileSync(join(place.path, output)).equals(expected)).toBe(true)
  }
  const state = states.slice(0, 64)
  const refused: [script: Buffer, operation: Operation][] = [
    [whole, ["resume", "1000", state]],
    [whole, ["resume", "0", state]],
    [whole, ["resume", String(4 << 20), "ab"]],
    [literal(Buffer.from("first")), ["resume", String(4 << 20), state]],
    [Buffer.alloc(0), ["resume", String(4 << 20), state]],
    [rangeOf(0, 1n, BigInt(5 << 20)), ["resume", String(4 << 20), state]],
    [rangeOf(0, 0n, 10n), ["resume", String(4 << 20), state]],
    [whole, ["resume", String(16 << 20), state]],
  ]
  for (const [script, operation] of refused) {
    expect((await build("refused", script, operation)).kind).toBe("failed")
    expect(existsSync(join(place.path, "refused"))).toBe(false)
  }
})

test.each([
  ["a link", () => fileOf("link", 4)],
  ["a way through a link", () => fileOf("out/passwd", 4)],
  ["a way out", () => fileOf("../secret", 4)],
  ["an absolute path", () => fileOf("/etc/passwd", 4)],
  ["a device", () => fileOf("device", 4)],
  ["more than there is", () => fileOf("f", 5000)],
  ["an unknown root", () => fileOf("f", 4, 9)],
  ["a range beyond the end", () => rangeOf(0, 0n, 10_000n)],
  ["a range that wraps", () => rangeOf(0, 2n ** 63n - 1n, 2n ** 63n - 1n)],
  ["a cut piece", () => Buffer.from("L\xff\xff\xff\xffxx", "latin1")],
  ["an unknown piece", () => Buffer.from("X")],
])("%s is refused, and nothing is left", async (_, piece) => {
  using place = fresh()
  const root = join(place.path, "root")
  mkdirSync(root)
  writeFileSync(join(place.path, "secret"), "text")
  writeFileSync(join(root, "f"), "text")
  symlinkSync("f", join(root, "link"))
  symlinkSync("/etc", join(root, "out"))
  Bun.spawnSync(["mknod", join(root, "device"), "c", "1", "5"])
  const output = join(place.path, "out")
  const older = join(root, "f")
  const report = await assemble(
    [
      ["root-path", root],
      ["file", older],
      ["output", output],
    ],
    piece(),
  )
  expect(report.kind).toBe("failed")
  expect(existsSync(output)).toBe(false)
})

test("an output that is there is left alone", async () => {
  using place = fresh()
  const output = join(place.path, "out")
  writeFileSync(output, "mine")
  expect((await assemble([["output", output]], literal(Buffer.from("x")))).kind).toBe("failed")
  expect(readFileSync(output, "utf8")).toBe("mine")
})

test("who is still sending when it fails learns why", async () => {
  using place = fresh()
  const output = join(place.path, "out")
  writeFileSync(output, "mine")
  const script = Buffer.concat([literal(Buffer.alloc(24 << 20)), Buffer.from("X")])
  const report = await assemble([["output", output]], script)
  expect(report.kind).toBe("failed")
  expect(report.fields.join(" ")).toContain("it cannot be created: File exists")
  rmSync(output)
  expect((await assemble([["output", output]], Buffer.concat([Buffer.from("X"), script]))).kind).toBe(
    "failed",
  )
})

test("a directory that becomes a link while files are copied leads nowhere", async () => {
  using place = fresh()
  const root = join(place.path, "root")
  mkdirSync(join(root, "d"), { recursive: true })
  mkdirSync(join(place.path, "outside"))
  writeFileSync(join(root, "d/f"), "inside")
  writeFileSync(join(place.path, "outside/f"), "SECRET")
  symlinkSync("../outside", join(root, "bait"))
  let racing = true
  const race = (async () => {
    while (racing) {
      for (const [from, to] of [
        ["d", "kept"],
        ["bait", "d"],
        ["d", "bait"],
        ["kept", "d"],
      ] as const)
        renameSync(join(root, from), join(root, to))
      await Bun.sleep(0)
    }
  })()
  try {
    for (let tries = 0; tries < 60; tries++) {
      const output = join(place.path, `out-${tries}`)
      const piece = Buffer.concat(Array.from({ length: 30 }, () => fileOf("d/f", 6)))
      await assemble(
        [
          ["root-path", root],
          ["output", output],
        ],
        piece,
      )
      if (existsSync(output)) expect(readFileSync(output, "latin1")).not.toContain("SECRET")
      rmSync(output, { force: true })
    }
  } finally {
    racing = false
    await race
  }
})

test("no script and no plan makes the launcher stumble", async () => {
  using place = fresh()
  writeFileSync(join(place.path, "f"), "text")
  const piece = fc.oneof(
    fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes)),
    fc.uint8Array({ maxLength: 600 }).map(literal),
    fc
      .tuple(fc.constantFrom("f", "..", "x\0y", "f/f", "n".repeat(5000)), fc.nat(9))
      .map(([path, size]) => fileOf(path, size)),
    fc.tuple(fc.nat(2), fc.bigInt(0n, 2n ** 64n - 1n), fc.bigInt(0n, 9n)).map((words) => rangeOf(...words)),
  )
  let number = 0
  await fc.assert(
    fc.asyncProperty(fc.array(piece, { maxLength: 6 }), async (pieces) => {
      const output = join(place.path, `out-${number++}`)
      const plan: Operation[] = [
        ["root-path", place.path],
        ["file", join(place.path, "f")],
        ["output", output],
      ]
      const report = await assemble(plan, Buffer.concat(pieces))
      expect(["ok", "failed"]).toContain(report.kind)
      expect(existsSync(output)).toBe(report.kind === "ok")
      expect(report.fields.join(" ")).not.toContain("Sanitizer")
    }),
    { numRuns: 150 },
  )
  for (const bad of [
    ["beneath", "zz"],
    ["beneath", "0061"],
    ["skip", "a"],
    ["nonsense", "61"],
    ["entry"],
  ] as Operation[]) {
    const { report } = await download(launcher.socket, [["scan"], ["root-path", place.path], bad])
    expect(report.kind).toBe("failed")
  }
})
