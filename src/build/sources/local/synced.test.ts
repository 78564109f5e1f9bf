// Contexts that a client keeps in step: what travels, what is removed, and entries that no client should send.
import { afterAll, beforeAll, expect, test } from "bun:test"
import { lstatSync, readdirSync, readFileSync, readlinkSync } from "node:fs"
import { join } from "node:path"
import fc from "fast-check"
import type { FileSync, SyncedEntry } from "../../build.ts"
import { openStepGround, type StepGround } from "../../operations/testing/ground.ts"
import { openKeptContexts, openSynced } from "./local.ts"
import { bytesOf } from "./names.ts"
import { walkOrder } from "./walk-order.ts"

let ground: StepGround
beforeAll(async () => {
  ground = await openStepGround()
})
afterAll(() => ground.close())

type Files = Readonly<Record<string, string | null | { readonly link: string } | { readonly hard: string }>>

const entryOf = (path: string, what: Files[string], opened: string[]): SyncedEntry => {
  const text = typeof what === "string" ? what : ""
  const link = what !== null && typeof what === "object" ? ("link" in what ? what.link : what.hard) : ""
  const symbolic = what !== null && typeof what === "object" && "link" in what
  return {
    path,
    mode: what === null ? 0o040755 : symbolic ? 0o120777 : 0o100644,
    uid: 0,
    gid: 0,
    size: Buffer.byteLength(text),
    mtime: BigInt(Bun.hash.crc32(text)) * 1_000_000_000n,
    link,
    xattrs: new Map(),
    async *open() {
      opened.push(path)
      yield Buffer.from(text)
    },
  }
}

const syncOf = (files: Files): FileSync & { opened: string[] } => {
  const opened: string[] = []
  return {
    opened,
    async *entries() {
      const sorted = Object.keys(files).toSorted((a, b) => walkOrder(bytesOf(a), bytesOf(b)))
      for (const path of sorted) yield entryOf(path, files[path] ?? null, opened)
    },
  }
}

const treeOf = (directory: string, below = ""): Record<string, unknown> => {
  const found: Record<string, unknown> = {}
  for (const name of readdirSync(join(directory, below)).toSorted()) {
    const path = below === "" ? name : `${below}/${name}`
    const full = join(directory, path)
    const status = lstatSync(full)
    if (status.isDirectory()) Object.assign(found, { [path]: null }, treeOf(directory, path))
    else found[path] = status.isSymbolicLink() ? { link: readlinkSync(full) } : readFileSync(full, "utf8")
  }
  return found
}

const bring = async (sync: FileSync, key: string) => {
  const context = await openSynced(ground.rooms, sync, "context", key, ground.run())
  try {
    const tree = await context.tree({ ignore: [] })
    if (tree.kind !== "context") throw new Error("no context")
    return { tree: treeOf(tree.context.directory), told: await tree.context.entries() }
  } finally {
    context.release()
  }
}

test("only what has changed travels; what is gone is removed", async () => {
  const first: Files = { a: null, "a/f": "one", "a/g": "two", l: { link: "/etc/shadow" }, z: "last" }
  const sync = syncOf(first)
  expect((await bring(sync, "k1")).tree).toEqual({ ...first })
  expect(sync.opened).toEqual(["a/f", "a/g", "z"])
  const second: Files = { a: null, "a/f": "one", "a/g": null, "a/g/h": "deep", z: "changed" }
  const again = syncOf(second)
  const { tree, told } = await bring(again, "k1")
  expect(tree).toEqual({ ...second })
  expect(again.opened).toEqual(["a/g/h", "z"])
  expect(told.map(({ path }) => path)).toEqual(["a", "a/f", "a/g", "a/g/h", "z"])
  const third = syncOf({ a: "now a file" })
  expect((await bring(third, "k1")).tree).toEqual({ a: "now a file" })
  const same = syncOf({ a: "now a file" })
  await bring(same, "k1")
  expect(same.opened).toEqual([])
})

