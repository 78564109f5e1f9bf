// Lower layers that are EROFS images: mounted once, held, let go with their directory.
import { afterAll, beforeAll, expect, test } from "bun:test"
import { createHash } from "node:crypto"
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs"
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
