// A written tar becomes a layer over its parent.
import { randomBytes } from "node:crypto"
import { linkSync, mkdirSync, rmSync } from "node:fs"
import { open } from "node:fs/promises"
import { join } from "node:path"
import { failure } from "../../../base/errors.ts"
import { LauncherFailure } from "../../../kernel/kernel.ts"
import { extendChain } from "../../../oci/chain-id.ts"
import type { BuildRooms } from "../../rooms.ts"
import { emptyDiffId, fileBytes, layersDirectory } from "../commit.ts"
import type { LayersTree, StepRun } from "../operations.ts"
import { writeTar } from "./layer.ts"
import type { Node } from "./target.ts"

const readable = (error: unknown): unknown =>
  error instanceof LauncherFailure && error.step === "assemble" && error.kind !== "exhausted"
    ? failure("invalid", `"/${error.path}" could not be copied: ${error.explanation}: run the build again`, {
        cause: error,
      })
    : error

/** Where layers are unpacked their tar stays as a blob; else the file is the layer's. */
const keep = async (rooms: BuildRooms, path: string, digest: string, size: number): Promise<void> => {
  if (rooms.content.has(digest)) return
  await rooms.content.adopt({ path, file: await open(path, "r+"), digest, size })
}

/** Commits changes over `parent` as one layer. Times are clamped by the caller. */
export const commitChanges = async (
  rooms: BuildRooms,
  changes: ReadonlyMap<string, Node>,
  parent: LayersTree,
  run: StepRun,
): Promise<LayersTree> => {
  const { snapshots, content, kernel } = rooms
  const directory = layersDirectory(rooms.root)
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  const path = join(directory, randomBytes(12).toString("hex"))
  try {
    const { digest, size: length } = await writeTar(kernel, changes, path, run.signal)
    if (digest === emptyDiffId && run.request.face === "classic") return parent
    run.hold.suspect(digest)
    const linked = snapshots.name === "erofs"
    if (!linked) await keep(rooms, path, digest, length)
    const chainId = extendChain(parent.chainId, digest)
    run.hold.keep([chainId])
    const { size } = await snapshots.commitLayer({
      chainId,
      parent: parent.chainId,
      tar: linked ? fileBytes(path) : content.open(digest),
      ...(linked
        ? {
            link(target: string) {
              linkSync(path, target)
              return true
            },
          }
        : {}),
      signal: run.signal,
      // Who gives the result a name waits for the disk, once for all its layers.
      lazy: true,
    })
    return { kind: "layers", chainId, layers: [...parent.layers, { diffId: digest, blob: digest, size }] }
  } catch (error) {
    throw readable(error)
  } finally {
    rmSync(path, { force: true })
  }
}
