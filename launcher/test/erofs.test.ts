// Lower layers that are EROFS images: mounted once, held, let go with their directory.
import { afterAll, beforeAll, expect, test } from "bun:test"
import { createHash } from "node:crypto"
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs"
import { join } from "node:path"
import { writeTar } from "../../src/base/tar-writer.ts"
import { writeLayer } from "../../src/snapshots/erofs/write-layer.ts"
import { ask, startLauncher, type TestLauncher } from "./client.ts"

let launcher: TestLauncher
let root: string
beforeAll(async () => {
  launcher = await startLauncher()
  root = mkdtempSync(join(launcher.directory, "erofs-"))
  mkdirSync(join(root, "floor"))
})
afterAll(async () => {
  await launcher[Symbol.asyncDispose]()
  rmSync(root, { recursive: true, force: true })
})

const layer = async (name: string): Promise<string> => {
  const directory = join(root, name)
  mkdirSync(directory)
  const body = Buffer.from(createHash("sha256").update(name).digest("hex"))
  const tar = writeTar([{ name: "f", type: "file", body }])
  await writeLayer(directory, tar, { top: async () => ({ mode: 0o755, uid: 0, gid: 0 }) })
  return directory
}
const look = (...lowers: string[]) =>
  ask(launcher.socket, [
    ["stat"],
    ["root-overlay", "", "", "", ...lowers, join(root, "floor")],
    ["path", "/f"],
  ])
/** Mount tables: the launcher's own and the host's. */
const tables = () =>
  [launcher.process.pid, "self"].map((pid) => readFileSync(`/proc/${pid}/mountinfo`, "utf8")).join("")

test("an image is a lower layer of overlays, and appears in no mount namespace", async () => {
  const directory = await layer("one")
  for (let times = 0; times < 2; times++) {
    const report = await look(`erofs:${directory}`)
    expect(report.kind).toBe("ok")
    expect(tables()).not.toMatch(/ erofs /)
  }
})

test("what is held goes with its directory, and the list of namespaces does not show it", async () => {
  const directory = await layer("two")
  await look(`erofs:${directory}`)
  expect((await ask(launcher.socket, [["netns-list"]])).fields).toEqual([])
  const tar = join(directory, "layer.tar")
  rmSync(tar)
  // Held: its files are not opened again.
  expect((await look(`erofs:${directory}`)).kind).toBe("ok")
  expect((await ask(launcher.socket, [["remove-tree"], ["path", directory]])).kind).toBe("ok")
  mkdirSync(directory)
  const gone = await look(`erofs:${directory}`)
  expect(gone.fields.slice(0, 2)).toEqual(["root-overlay", directory])
})

test("more layers than are held: the first are let go, and work as before", async () => {
  const pattern = await layer("pattern")
  const directories: string[] = []
  for (let number = 0; number < 540; number++) {
    const directory = join(root, `many-${number}`)
    mkdirSync(directory)
    for (const file of ["index", "layer.tar"]) copyFileSync(join(pattern, file), join(directory, file))
    directories.push(directory)
  }
  // Five at a time.
  for (let at = 0; at < directories.length; at += 5)
    expect((await look(...directories.slice(at, at + 5).map((path) => `erofs:${path}`))).kind).toBe("ok")
  expect(readdirSync(`/proc/${launcher.process.pid}/fd`).length).toBeLessThan(540)
  for (const at of [0, 539]) expect((await look(`erofs:${directories[at]}`)).kind).toBe("ok")
}, 30_000)

test("what is no image is refused with its path, and alone it is no root", async () => {
  const directory = join(root, "floor")
  expect((await look(`erofs:${directory}`)).fields.slice(0, 2)).toEqual(["root-overlay", directory])
  const alone = await layer("three")
  const report = await ask(launcher.socket, [
    ["stat"],
    ["root-overlay", "", "", "", `erofs:${alone}`],
    ["path", "/f"],
  ])
  expect(report.kind).toBe("failed")
})
