// copy, stat, usage and remove-tree on real trees.
import { afterAll, expect, test } from "bun:test"
import { execFileSync } from "node:child_process"
import {
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs"
import { join } from "node:path"
import { describeTree, freshDirectory, unpack } from "./archives.ts"
import { ask, startLauncher } from "./client.ts"
import { tarOf } from "./tar.ts"

const launcher = await startLauncher()
afterAll(() => launcher[Symbol.asyncDispose]())

const fresh = () => freshDirectory(launcher.directory)

test("copy brings a directory over with everything, holes too", async () => {
  using place = fresh()
  const at = (path: string) => join(place.path, path)
  mkdirSync(at("root/data"), { recursive: true })
  mkdirSync(at("volume"))
  symlinkSync("/data", at("root/link"))
  await unpack(
    launcher.socket,
    at("root/data"),
    tarOf(
      { name: "./", kind: "5", mode: 0o1770, uid: 33, gid: 44, mtime: 12_345n },
      {
        name: "f",
        body: Buffer.from("hello"),
        mode: 0o4755,
        uid: 1,
        xattrs: { "user.a": "b" },
        mtime: 5_000_000_001n,
      },
      { name: "h", kind: "1", link: "f" },
      { name: "s", kind: "2", link: "../x", uid: 9 },
      { name: "d/", kind: "5", mtime: 77n },
      { name: "d/null", kind: "3", device: [1, 3] },
      { name: "d/p", kind: "6" },
    ),
  )
  writeFileSync(at("root/data/hole"), "x")
  truncateSync(at("root/data/hole"), 50 << 20)
  const answer = await ask(launcher.socket, [
    ["copy"],
    ["root-path", at("root")],
    ["path", "/link"],
    ["destination", at("volume")],
  ])
  expect(answer).toMatchObject({ kind: "ok", values: { entries: "7" } })
  expect(describeTree(at("volume"))).toEqual(describeTree(at("root/data")))
  expect(lstatSync(at("volume"), { bigint: true })).toMatchObject({ mode: 0o41770n, uid: 33n, gid: 44n })
  expect(lstatSync(at("volume/hole")).blocks).toBeLessThan(100)
  const xattrs = execFileSync("tar", ["c", "--xattrs", "--format=posix", "-C", at("volume"), "f"])
  expect(xattrs.includes("SCHILY.xattr.user.a=b")).toBe(true)
})

test("copy without a source does nothing, into a full directory it refuses", async () => {
  using place = fresh()
  const copy = (path: string) =>
    ask(launcher.socket, [["copy"], ["root-path", "/etc"], ["path", path], ["destination", place.path]])
  expect((await copy("/none")).values.entries).toBe("0")
  writeFileSync(join(place.path, "x"), "")
  expect((await copy("/none")).kind).toBe("ok")
  expect((await copy("/")).fields[3]).toBe("it is not empty")
  expect(readdirSync(place.path)).toEqual(["x"])
})

test("stat tells what a path is, and follows the last symlink only when asked", async () => {
  using place = fresh()
  mkdirSync(join(place.path, "real"))
  writeFileSync(join(place.path, "real/f"), "four")
  symlinkSync("/real", join(place.path, "way"))
  const stat = (path: string, follow = "no") =>
    ask(launcher.socket, [["stat"], ["root-path", place.path], ["path", path], ["option", "follow", follow]])
  const file = lstatSync(join(place.path, "real/f"), { bigint: true })
  const values = {
    name: "f",
    size: "4",
    mode: String(file.mode),
    "mtime-ns": String(file.mtimeNs),
    "link-target": "",
  }
  expect((await stat("/way/f")).values).toEqual(values)
  expect((await stat("way")).values).toMatchObject({
    name: "way",
    "link-target": "/real",
    mode: String(0o120777),
  })
  expect((await stat("/way/", "yes")).values).toMatchObject({
    name: "way",
    "link-target": "",
    mode: String(0o40755),
  })
  expect((await stat("/")).values).toMatchObject({ name: "/", mode: String(0o40700) })
  expect((await stat("/none")).fields.slice(0, 3)).toEqual(["stat", "/none", "2"])
})

test("usage counts what is allocated and what files hold, hard links once", async () => {
  using place = fresh()
  mkdirSync(join(place.path, "d"))
  writeFileSync(join(place.path, "f"), Buffer.alloc(100_000))
  linkSync(join(place.path, "f"), join(place.path, "d/f"))
  const answer = await ask(launcher.socket, [["usage"], ["path", place.path]])
  const du = execFileSync("du", ["-s", "-B1", place.path]).toString().split("\t")[0]
  expect(answer.values).toEqual({ bytes: du ?? "", inodes: "3", content: "100000" })
})

test("remove-tree takes several paths, missing ones too, and stops at a mount", async () => {
  using place = fresh()
  for (const name of ["a/b/c", "d/e", "m/inner"]) mkdirSync(join(place.path, name), { recursive: true })
  writeFileSync(join(place.path, "file"), "")
  symlinkSync("/etc", join(place.path, "a/b/etc"))
  const remove = (...names: string[]) =>
    ask(launcher.socket, [["remove-tree"], ["path", ...names.map((name) => join(place.path, name))]])
  expect((await remove("a", "d/", "file", "none", "none/deeper")).kind).toBe("ok")
  expect(readdirSync(place.path)).toEqual(["m"])
  execFileSync("mount", ["-t", "tmpfs", "tmpfs", join(place.path, "m/inner")])
  try {
    writeFileSync(join(place.path, "m/inner/precious"), "")
    expect((await remove("m")).fields).toEqual(["remove-tree", "inner", "18", "something is mounted there"])
    expect(existsSync(join(place.path, "m/inner/precious"))).toBe(true)
  } finally {
    execFileSync("umount", [join(place.path, "m/inner")])
  }
  expect((await remove("m")).kind).toBe("ok")
  for (const path of ["/", "relative", "/..", `${place.path}/.`])
    expect((await ask(launcher.socket, [["remove-tree"], ["path", path]])).kind).toBe("failed")
})
