// Image layers: whiteouts become overlayfs's own and back again, and what is merged is what the layers say.
import { afterAll, expect, test } from "bun:test"
import { execFileSync } from "node:child_process"
import { existsSync, lstatSync, mkdirSync, readdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { describeTree, download, freshDirectory, pack, unpack } from "./archives.ts"
import { type Operation, startLauncher } from "./client.ts"
import { readTar, tarOf } from "./tar.ts"

const launcher = await startLauncher()
afterAll(() => launcher[Symbol.asyncDispose]())

const layerNames = async (directory: string): Promise<string[]> => {
  const options = { contents: "yes", whiteouts: "overlay", "numeric-sort": "yes" }
  return readTar(await pack(launcher.socket, directory, "/", options)).map((entry) => entry.name)
}

test("whiteouts and opaque markers become overlay's and are packed as they came", async () => {
  using place = freshDirectory(launcher.directory)
  const archive = tarOf(
    { name: "d/", kind: "5" },
    { name: "d/.wh..wh..opq" },
    { name: "d/new" },
    { name: ".wh.gone" },
    { name: ".wh..wh.plnk/1.2" },
  )
  expect((await unpack(launcher.socket, place.path, archive, { whiteouts: "overlay" })).kind).toBe("ok")
  expect(readdirSync(place.path).sort()).toEqual(["d", "gone"])
  expect(lstatSync(join(place.path, "gone"))).toMatchObject({ rdev: 0 })
  expect(lstatSync(join(place.path, "gone")).isCharacterDevice()).toBe(true)
  expect(await layerNames(place.path)).toEqual(["d/", "d/.wh..wh..opq", "d/new", ".wh.gone"])
})

test("within a layer an entry wins over its own whiteout, and older contents stay hidden", async () => {
  for (const entries of [
    [{ name: ".wh.d" }, { name: "d/", kind: "5" }, { name: "d/new" }],
    [{ name: "d/", kind: "5" }, { name: "d/new" }, { name: ".wh.d" }],
  ]) {
    using place = freshDirectory(launcher.directory)
    await unpack(launcher.socket, place.path, tarOf(...entries), { whiteouts: "overlay" })
    expect(await layerNames(place.path)).toEqual(["d/", "d/.wh..wh..opq", "d/new"])
    using old = freshDirectory(launcher.directory)
    mkdirSync(join(old.path, "d"))
    writeFileSync(join(old.path, "d/old"), "")
    await unpack(launcher.socket, old.path, tarOf(...entries), { whiteouts: "apply" })
    expect(readdirSync(join(old.path, "d"))).toEqual(["new"])
  }
})

test("a file named like a whiteout cannot become part of a layer", async () => {
  using place = freshDirectory(launcher.directory)
  writeFileSync(join(place.path, ".wh.x"), "")
  expect(layerNames(place.path)).rejects.toThrow("would mean a deletion")
})

/** A mounted overlay in which a script has changed files; lower layers from top to bottom. */
function overlay(prepare: string, change: string) {
  const place = freshDirectory(launcher.directory)
  const at = (name: string) => join(place.path, name)
  for (const name of ["l1", "l2", "upper", "work", "merged"]) mkdirSync(at(name))
  execFileSync("sh", ["-ec", prepare], { cwd: place.path })
  const options = `lowerdir=${at("l1")}:${at("l2")},upperdir=${at("upper")},workdir=${at("work")}`
  execFileSync("mount", ["-t", "overlay", "-o", options, "overlay", at("merged")])
  execFileSync("sh", ["-ec", change], { cwd: at("merged") })
  return {
    at,
    [Symbol.dispose]: () => {
      execFileSync("umount", [at("merged")])
      place[Symbol.dispose]()
    },
  }
}

const prepare = `
  mkdir -p l2/etc/sub l2/opq/in l2/keep l1/etc
  echo a > l2/etc/x; echo b > l2/etc/sub/y; echo c > l2/opq/z; echo d > l2/opq/in/q; echo e > l2/opq/in/r
  echo k > l2/keep/k; echo f > l2/filetodir; mkdir l2/dirtofile; touch l2/dirtofile/x; mknod l1/hidden c 0 0; touch l2/hidden`
const change = `
  echo n >> etc/x; rm etc/sub/y; touch etc/sub/new; rm -rf opq; mkdir -p opq/in; touch opq/fresh opq/in/q
  mkdir -p brand/new; ln -s x link; rm filetodir; mkdir filetodir; touch filetodir/in; rm -r dirtofile; touch dirtofile
  touch hidden; chmod 700 keep`

test("changes tells what docker diff tells", async () => {
  using place = overlay(prepare, change)
  const { report, data } = await download(launcher.socket, [
    ["changes"],
    ["upper", place.at("upper")],
    ["lower", place.at("l1"), place.at("l2")],
  ])
  expect(report.kind).toBe("ok")
  expect(data.toString().split("\0").slice(0, -1)).toEqual([
    "A /brand",
    "A /brand/new",
    "C /dirtofile",
    "C /etc",
    "C /etc/sub",
    "A /etc/sub/new",
    "D /etc/sub/y",
    "C /etc/x",
    "C /filetodir",
    "A /filetodir/in",
    "A /hidden",
    "C /keep",
    "A /link",
    "C /opq",
    "A /opq/fresh",
    "C /opq/in",
    "C /opq/in/q",
    "D /opq/in/r",
    "D /opq/z",
  ])
})

test("a layer may name what its directories hide, instead of marking them opaque", async () => {
  using place = overlay(
    prepare,
    `${change}; rm -r keep; ln -s etc keep; rm -r etc/sub; mkdir -p etc/sub/deep`,
  )
  const named = (...options: Operation[]): Operation[] => [
    ["pack"],
    ["root-path", place.at("upper")],
    ["path", "/"],
    ["option", "contents", "yes"],
    ["option", "whiteouts", "overlay"],
    ["option", "numeric-sort", "yes"],
    ...options,
  ]
  const below: Operation = ["below", "", "", "", place.at("l1"), place.at("l2")]
  const { report, data } = await download(launcher.socket, named(below))
  expect(report.kind).toBe("ok")
  expect(readTar(data).map(({ name }) => name)).toEqual([
    "brand/",
    "brand/new/",
    "dirtofile",
    "etc/",
    "etc/sub/",
    "etc/sub/.wh.y",
    "etc/sub/deep/",
    "etc/x",
    "filetodir/",
    "filetodir/in",
    "hidden",
    "keep",
    "link",
    "opq/",
    "opq/.wh.z",
    "opq/fresh",
    "opq/in/",
    "opq/in/.wh.r",
    "opq/in/q",
  ])
  // Unpacked over the same layers it shows the same tree.
  using again = freshDirectory(launcher.directory)
  const upper = join(again.path, "upper")
  mkdirSync(upper)
  await unpack(launcher.socket, upper, data, { whiteouts: "overlay" })
  const merged = await pack(launcher.socket, place.at("merged"), "/", {
    contents: "yes",
    "numeric-sort": "yes",
  })
  const { data: shown } = await download(launcher.socket, [
    ["pack"],
    ["root-overlay", "", "", "", upper, place.at("l1"), place.at("l2")],
    ["path", "/"],
    ["option", "contents", "yes"],
    ["option", "numeric-sort", "yes"],
  ])
  expect(shown.equals(merged)).toBe(true)
  // Where nothing lies below there is nothing to hide.
  const nothing = ["n1", "n2"].map((name) => join(again.path, name))
  for (const path of nothing) mkdirSync(path)
  const { data: alone } = await download(launcher.socket, named(["below", "", "", "", ...nothing]))
  expect(readTar(alone).filter(({ name }) => name.startsWith("opq/") && name.includes(".wh."))).toEqual([])
  const bad = await download(launcher.socket, named(["below", "", "", "", "/nowhere", "/nowhere"]))
  expect(bad.report.kind).toBe("failed")
})

test("a container's layer unpacked elsewhere gives the same merged tree", async () => {
  using place = overlay(prepare, change)
  const layer = await pack(launcher.socket, place.at("upper"), "/", { contents: "yes", whiteouts: "overlay" })
  using again = freshDirectory(launcher.directory)
  const upper = join(again.path, "upper")
  mkdirSync(upper)
  await unpack(launcher.socket, upper, layer, { whiteouts: "overlay" })
  const merged = await pack(launcher.socket, place.at("merged"), "/", {
    contents: "yes",
    "numeric-sort": "yes",
  })
  const { data } = await download(launcher.socket, [
    ["pack"],
    ["root-overlay", "", "", "", upper, place.at("l1"), place.at("l2")],
    ["path", "/"],
    ["option", "contents", "yes"],
    ["option", "numeric-sort", "yes"],
  ])
  expect(data.equals(merged)).toBe(true)
  const applied = join(again.path, "applied")
  execFileSync("cp", ["-a", place.at("l2"), applied])
  await unpack(launcher.socket, applied, tarOf({ name: ".wh.hidden" }), { whiteouts: "apply" })
  expect(existsSync(join(applied, "hidden"))).toBe(false)
  await unpack(launcher.socket, applied, layer, { whiteouts: "apply" })
  expect(describeTree(applied)).toEqual(describeTree(place.at("merged")))
})
