// Directories disappear at once by a rename and are deleted later, so that nobody waits for the disk.
import { mkdirSync, renameSync } from "node:fs"
import { join } from "node:path"
import { newId } from "../base/ids.ts"
import type { Context } from "./context.ts"

export const reapDirectory = (context: { readonly dataRoot: string }): string =>
  join(context.dataRoot, "reap")

/** Takes a directory away. Missing is fine. */
export const removeTree = async (context: Context, path: string): Promise<void> => {
  const grave = join(reapDirectory(context), newId())
  try {
    renameSync(path, grave)
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") {
      mkdirSync(reapDirectory(context), { recursive: true, mode: 0o700 })
      try {
        renameSync(path, grave)
      } catch {
        return
      }
    } else throw error
  }
  context.background.run("reaping a directory", () =>
    context.kernel.perform([["remove-tree"], ["path", grave]]),
  )
}
