// What a step changed becomes a layer over its parent.
import { randomBytes } from "node:crypto"
import { mkdirSync, rmSync } from "node:fs"
import { join } from "node:path"
import { failure } from "../../../base/errors.ts"
import { LauncherFailure } from "../../../kernel/kernel.ts"
import type { BuildRooms } from "../../rooms.ts"
import { commitFile, layersDirectory } from "../commit.ts"
import type { LayersTree, StepRun } from "../operations.ts"
import { writeTar } from "./layer.ts"
import { layerEntries, layOut } from "./layout.ts"
import type { LayerReuse } from "./reuse.ts"
import type { Node } from "./target.ts"

const readable = (error: unknown): unknown =>
  error instanceof LauncherFailure && error.step === "assemble" && error.kind !== "exhausted"
    ? failure("invalid", `"/${error.path}" could not be copied: ${error.explanation}: run the build again`, {
        cause: error,
      })
    : error

/** Commits changes over `parent` as one layer. Throws invalid for a file that vanished or was cut short meanwhile. */
export const commitChanges = async (
  rooms: BuildRooms,
  reuse: LayerReuse,
  changes: ReadonlyMap<string, Node>,
  parent: LayersTree,
  run: StepRun,
): Promise<LayersTree> => {
  const directory = layersDirectory(rooms.root)
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  const path = join(directory, randomBytes(12).toString("hex"))
  const indexPath = `${path}.index`
  try {
    const layout = layOut(changes)
    const older = await reuse.find(layout)
    const begun = Date.now()
    const writing = writeTar(rooms.kernel, layout, path, older, run.signal)
    writing.catch(() => {})
    // Made while the launcher writes the tar.
    const index = await rooms.snapshots.describe(
      parent.chainId,
      indexPath,
      () => layerEntries(layout),
      layout.size,
    )
    const { digest, size, steady, states } = await writing
    const made = await commitFile(rooms, { path, digest, size, index }, parent, run)
    if (steady) reuse.keep(layout, made.chainId, begun, states)
    return made
  } catch (error) {
    throw readable(error)
  } finally {
    rmSync(path, { force: true })
    rmSync(indexPath, { force: true })
  }
}
