// COPY, ADD, here-documents and WORKDIR over a real kernel, in both forms of layers.
import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { hostPlatform } from "../../../oci/platform.ts"
import type { CopyAction, FileNode } from "../../graph/graph.ts"
import type { Tree } from "../../solver/solver.ts"
import { openDirectory } from "../../sources/local/local.ts"
import { emptyTree, type LayersTree } from "../operations.ts"
import { openStepGround, type StepGround } from "../testing/ground.ts"
import { openFiles } from "./files.ts"

const copyOf = (changes: Partial<CopyAction>): CopyAction => ({
  type: "copy",
  input: "scratch",
  sources: ["."],
  destination: "/",
  owner: "",
  parents: false,
  exclude: [],
  unpack: false,
  follow: true,
  required: true,
  ...changes,
})

const nodeOf = (actions: FileNode["actions"], changes: Partial<FileNode> = {}): FileNode => ({
  type: "file",
  digest: "sha256:step",
  definition: "sha256:definition",
  name: "COPY",
  platform: hostPlatform(),
  fresh: false,
  root: "scratch",
  independent: false,
  actions,
  ...changes,
})

for (const form of ["overlay", "erofs"] as const)
  describe(form, () => {
    let ground: StepGround
    let files: ReturnType<typeof openFiles>
    const places: string[] = []
    beforeAll(async () => {
      ground = await openStepGround({ form })
      files = openFiles(ground.rooms)
    })
    afterAll(async () => {
      await ground.close()
      for (const place of places) rmSync(place, { recursive: true, force: true })
    })

    /** A context of these files; text = contents, null = directory, ["link", target]. */
    const context = async (
      entries: Readonly<Record<string, string | null | readonly [string]>>,
    ): Promise<Tree> => {
      const place = mkdtempSync(join(tmpdir(), "slc-"))
      places.push(place)
      for (const [path, what] of Object.entries(entries)) {
        const full = join(place, path)
        mkdirSync(join(full, ".."), { recursive: true })
        if (what === null) mkdirSync(full, { recursive: true })
        else if (typeof what === "string") writeFileSync(full, what)
        else symlinkSync(what[0], full)
      }
      const opened = await openDirectory(ground.rooms, place, new AbortController().signal)
      return opened.tree({ ignore: [] })
    }
    const copy = (tree: Tree, changes: Partial<CopyAction>, root: LayersTree = emptyTree) =>
      files.files(nodeOf([copyOf(changes)]), root, new Map([[0, tree]]), ground.run())
    const told = async (tree: LayersTree): Promise<string[]> =>
      [...(await ground.layer(tree))].map(([name, { entry, text }]) =>
        `${name} ${entry.type} ${entry.mode.toString(8)} ${entry.uid}:${entry.gid} ${entry.linkName || text}`.trim(),
      )

    test("the contents of a directory are copied, not the directory", async () => {
      const tree = await context({ "a/f": "one", "a/b/g": "two", l: ["a/f"] })
      const made = await copy(tree, { sources: ["a", "l"], destination: "/app/" })
      expect(await told(made)).toEqual([
        "./ directory 755 0:0",
        "app/ directory 755 0:0",
        "app/b/ directory 755 0:0",
        "app/b/g file 644 0:0 two",
        "app/f file 644 0:0 one",
        "app/l file 644 0:0 one",
      ])
    })
  })
