// A full disk: one clear sentence, and nothing left of what did not fit.
import { expect, test } from "bun:test"
import { spawnSync } from "node:child_process"
import { randomBytes } from "node:crypto"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { busyboxDockerArchive, dockerArchive, gather, streamed } from "../../test/fixtures/busybox-image.ts"
import { openImageStore } from "../../test/fixtures/image-store.ts"
import { startLyingRegistry } from "../../test/fixtures/lying-registry.ts"
import { layerTar, makeImage } from "../../test/fixtures/remote-image.ts"
import { writeTar } from "../base/tar-writer.ts"

test.each(["1m", "3m"])(
  "pull on a disk of %s",
  async (size) => {
    const registry = await startLyingRegistry()
    const large = makeImage({
      layers: [await layerTar("large", randomBytes(2 << 20)), await layerTar("b", "c")],
    })
    registry.hold("app", "large", large)
    registry.hold("app", "small", makeImage({ layers: [await layerTar("f", "fits")] }))
    const directory = mkdtempSync(join(tmpdir(), "sloop-full-"))
    const mounted = spawnSync("mount", ["-t", "tmpfs", "-o", `size=${size},mode=700`, "none", directory], {
      encoding: "utf8",
    })
    expect(mounted.stderr).toBe("")
    try {
      const store = await openImageStore({ directory })
      const pull = (tag: string) => store.images.pull({ reference: `${registry.host}/app:${tag}` }, () => {})
      try {
        const failed = pull("large")
        await expect(failed).rejects.toMatchObject({ kind: "exhausted" })
        // Both come at once, and either may be the one that meets the full disk.
        await expect(failed).rejects.toThrow(
          new RegExp(
            `^cannot (fetch|unpack) the layer (${large.layers.join("|")}) of ${registry.host}/app: no space left`,
            "i",
          ),
        )
        expect(await store.inventory()).toEqual([])
        expect(await pull("small")).toHaveLength(1)
      } finally {
        await store.closeKeepingFiles()
      }
    } finally {
      spawnSync("umount", ["-l", directory])
      rmSync(directory, { recursive: true, force: true })
      await registry.close()
    }
  },
  30_000,
)

/** Sizes of a disk on which the blob does not fit, and on which the blob fits but its files do not. */
test.each(["1536k", "3m"])(
  "load on a disk of %s",
  async (size) => {
    const directory = mkdtempSync(join(tmpdir(), "sloop-full-"))
    const mounted = spawnSync("mount", ["-t", "tmpfs", "-o", `size=${size},mode=700`, "none", directory], {
      encoding: "utf8",
    })
    expect(mounted.stderr).toBe("")
    try {
      const store = await openImageStore({ directory })
      try {
        const failed = store.images.load(streamed(await busyboxDockerArchive()), () => {})
        await expect(failed).rejects.toMatchObject({ kind: "exhausted" })
        await expect(failed).rejects.toThrow(/no space left/i)
        expect(await store.inventory()).toEqual([])
        const small = await gather(writeTar([{ name: "f", type: "file", body: Buffer.from("fits") }]))
        const archive = await dockerArchive([{ layers: [small], tags: ["small:1"] }])
        expect(await store.images.load(streamed(archive), () => {})).toEqual(["small:1"])
      } finally {
        await store.closeKeepingFiles()
      }
    } finally {
      spawnSync("umount", ["-l", directory])
      rmSync(directory, { recursive: true, force: true })
    }
  },
  30_000,
)
