// Any layers merged show what they showed as a stack: made by a model of a tree, compared by what an overlay shows.
import { afterAll, beforeAll, expect, test } from "bun:test"
import fc from "fast-check"
import { buildImage, exportRequest, runExport } from "../../../../test/fixtures/built-image.ts"
import { gather } from "../../../../test/fixtures/busybox-image.ts"
import { type ImageStore, openImageStore } from "../../../../test/fixtures/image-store.ts"
import { type TarSource, writeTar } from "../../../base/tar-writer.ts"

let store: ImageStore
beforeAll(async () => {
  store = await openImageStore()
})
afterAll(() => store.close())

type Tree = Map<string, string | undefined>

interface Step {
  readonly what: "write" | "directory" | "remove"
  readonly path: string
  readonly text: string
}

const parentOf = (path: string): string => path.slice(0, Math.max(path.lastIndexOf("/"), 0))
const beneath = (tree: Tree, path: string): string[] =>
  [...tree.keys()].filter((other) => other.startsWith(`${path}/`))

/** undefined is a directory. Marks what was made anew where something else stood. */
const apply = (tree: Tree, { what, path, text }: Step, anew: Set<string>): void => {
  const clear = () => {
    for (const other of beneath(tree, path)) tree.delete(other)
    tree.delete(path)
  }
  if (what === "remove") {
    clear()
    anew.add(path)
    return
  }
  for (let at = parentOf(path); at !== ""; at = parentOf(at)) {
    if (tree.has(at) && tree.get(at) === undefined) continue
    if (tree.has(at)) anew.add(at)
    tree.set(at, undefined)
  }
  if (what === "write") {
    clear()
    tree.set(path, text)
  } else if (tree.get(path) !== undefined || !tree.has(path)) {
    if (tree.has(path)) anew.add(path)
    tree.set(path, undefined)
  }
}

/** The layer that makes `after` of `before`, as an engine writes it. */
const layerOf = (before: Tree, after: Tree, anew: ReadonlySet<string>): TarSource[] => {
  const entries: TarSource[] = []
  for (const path of [...after.keys()].toSorted()) {
    const text = after.get(path)
    const same = before.has(path) && before.get(path) === text
    if (text !== undefined) {
      if (!same || [...anew].some((one) => path === one || path.startsWith(`${one}/`)))
        entries.push({ name: path, type: "file", body: Buffer.from(text) })
      continue
    }
    entries.push({ name: `${path}/`, type: "directory" })
    if (before.has(path) && anew.has(path)) entries.push({ name: `${path}/.wh..wh..opq`, type: "file" })
  }
  for (const path of before.keys()) {
    const directory = parentOf(path)
    const shown = directory === "" || (after.has(directory) && after.get(directory) === undefined)
    if (!after.has(path) && shown && !anew.has(directory))
      entries.push({
        name: `${directory === "" ? "" : `${directory}/`}.wh.${path.slice(directory === "" ? 0 : directory.length + 1)}`,
        type: "file",
      })
  }
  return entries
}

const name = fc.constantFrom("a", "b", "c")
const step = fc.record({
  what: fc.constantFrom("write" as const, "write" as const, "directory" as const, "remove" as const),
  path: fc.array(name, { minLength: 1, maxLength: 3 }).map((parts) => parts.join("/")),
  text: fc.constantFrom("1", "2", "3"),
})

test("a stack and its merge show the same", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.array(step, { minLength: 1, maxLength: 4 }), { minLength: 2, maxLength: 5 }),
      fc.nat(2),
      async (steps, base) => {
        const tree: Tree = new Map()
        const tars: Uint8Array[] = []
        for (const layer of steps) {
          const before = new Map(tree)
          const anew = new Set<string>()
          for (const one of layer) apply(tree, one, anew)
          tars.push(await gather(writeTar(layerOf(before, tree, anew))))
        }
        const image = await buildImage(store, tars, { baseLayers: Math.min(base, tars.length) })
        await runExport(store, [image], [exportRequest("image", { name: "stack" })])
        await runExport(store, [image], [exportRequest("image", { name: "merged" })], { squash: true })
        expect(await store.images.compare("stack", "merged")).toEqual([])
      },
    ),
    { numRuns: 40 },
  )
}, 60_000)