test("what is kept can be told of and removed", async () => {
  await bring(syncOf({ a: "12345" }), "kept")
  const kept = openKeptContexts(ground.rooms)
  const found = kept.list().find(({ bytes }) => bytes === 5)
  expect(found).toMatchObject({ kind: "source.local", inUse: false })
  expect(await kept.remove(found?.id ?? "")).toBe(5)
  expect(await kept.remove(found?.id ?? "")).toBeUndefined()
})

test("a sync that breaks off costs only time", async () => {
  await bring(syncOf({ a: "1", b: "2" }), "k2")
  const broken: FileSync = {
    async *entries() {
      yield entryOf("a", "other", [])
      throw new Error("the client has gone")
    },
  }
  await expect(bring(broken, "k2")).rejects.toThrow("the client has gone")
  expect((await bring(syncOf({ a: "1", b: "2" }), "k2")).tree).toEqual({ a: "1", b: "2" })
})

test("two builds at once have directories of their own", async () => {
  const one = await openSynced(ground.rooms, syncOf({ a: "1" }), "context", "k3", ground.run())
  const tree = await one.tree({ ignore: [] })
  expect((await bring(syncOf({ a: "2" }), "k3")).tree).toEqual({ a: "2" })
  expect(tree.kind === "context" && readFileSync(join(tree.context.directory, "a"), "utf8")).toBe("1")
  one.release()
})

test.each([
  ["..", "x"],
  ["../x", "x"],
  ["/x", "x"],
  ["a/../../x", "x"],
  ["a//b", "x"],
  [".wh.x", "x"],
  ["", "x"],
  ["missing/x", "x"],
  ["x\0y", "x"],
  ["n".repeat(256), "x"],
])("the name %p is refused", async (path, text) => {
  const sync: FileSync = {
    async *entries() {
      yield entryOf(path, text, [])
    },
  }
  await expect(bring(sync, "k4")).rejects.toMatchObject({ kind: "invalid" })
})

test("nothing is written through a link that was sent before", async () => {
  const sync: FileSync = {
    async *entries() {
      yield entryOf("d", { link: "/tmp" }, [])
      yield entryOf("d/sloop-escaped", "x", [])
    },
  }
  await expect(bring(sync, "k5")).rejects.toThrow("in no directory that was told of")
  await expect(
    bring(
      {
        entries: async function* () {
          yield entryOf("x", { hard: "../../etc/passwd" }, [])
        },
      },
      "k5",
    ),
  ).rejects.toThrow("not told of before")
})

test("a file that is not as long as it was said to be is refused", async () => {
  const sync: FileSync = {
    async *entries() {
      yield { ...entryOf("f", "text", []), size: 10 }
    },
  }
  await expect(bring(sync, "k6")).rejects.toThrow("changed while it was sent")
})

test("any two trees one after the other", async () => {
  const name = fc.constantFrom("a", "b", "a-b", "é", "c.d")
  const file = fc.oneof(
    fc.constantFrom("", "x", "yy"),
    fc.constant(null),
    fc.record({ link: fc.constantFrom("a", "/b") }),
  )
  const tree = fc
    .array(fc.tuple(fc.array(name, { minLength: 1, maxLength: 3 }), file), { maxLength: 8 })
    .map((list) => {
      const files: Record<string, Files[string]> = {}
      for (const [parts, what] of list) {
        const above = parts.slice(0, -1).map((_, at) => parts.slice(0, at + 1).join("/"))
        if (above.some((path) => files[path] !== undefined && files[path] !== null)) continue
        const path = parts.join("/")
        if (Object.keys(files).some((other) => other.startsWith(`${path}/`))) continue
        for (const parent of above) files[parent] = null
        files[path] = what
      }
      return files
    })
  await fc.assert(
    fc.asyncProperty(tree, async (files) => {
      expect((await bring(syncOf(files), "k7")).tree).toEqual(files)
    }),
    { numRuns: 40 },
  )
})
