// What a build made right before the machine lost power: gone as a whole, or there as a whole.
import { expect, test } from "bun:test"
import { buildImage } from "../../../test/fixtures/built-image.ts"
import { gather } from "../../../test/fixtures/busybox-image.ts"
import { type ImageStore, openImageStore } from "../../../test/fixtures/image-store.ts"
import { digestOf } from "../../base/digest-stream.ts"
import { writeTar } from "../../base/tar-writer.ts"

const lazyImage = async (store: ImageStore, name: string): Promise<string> => {
  const tar = await gather(writeTar([{ name, type: "file", body: Buffer.from(name) }]))
  const image = await buildImage(store, [])
  const diffId = digestOf(tar)
  const once = async function* () {
    yield tar
  }
  const { size } = await store.snapshots.commitLayer({ chainId: diffId, parent: "", tar: once(), lazy: true })
  return store.images.register({
    config: { ...image.config, diffIds: [diffId], history: [] },
    layers: [{ diffId, blob: diffId, size }],
    chainId: diffId,
    parent: "",
    names: [`docker.io/library/${name}:1`],
  })
}

/** The machine went down and came up: fresh layers were made in another boot. */
const losePower = (store: ImageStore): void => {
  for (const [key] of store.state.settings.entries())
    if (key.startsWith("unsettled-layer:")) store.state.settings.put(key, "an earlier boot")
}

test("an image whose layers had not reached the disk is given up, with its names; others stay", async () => {
  let store = await openImageStore({ form: "erofs" })
  try {
    const kept = await lazyImage(store, "kept")
    await store.snapshots.persist((await store.images.get("kept:1")).chainId)
    const lost = await lazyImage(store, "lost")
    losePower(store)
    store = await store.reopen()
    expect(await store.images.find("lost:1")).toBeUndefined()
    expect(await store.images.find(lost)).toBeUndefined()
    expect((await store.images.get("kept:1")).id).toBe(kept)
    expect((await store.inventory()).filter((line) => line.includes(lost))).toEqual([])
  } finally {
    await store.close()
  }
}, 30_000)

test("a killed engine loses nothing of it", async () => {
  let store = await openImageStore({ form: "erofs" })
  try {
    const id = await lazyImage(store, "fresh")
    store = await store.reopen()
    expect((await store.images.get("fresh:1")).id).toBe(id)
  } finally {
    await store.close()
  }
}, 30_000)
