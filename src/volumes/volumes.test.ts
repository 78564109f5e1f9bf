// The life of volumes over a fake kernel.
import { afterAll, expect, test } from "bun:test"
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { createEvents } from "../events/events.ts"
import { fakeKernel } from "../kernel/kernel.ts"
import { openState } from "../state/state.ts"
import { openVolumes } from "./volumes.ts"

const directory = mkdtempSync(join(tmpdir(), "volumes-"))
afterAll(() => rmSync(directory, { recursive: true, force: true }))

let count = 0
const open = () => {
  const root = join(directory, `${count++}`)
  const state = openState(join(root, "state.db"))
  const events = createEvents()
  const kernel = fakeKernel({ perform: () => new Map([["content", ["42"]]]) })
  return {
    root,
    state,
    events,
    kernel,
    volumes: openVolumes({ root: join(root, "volumes"), kernel, state, events }),
  }
}

test("a volume is made once, listed, and removed with its directory", async () => {
  const { volumes, events } = open()
  const made = await volumes.create({ name: "data", labels: { a: "1" } })
  expect(made.anonymous).toBe(false)
  expect(existsSync(volumes.path("data"))).toBe(true)
  expect(await volumes.create({ name: "data", labels: { a: "2" } })).toEqual(made)
  await expect(volumes.remove("data", { force: false }, ["abc", "def"])).rejects.toThrow(
    "remove data: volume is in use - [abc, def]",
  )
  const path = volumes.path("data")
  await volumes.remove("data", { force: false }, [])
  expect(existsSync(path)).toBe(false)
  await expect(volumes.remove("data", { force: false }, [])).rejects.toThrow("get data: no such volume")
  await volumes.remove("data", { force: true }, [])
  expect(events.recent().map((event) => event.action)).toEqual(["create", "destroy"])
})

test("names that could leave the root, unknown drivers and bad options are refused", async () => {
  const { volumes } = open()
  for (const name of ["../x", "a/b", ".x", "a b", "x\n"]) {
    await expect(volumes.create({ name })).rejects.toThrow("invalid characters")
  }
  await expect(volumes.create({ driver: "nfs" })).rejects.toThrow('plugin "nfs" not found')
  await expect(volumes.create({ options: { color: "red" } })).rejects.toThrow('invalid option: "color"')
  await expect(volumes.create({ options: { type: "tmpfs" } })).rejects.toThrow("missing device")
})

test("an anonymous volume has an id for a name", async () => {
  const { volumes } = open()
  const record = await volumes.create({})
  expect(record.anonymous).toBe(true)
  expect(record.name).toMatch(/^[0-9a-f]{64}$/)
})

test("copy-up happens into an empty volume only", async () => {
  const { volumes, kernel } = open()
  await volumes.create({ name: "up" })
  await volumes.populate("up", { type: "directory", path: "/image" }, "/data")
  expect(kernel.plans).toEqual([
    [["copy"], ["root-path", "/image"], ["path", "/data"], ["destination", volumes.path("up")]],
  ])
  writeFileSync(join(volumes.path("up"), "x"), "")
  await volumes.populate("up", { type: "directory", path: "/image" }, "/data")
  expect(kernel.plans.length).toBe(1)
})

test("mounts: plain, read-only with a subpath, bind and tmpfs options", async () => {
  const { volumes, root } = open()
  await volumes.create({ name: "plain" })
  expect(await volumes.mount("plain", "/t", { readOnly: true, subpath: "a/b" })).toEqual({
    type: "bind",
    source: volumes.path("plain"),
    target: "/t",
    create: "dir",
    flags: ["rprivate", "rec", "ro"],
    subpath: "a/b",
  })
  await volumes.create({ name: "bound", options: { type: "none", o: "bind,noexec", device: root } })
  expect(await volumes.mount("bound", "/t", { readOnly: false })).toMatchObject({
    source: root,
    flags: ["noexec", "rprivate", "rec"],
  })
  await volumes.create({ name: "gone", options: { type: "none", o: "bind", device: join(root, "none") } })
  await expect(volumes.mount("gone", "/t", { readOnly: false })).rejects.toThrow("no such file or directory")
  await volumes.create({ name: "ram", options: { type: "tmpfs", device: "tmpfs", o: "size=1m,nodev" } })
  expect(await volumes.mount("ram", "/t", { readOnly: false })).toMatchObject({
    type: "filesystem",
    filesystem: "tmpfs",
    flags: ["nodev"],
    options: ["size=1m"],
  })
})

test("prune takes unused anonymous volumes, or all, by label", async () => {
  const { volumes } = open()
  const anonymous = await volumes.create({ labels: { keep: "no" } })
  await volumes.create({ name: "named" })
  const used = await volumes.create({})
  expect(await volumes.prune({ all: false, labels: ["keep=yes"] }, () => false)).toEqual({
    removed: [],
    reclaimed: 0,
  })
  expect(await volumes.prune({ all: false, labels: [] }, (name) => name === used.name)).toEqual({
    removed: [anonymous.name],
    reclaimed: 42,
  })
  expect((await volumes.prune({ all: true, labels: [] }, () => false)).removed).toEqual(["named", used.name])
})

test("recovery removes directories without a record and remakes missing ones", async () => {
  const { volumes, root } = open()
  await volumes.create({ name: "kept" })
  mkdirSync(join(root, "volumes", "orphan", "_data"), { recursive: true })
  rmSync(volumes.path("kept"), { recursive: true })
  await volumes.recover()
  expect(existsSync(join(root, "volumes", "orphan"))).toBe(false)
  expect(existsSync(volumes.path("kept"))).toBe(true)
})
