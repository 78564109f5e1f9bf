// How new layers are kept: as EROFS images where this kernel mounts one from the data root's file system, else unpacked.
import { mkdirSync, rmSync } from "node:fs"
import { join } from "node:path"
import { currentBoot } from "../base/boot.ts"
import { errorMessage, failure } from "../base/errors.ts"
import { createLog } from "../base/log.ts"
import { writeTar } from "../base/tar-writer.ts"
import type { Kernel } from "../kernel/kernel.ts"
import type { State } from "../state/state.ts"
import { writeLayer } from "./erofs/write-layer.ts"

/** "overlay": unpacked directories; "erofs": the layer's tar and an EROFS index over it. */
export type LayerForm = "overlay" | "erofs"

const log = createLog("snapshots")
const settingKey = "erofs-layers"
const contents = "an EROFS image over a plain file"

/** Mounts a small layer beneath a writable one, as a container's root would be, and looks at a file in it. */
const tryImage = async (root: string, kernel: Kernel): Promise<void> => {
  const directory = join(root, "try-erofs")
  const [layer, upper, work] = [join(directory, "layer"), join(directory, "upper"), join(directory, "work")]
  rmSync(directory, { recursive: true, force: true })
  for (const path of [layer, upper, work]) mkdirSync(path, { recursive: true, mode: 0o700 })
  try {
    const tar = writeTar([{ name: "file", type: "file", body: Buffer.from(contents) }])
    await writeLayer(layer, tar, { top: async () => ({ mode: 0o755, uid: 0, gid: 0 }) })
    const answer = await kernel.perform([
      ["stat"],
      ["root-overlay", upper, work, "volatile", `erofs:${layer}`],
      ["path", "/file"],
    ])
    if (Number(answer.get("size")?.[0]) !== contents.length)
      throw failure("internal", "a file in an EROFS image has not its size")
  } finally {
    await kernel.perform([["remove-tree"], ["path", directory]])
  }
}

/**
 * What `wanted` says, or what this machine can: tried once after each boot. `root` is the snapshots' directory. Throws
 * Failure "unavailable" when EROFS is demanded and does not work.
 */
export const chooseLayerForm = async (parts: {
  root: string
  kernel: Kernel
  state: State
  wanted?: LayerForm | undefined
  boot?: string
}): Promise<LayerForm> => {
  const { root, kernel, state, wanted, boot = currentBoot() } = parts
  if (wanted === "overlay") return "overlay"
  const known = state.settings.find(settingKey)
  if (known === `${boot} yes`) return "erofs"
  if (known === `${boot} no` && wanted === undefined) return "overlay"
  mkdirSync(root, { recursive: true, mode: 0o700 })
  try {
    await tryImage(root, kernel)
    state.settings.put(settingKey, `${boot} yes`, { durable: false })
    return "erofs"
  } catch (cause) {
    if (wanted === "erofs")
      throw failure(
        "unavailable",
        `EROFS layers do not work here (the kernel must mount an image from a plain file, 6.12 and later, and ${root} must lie on a disk's file system): ${errorMessage(cause)}`,
        { cause },
      )
    state.settings.put(settingKey, `${boot} no`, { durable: false })
    const images = state.snapshots.list().filter(({ image }) => image !== undefined).length
    if (images > 0)
      log.error(
        "layers of this data root are EROFS images, which cannot be mounted here: their images must be pulled again, or a newer kernel booted",
        { layers: images },
      )
    log.info("layers are unpacked: EROFS images cannot be mounted here", { reason: errorMessage(cause) })
    return "overlay"
  }
}
