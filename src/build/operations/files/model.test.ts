// COPY of random trees into random roots against a simple model: maps of paths, merged.
import { afterAll, beforeAll, expect, test } from "bun:test"
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import fc from "fast-check"
import { readTar } from "../../../base/tar-reader.ts"
import { copyAction, fileNode } from "../../graph/testing/file-nodes.ts"
import type { Tree } from "../../solver/solver.ts"
import { openDirectory } from "../../sources/local/local.ts"
import { emptyTree, type LayersTree } from "../operations.ts"
import { openStepGround, type StepGround } from "../testing/ground.ts"
import { openFiles } from "./files.ts"

/** Text = a file, null = a directory, a list = a link to its one word. */
type Files = Readonly<Record<string, string | null | readonly [string]>>

let ground: StepGround
let files: ReturnType<typeof openFiles>
beforeAll(async () => {
  ground = await openStepGround({ form: process.env.SLOOP_TEST_LAYERS === "erofs" ? "erofs" : "overlay" })
  files = openFiles(ground.rooms)
})
afterAll(() => ground.close())

const name = fc.constantFrom("a", "b", "a.b", "ü", "c")
const leaf = fc.oneof(
  fc.constantFrom("", "x", "longer text"),
  fc.constant(null),
  fc.tuple(fc.constantFrom("a", "../b", "/c", "nowhere")),
)

/** Random trees without a file above another entry. */
const tree: fc.Arbitrary<Files> = fc
  .array(fc.tuple(fc.array(name, { minLength: 1, maxLength: 3 }), leaf), { maxLength: 7 })
  .map((list) => {
    const found: Record<string, Files[string]> = {}
    for (const [parts, what] of list) {
      const above = parts.slice(0, -1).map((_, at) => parts.slice(0, at + 1).join("/"))
      if (above.some((path) => (found[path] ?? null) !== null)) continue
      const path = parts.join("/")
      if (Object.keys(found).some((other) => other.startsWith(`${path}/`))) continue
      for (const parent of above) found[parent] = null
      found[path] = what
    }
    return found
  })

const contextOf = async (entries: Files): Promise<{ tree: Tree; remove: () => void }> => {
  const place = mkdtempSync(join(tmpdir(), "slm-"))
  for (const [path, what] of Object.entries(entries)) {
    const full = join(place, path)
    if (what === null) mkdirSync(full, { recursive: true })
    else if (typeof what === "string") writeFileSync(full, what)
    else symlinkSync(what[0] ?? "", full)
  }
  const opened = await openDirectory(ground.rooms, place, new AbortController().signal)
  return {
    tree: await opened.tree({ ignore: [] }),
    remove: () => rmSync(place, { recursive: true, force: true }),
  }
}

const copyAll = async (entries: Files, destination: string, root: LayersTree): Promise<LayersTree> => {
  const node = fileNode([copyAction({ destination, owner: "0:0" })])
  const { tree: context, remove } = await contextOf(entries)
  try {
    return await files.files(node, root, new Map([[0, context]]), ground.run())
  } finally {
    remove()
  }
}

const seen = async (layers: LayersTree): Promise<Files> => {
  const found: Record<string, Files[string]> = {}
  for await (const entry of readTar(ground.rooms.snapshots.flatten(layers.chainId))) {
    const chunks: Uint8Array[] = []
    for await (const chunk of entry.body) chunks.push(chunk)
    const path = entry.name.replace(/^\.\//, "").replace(/\/$/, "")
    if (entry.type === "directory") found[path] = null
    else found[path] = entry.type === "symlink" ? [entry.linkName] : Buffer.concat(chunks).toString("utf8")
  }
  return found
}

/** What the root is after the copy; undefined = it must be refused. */
const model = (root: Files, entries: Files): Files | undefined => {
  const result: Record<string, Files[string]> = { ...root }
  for (const [path, what] of Object.entries(entries)) {
    const there = result[path]
    const isDirectory = there === null
    if (there !== undefined && isDirectory !== (what === null)) {
      // A directory gives way to nothing, and nothing gives way to a directory.
      if (isDirectory || what === null) return undefined
    }
    result[path] = what
  }
  return result
}

const sorted = (entries: Files): [string, Files[string]][] =>
  Object.entries(entries).toSorted(([a], [b]) => (a < b ? -1 : 1))

test("any tree over any other", async () => {
  await fc.assert(
    fc.asyncProperty(tree, tree, async (below, above) => {
      const base = await copyAll(below, "/", emptyTree)
      expect(sorted(await seen(base))).toEqual(sorted(below))
      const expected = model(below, above)
      if (expected === undefined) {
        await expect(copyAll(above, "/", base)).rejects.toMatchObject({ kind: "invalid" })
        return
      }
      expect(sorted(await seen(await copyAll(above, "/", base)))).toEqual(sorted(expected))
    }),
    { numRuns: 60 },
  )
}, 60_000)
