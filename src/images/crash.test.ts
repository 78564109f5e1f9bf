// The engine is killed at every step of image work: after a restart the work is done or was never begun.
import { afterEach, expect, test } from "bun:test"
import { spawnSync } from "node:child_process"
import { readdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { dockerArchive, gather, streamed } from "../../test/fixtures/busybox-image.ts"
import { type ImageStore, openImageStore } from "../../test/fixtures/image-store.ts"
import { writeTar } from "../base/tar-writer.ts"
import type { LayerForm } from "../snapshots/snapshotter.ts"

let store: ImageStore
let form: LayerForm
const open = async (wanted: LayerForm): Promise<void> => {
  form = wanted
  store = await openImageStore({ form })
}
afterEach(() => store.close())

const archive = async (): Promise<Uint8Array> => {
  const large = (name: string) =>
    gather(writeTar([{ name, type: "file", body: Buffer.alloc(2 << 20, name) }]))
  return dockerArchive([
    { layers: [await large("one"), await large("two")], tags: ["a:1"] },
    { layers: [await large("one")], tags: ["b:1"] },
  ])
}

/** Runs work in a process that dies at `step`; the store is opened again after it. */
const dieAt = async (step: string, work: readonly string[]): Promise<void> => {
  const script = join(import.meta.dirname, "../../test/fixtures/image-work.ts")
  const child = spawnSync(process.execPath, [script, store.directory, ...work], {
    env: { ...process.env, SLOOP_CRASH_AT: step, SLOOP_TEST_LAYERS: form },
    encoding: "utf8",
  })
  expect(`${child.signal} ${child.stderr}${child.stdout}`).toBe("SIGKILL ")
  store = await store.reopen()
}

/** Directories of snapshots must be exactly those of the records. */
const expectNoLeftovers = async (): Promise<void> => {
  await store.snapshots.settle()
  const root = join(store.directory, "snapshots")
  expect(
    readdirSync(root)
      .filter((name) => /^[0-9]/.test(name))
      .toSorted(),
  ).toEqual(
    store.state.snapshots
      .list()
      .map((record) => record.directory)
      .toSorted(),
  )
  expect(readdirSync(join(root, "reap"))).toEqual([])
  expect(readdirSync(join(store.directory, "content", "ingest"))).toEqual([])
}

/** Two images, their names, configs and layers; and the layers' blobs, where those are kept too. */
const whole: Readonly<Record<LayerForm, number>> = { overlay: 10, erofs: 8 }

for (const wanted of ["overlay", "erofs"] as const)
  for (const step of [
    "blob:written",
    "load:spooled",
    "layer:unpacked",
    "layer:committed",
    "load:prepared",
    "load:named",
  ])
    test(`${wanted}: killed at ${step}`, async () => {
      await open(wanted)
      const file = join(store.directory, "archive.tar")
      writeFileSync(file, await archive())
      await dieAt(step, ["load", file])
      await expectNoLeftovers()
      expect(await store.inventory()).toHaveLength(step === "load:named" ? whole[wanted] : 0)
      await store.images.load(streamed(await archive()), () => {})
      expect(await store.inventory()).toHaveLength(whole[wanted])
    }, 30_000)

for (const step of ["remove:untagged", "remove:deleted", "snapshot:forgotten"])
  test(`killed at ${step}`, async () => {
    await open("erofs")
    await store.images.load(streamed(await archive()), () => {})
    const id = (await store.images.get("a:1")).id
    await dieAt(step, ["remove", "a:1"])
    await expectNoLeftovers()
    const left = await store.images.find(id)
    expect(left?.tags).toEqual(step === "remove:untagged" ? [] : undefined)
    if (left !== undefined) await store.images.remove(id, { force: false, prune: true }, () => [])
    await store.images.remove("b:1", { force: false, prune: true }, () => [])
    expect(await store.inventory()).toEqual([])
  }, 30_000)

test("killed while a writable layer is made, and while it is removed", async () => {
  await open("erofs")
  await store.images.load(streamed(await archive()), () => {})
  await dieAt("snapshot:made", ["prepare", "a:1", "key"])
  await expectNoLeftovers()
  await store.snapshots.prepare("key", (await store.images.get("a:1")).chainId, { ephemeral: false })
  await dieAt("snapshot:forgotten", ["unprepare", "key"])
  await expectNoLeftovers()
  expect(() => store.snapshots.mounts("key")).toThrow("No such snapshot")
}, 30_000)
