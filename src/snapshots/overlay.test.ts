// The overlay snapshotter: conformance, and what only directories can show.
import { expect, test } from "bun:test"
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { openTestKernel } from "../../test/fixtures/launcher-kernel.ts"
import { type TarSource, writeTar } from "../base/tar-writer.ts"
import { openState } from "../state/state.ts"
import { testSnapshotter } from "./snapshotter.conformance.ts"
import { type LayerForm, openOverlaySnapshotter } from "./snapshotter.ts"

const open = async (form: LayerForm = "overlay") => {
  const directory = mkdtempSync(join(tmpdir(), "sloop-overlay-"))
  const { kernel, stop } = await openTestKernel(directory)
  const state = openState(join(directory, "state.db"))
  const root = join(directory, "data", "snapshots")
  const make = () => openOverlaySnapshotter({ root, kernel, state, form })
  return {
    kernel,
    state,
    root,
    make,
    snapshots: make(),
    async reopen() {
      const again = make()
      await again.recover()
      return again
    },
    async close() {
      await stop()
      state.close()
      rmSync(directory, { recursive: true, force: true })
    },
  }
}

testSnapshotter("overlay", open)
testSnapshotter("erofs", () => open("erofs"))

const layerId = `sha256:${"c".repeat(64)}`
const numbered = (root: string) => readdirSync(root).filter((name) => /^[0-9]/.test(name))

test("recover removes directories without a record and records without a directory", async () => {
  const { snapshots, state, root, reopen, close } = await open()
  try {
    await snapshots.commitLayer({ chainId: layerId, parent: "", tar: writeTar([]) })
    await snapshots.prepare("kept", layerId, { ephemeral: true })
    await snapshots.prepare("lost", layerId, { ephemeral: false })
    const lost = state.snapshots.find("lost")?.directory ?? ""
    rmSync(join(root, lost), { recursive: true })
    mkdirSync(join(root, "77", "fs"), { recursive: true })
    mkdirSync(join(root, "reap", "left"), { recursive: true })
    const again = await reopen()
    await again.settle()
    expect(numbered(root).toSorted()).toEqual(["1", "2v"])
    expect(readdirSync(join(root, "reap"))).toEqual([])
    expect(state.snapshots.find("lost")).toBeUndefined()
    await again.prepare("next", layerId, { ephemeral: false })
    expect(Number(state.snapshots.find("next")?.directory)).toBeGreaterThan(77)
  } finally {
    await close()
  }
}, 20_000)

test("layers that were fresh when the machine lost power are dropped, to be unpacked again", async () => {
  const { snapshots, state, kernel, root, reopen, close } = await open()
  try {
    await snapshots.commitLayer({ chainId: layerId, parent: "", tar: writeTar([]) })
    expect((await reopen()).has(layerId)).toBe(true)
    const rebooted = openOverlaySnapshotter({ root, kernel, state, boot: "another" })
    await rebooted.recover()
    expect(rebooted.has(layerId)).toBe(false)
    await rebooted.settle()
    expect(numbered(root)).toEqual([])
    await rebooted.commitLayer({ chainId: layerId, parent: "", tar: writeTar([]) })
    expect(state.settings.entries().map(([key]) => key)).toEqual([`unsettled-layer:${layerId}`])
  } finally {
    await close()
  }
}, 20_000)

test("a removed layer that stayed empty is used again, one that was written to is deleted", async () => {
  const { snapshots, root, close } = await open()
  try {
    const [clean, written] = ["clean", "written"]
    for (const key of [clean, written]) await snapshots.prepare(key, "", { ephemeral: false })
    const inode = statSync(snapshots.layers(clean).upper).ino
    const mount = snapshots.mounts(clean)
    if (mount.type !== "overlay" || mount.work === undefined) throw new Error("not an overlay")
    mkdirSync(join(mount.work, "work", "incompat", "volatile"), { recursive: true })
    chmodSync(snapshots.layers(clean).upper, 0o1777)
    writeFileSync(join(snapshots.layers(written).upper, "f"), "f")
    for (const key of [clean, written]) await snapshots.remove(key)
    expect(numbered(root)).toEqual([])
    expect(readdirSync(join(root, "spare"))).toHaveLength(2)
    await snapshots.settle()
    expect(readdirSync(join(root, "spare"))).toHaveLength(1)
    expect(readdirSync(join(root, "reap"))).toEqual([])
    await snapshots.prepare("next", "", { ephemeral: true })
    const status = statSync(snapshots.layers("next").upper)
    expect([status.ino, status.mode & 0o7777]).toEqual([inode, 0o755])
    const next = snapshots.mounts("next")
    if (next.type !== "overlay" || next.work === undefined) throw new Error("not an overlay")
    expect(readdirSync(next.work)).toEqual([])
    await snapshots.prepare("other", "", { ephemeral: false })
    expect(statSync(snapshots.layers("other").upper).ino).not.toBe(inode)
    await snapshots.remove("other")
    await snapshots.recover()
    await snapshots.settle()
    expect(readdirSync(join(root, "spare"))).toEqual([])
  } finally {
    await close()
  }
}, 20_000)

test("the writable layer looks like the image's root, and others cannot enter", async () => {
  const { snapshots, root, close } = await open()
  try {
    const top: TarSource = { name: "./", type: "directory", mode: 0o1750 }
    await snapshots.commitLayer({ chainId: layerId, parent: "", tar: writeTar([top]) })
    await snapshots.prepare("one", layerId, { ephemeral: false })
    expect(statSync(snapshots.layers("one").upper).mode & 0o7777).toBe(0o1750)
    await snapshots.prepare("plain", "", { ephemeral: false })
    expect(statSync(snapshots.layers("plain").upper).mode & 0o7777).toBe(0o755)
    expect(statSync(root).mode & 0o777).toBe(0o700)
  } finally {
    await close()
  }
}, 20_000)

test("a volatile overlay can be mounted again after it was used", async () => {
  const { snapshots, close } = await open()
  try {
    await snapshots.prepare("one", "", { ephemeral: true })
    const mount = snapshots.mounts("one")
    if (mount.type !== "overlay" || mount.work === undefined) throw new Error("not an overlay")
    expect(mount.options).toEqual(["volatile"])
    mkdirSync(join(mount.work, "work", "incompat", "volatile"), { recursive: true })
    writeFileSync(join(mount.work, "work", "incompat", "volatile", "dirty"), "")
    snapshots.mounts("one")
    expect(existsSync(join(mount.work, "work", "incompat"))).toBe(false)
  } finally {
    await close()
  }
}, 20_000)
