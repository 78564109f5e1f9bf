// COPY, ADD, here-documents and WORKDIR over a real kernel, in both forms of layers.
import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { tarOf } from "../../../../launcher/test/tar.ts"
import type { CopyAction } from "../../graph/graph.ts"
import { copyAction, fileNode } from "../../graph/testing/file-nodes.ts"
import type { Tree } from "../../solver/solver.ts"
import { openDirectory } from "../../sources/local/local.ts"
import { emptyTree, type LayersTree } from "../operations.ts"
import { openStepGround, type StepGround } from "../testing/ground.ts"
import { openFiles } from "./files.ts"

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
      files.files(fileNode([copyAction(changes)]), root, new Map([[0, tree]]), ground.run())
    const told = async (tree: LayersTree): Promise<string[]> =>
      [...(await ground.layer(tree))].map(([name, { entry, text }]) =>
        `${name} ${entry.type} ${entry.mode.toString(8)} ${entry.uid}:${entry.gid} ${entry.linkName || text}`.trim(),
      )

    test("the contents of a directory are copied, not the directory", async () => {
      const tree = await context({ "a/f": "one", "a/b/g": "two", l: ["a/f"] })
      const made = await copy(tree, { sources: ["a", "l"], destination: "/app/" })
      expect(await told(made)).toEqual([
        "app/ directory 755 0:0",
        "app/b/ directory 755 0:0",
        "app/b/g file 644 0:0 two",
        "app/f file 644 0:0 one",
        "app/l file 644 0:0 one",
      ])
    })

    test("a file goes to a name, or into a directory", async () => {
      const tree = await context({ f: "one" })
      expect(await ground.names(await copy(tree, { sources: ["f"], destination: "/x/y" }))).toEqual([
        "x/",
        "x/y",
      ])
      expect(await ground.names(await copy(tree, { sources: ["f"], destination: "/x/y/" }))).toEqual([
        "x/",
        "x/y/",
        "x/y/f",
      ])
      const bin = await copy(tree, { sources: ["f"], destination: "/bin" }, ground.base)
      expect(await ground.names(bin)).toEqual(["bin/", "bin/f"])
    })

    test("wildcards match whole names, and what they match is not looked into", async () => {
      const tree = await context({ "a1/f": "1", "a2/a3": "2", b: "3", "x.c": "4", "y.c": "5" })
      const made = await copy(tree, { sources: ["a*", "?.c"], destination: "/d/" })
      expect(await ground.names(made)).toEqual(["d/", "d/a3", "d/f", "d/x.c", "d/y.c"])
      await expect(copy(tree, { sources: ["nothing*"], destination: "/d/" })).rejects.toThrow(
        '"/nothing*": not found',
      )
      await expect(copy(tree, { sources: ["nothing"], destination: "/d/" })).rejects.toThrow(
        '"/nothing": not found',
      )
      const literal = await context({ "[x]": "brackets" })
      expect(await ground.names(await copy(literal, { sources: ["[[]x]"], destination: "/d/" }))).toEqual([
        "d/",
        "d/[x]",
      ])
    })

    test("links that a source names are followed inside the context only, others are copied as links", async () => {
      const tree = await context({
        "d/f": "in",
        "d/l": ["/etc/shadow"],
        up: ["../../../etc/passwd"],
        dir: ["d"],
      })
      expect(await told(await copy(tree, { sources: ["dir"], destination: "/x" }))).toEqual([
        "x/ directory 755 0:0",
        "x/f file 644 0:0 in",
        "x/l symlink 777 0:0 /etc/shadow",
      ])
      await expect(copy(tree, { sources: ["up"], destination: "/x" })).rejects.toThrow('"/up": not found')
      await expect(copy(tree, { sources: ["d/l"], destination: "/x" })).rejects.toThrow('"/d/l": not found')
      await expect(copy(tree, { sources: ["../../etc/passwd"], destination: "/x" })).rejects.toThrow(
        "not found",
      )
    })

    test("destinations lead through the root's own links, and never out of it", async () => {
      const base = await copy(await context({ "real/keep": "old", way: ["/real"], out: ["/../../real"] }), {
        destination: "/",
      })
      const tree = await context({ f: "new" })
      expect(await ground.names(await copy(tree, { sources: ["f"], destination: "/way/" }, base))).toEqual([
        "real/",
        "real/f",
      ])
      expect(
        await ground.names(await copy(tree, { sources: ["f"], destination: "/out/deep/g" }, base)),
      ).toEqual(["real/", "real/deep/", "real/deep/g"])
      const dangling = await copy(await context({ l: ["/not/there"] }), { destination: "/" })
      expect(await ground.names(await copy(tree, { sources: ["f"], destination: "/l" }, dangling))).toContain(
        "not/there",
      )
    })

    test("what is in the way decides as BuildKit does", async () => {
      const base = await copy(await context({ "d/f": "file", "d/sub/x": "x", l: ["d"], dl: ["d/f"] }), {
        destination: "/",
      })
      const overDirectory = copy(await context({ "d/sub": "now a file" }), { destination: "/" }, base)
      await expect(overDirectory).rejects.toThrow("cannot replace to directory /d/sub with file")
      const overFile = copy(await context({ "d/f/g": "now a directory" }), { destination: "/" }, base)
      await expect(overFile).rejects.toThrow("cannot copy to non-directory: /d/f")
      const overLink = copy(await context({ "l/g": "x" }), { destination: "/" }, base)
      await expect(overLink).rejects.toThrow("cannot copy to non-directory: /l")
      // A link in the way of a file gives way; it is not followed.
      expect(await told(await copy(await context({ dl: "plain" }), { destination: "/" }, base))).toContain(
        "dl file 644 0:0 plain",
      )
      await expect(
        copy(await context({ f: "" }), { sources: ["f"], destination: "/d/f/g" }, base),
      ).rejects.toThrow("not a directory")
    })

    test("--chown takes numbers and names of the root, --chmod octal and symbolic modes", async () => {
      const tree = await context({ "a/f": "x", "a/s.sh": "y" })
      const base = await copy(
        await context({
          "etc/passwd": "root:x:0:0::/:/bin/sh\nweb:x:33:44::/:/bin/sh\n",
          "etc/group": "staff:x:50:\n",
        }),
        { destination: "/" },
      )
      const numbers = await copy(
        tree,
        { sources: ["a"], destination: "/x/y", owner: "5:6", mode: 0o640 },
        base,
      )
      expect(await told(numbers)).toEqual([
        "x/ directory 640 5:6",
        "x/y/ directory 640 5:6",
        "x/y/f file 640 5:6 x",
        "x/y/s.sh file 640 5:6 y",
      ])
      const names = await copy(
        tree,
        { sources: ["a/f"], destination: "/x", owner: "web:staff", mode: "u=rwX,go=rX,u+x" },
        base,
      )
      expect(await told(names)).toEqual(["x file 744 33:50 x"])
      expect(
        await told(await copy(tree, { sources: ["a/f"], destination: "/x", owner: "web" }, base)),
      ).toContain("x file 644 33:44 x")
      expect(
        await told(await copy(tree, { sources: ["a/f"], destination: "/x", owner: "7" }, base)),
      ).toContain("x file 644 7:7 x")
      await expect(copy(tree, { destination: "/", owner: "nobody" }, base)).rejects.toThrow(
        "unable to find user nobody",
      )
      await expect(copy(tree, { destination: "/", owner: "4294967296" }, base)).rejects.toThrow(
        "must be in range",
      )
      await expect(copy(tree, { destination: "/", mode: "u=q" }, base)).rejects.toThrow(
        "invalid chmod parameter",
      )
    })

    test("--parents keeps directories, from the pivot on; --exclude leaves out", async () => {
      const tree = await context({ "a/b/c/f": "1", "a/b/g": "2", "a/h": "3", z: "4" })
      expect(
        await ground.names(await copy(tree, { sources: ["a/b/c"], destination: "/x/", parents: true })),
      ).toEqual(["x/", "x/a/", "x/a/b/", "x/a/b/c/", "x/a/b/c/f"])
      expect(
        await ground.names(await copy(tree, { sources: ["a/./b/g"], destination: "/x/", parents: true })),
      ).toEqual(["x/", "x/b/", "x/b/g"])
      expect(
        await ground.names(
          await copy(tree, { sources: ["."], destination: "/x/", exclude: ["a/b", "!a/b/g"] }),
        ),
      ).toEqual(["x/", "x/a/", "x/a/b/", "x/a/b/g", "x/a/h", "x/z"])
    })

    test("files of a stage keep owner, mode, attributes and names", async () => {
      const stage = await ground.sh(
        "mkdir -p /s/d && echo hi >/s/d/f && ln /s/d/f /s/d/g && chown 3:4 /s/d/f && chmod 4751 /s/d/f && ln -s f /s/d/l && mkfifo /s/d/p",
      )
      const made = await copy(stage.tree, { sources: ["/s"], destination: "/t" })
      expect(await told(made)).toEqual([
        "t/ directory 755 0:0",
        "t/d/ directory 755 0:0",
        "t/d/f file 4751 3:4 hi",
        "t/d/g hardlink 4751 3:4 t/d/f",
        "t/d/l symlink 777 0:0 f",
        "t/d/p fifo 644 0:0",
      ])
      const again = await copy(made, { sources: ["t/d/?"], destination: "/u/" })
      expect(await ground.names(again)).toEqual(
        ["u/", "u/f", "u/g", "u/l", "u/p"]
          .filter((name) => name !== "u/l")
          .concat("u/l")
          .toSorted(),
      )
    })

    test("several actions make one layer and see each other", async () => {
      const tree = await context({ f: "one" })
      const made = await files.files(
        fileNode([
          { type: "directory", path: "/w/x", owner: "", mode: 0o755 },
          {
            type: "file",
            path: "/w/x/",
            nameInDirectory: "doc",
            content: Buffer.from("text"),
            owner: "1:2",
            mode: undefined,
          },
          { type: "file", path: "/w/script", content: Buffer.from("#!"), owner: "", mode: 0o755 },
          copyAction({ sources: ["f"], destination: "/w/x" }),
        ]),
        emptyTree,
        new Map([[3, tree]]),
        ground.run(),
      )
      expect(await told(made)).toEqual([
        "w/ directory 755 0:0",
        "w/script file 755 0:0 #!",
        "w/x/ directory 755 0:0",
        "w/x/doc file 644 1:2 text",
        "w/x/f file 644 0:0 one",
      ])
    })

    test("with an epoch the same files give the same layer, whenever and wherever", async () => {
      const layer = async () => {
        const tree = await context({ "a/f": "one", "a/b/g": "two" })
        await Bun.sleep(5)
        return (
          await files.files(
            fileNode([copyAction({ destination: "/app/" })]),
            emptyTree,
            new Map([[0, tree]]),
            ground.run({}, { epoch: 1000 }),
          )
        ).chainId
      }
      expect(await layer()).toBe(await layer())
    })

    test("ADD unpacks archives, whatever they are called", async () => {
      const { execFileSync } = await import("node:child_process")
      const tree = await context({ "in/x/f": "packed", plain: "no tar at all, but long enough" })
      const place = places.at(-1) ?? ""
      execFileSync("tar", [
        "-C",
        join(place, "in"),
        "--owner=9",
        "--group=9",
        "-czf",
        join(place, "a.bin"),
        "x",
      ])
      rmSync(join(place, "in"), { recursive: true })
      const made = await copy(tree, { sources: ["a.bin", "plain"], destination: "/o/", unpack: true })
      expect(await told(made)).toEqual([
        "o/ directory 755 0:0",
        "o/plain file 644 0:0 no tar at all, but long enough",
        "o/x/ directory 755 9:9",
        "o/x/f file 644 9:9 packed",
      ])
    })

    test("a tar with ways out writes nothing outside", async () => {
      const tree = await context({ keep: "x" })
      const place = places.at(-1) ?? ""
      writeFileSync(join(place, "t.tar"), tarOf({ name: "../escaped", body: Buffer.from("x") }))
      await expect(copy(tree, { sources: ["t.tar"], destination: "/", unpack: true })).rejects.toThrow(
        "leads out",
      )
      const other = await context({ keep: "x" })
      const link = tarOf(
        { name: "l", kind: "2", link: "/tmp" },
        { name: "l/sloop-escaped", body: Buffer.from("x") },
      )
      writeFileSync(join(places.at(-1) ?? "", "u.tar"), link)
      await copy(other, { sources: ["u.tar"], destination: "/", unpack: true }).catch(() => undefined)
      expect(existsSync("/tmp/sloop-escaped")).toBe(false)
    })

    test("digests tell of contents, not of times or places", async () => {
      const digest = async (entries: Parameters<typeof context>[0], changes: Partial<CopyAction> = {}) =>
        files.contentDigest(copyAction(changes), await context(entries), new AbortController().signal)
      const one = await digest({ "a/f": "x" })
      expect(await digest({ "a/f": "x" })).toBe(one)
      expect(await digest({ "a/f": "y" })).not.toBe(one)
      expect(await digest({ "a/g": "x" })).not.toBe(one)
      expect(await digest({ "a/f": ["x"] })).not.toBe(one)
      const part = await digest({ "a/f": "x", b: "1" }, { sources: ["a"] })
      expect(await digest({ "a/f": "x", b: "2" }, { sources: ["a"] })).toBe(part)
    })

    test("a context becomes layers for mounts", async () => {
      const tree = await context({ "a/f": "x" })
      const layers = await files.asLayers(tree, ground.run())
      expect(await ground.names(layers)).toEqual(["a/", "a/f"])
      const ran = await ground.sh("cat /a/f", {
        root: await copy(await context({ "a/f": "seen" }), { destination: "/" }, ground.base),
      })
      expect(ran.output).toBe("seen")
    })

    test("names of any bytes, sockets and deletions", async () => {
      const tree = await context({ "line\nbreak": "1", é: "2" })
      const place = places.at(-1) ?? ""
      writeFileSync(Buffer.concat([Buffer.from(`${place}/`), Buffer.from([0x66, 0xff, 0xfe])]), "raw")
      const made = await copy(tree, { destination: "/n/" }, ground.base)
      const ran = await ground.sh("cd /n && cat * && ls | wc -l", { root: made })
      expect(ran.output).toContain("raw")
      await expect(copy(await context({ ".wh.x": "" }), { destination: "/" })).rejects.toThrow(
        "means a deletion",
      )
    })
  })
