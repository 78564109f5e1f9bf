// Writes a file so that a reader, or a crash, sees the old contents or the new, never half.
import { randomBytes } from "node:crypto"
import { closeSync, fdatasyncSync, fsyncSync, openSync, renameSync, rmSync, writeSync } from "node:fs"
import { dirname } from "node:path"

/**
 * Replaces `path`. `durable` also survives power loss (file and directory are synced, about a millisecond).
 * Throws the system's error; nothing is left beside the file then.
 */
export const writeFileAtomic = (
  path: string,
  contents: string | Uint8Array,
  options: { mode?: number; durable?: boolean } = {},
): void => {
  const temporary = `${path}.${randomBytes(6).toString("hex")}.tmp`
  const bytes = typeof contents === "string" ? Buffer.from(contents) : contents
  const descriptor = openSync(temporary, "wx", options.mode ?? 0o600)
  try {
    try {
      let written = 0
      while (written < bytes.length) written += writeSync(descriptor, bytes, written)
      if (options.durable) fdatasyncSync(descriptor)
    } finally {
      closeSync(descriptor)
    }
    renameSync(temporary, path)
  } catch (error) {
    rmSync(temporary, { force: true })
    throw error
  }
  if (options.durable) syncDirectory(dirname(path))
}

/** Makes names created, renamed or removed in a directory survive power loss. */
export const syncDirectory = (path: string): void => {
  const descriptor = openSync(path, "r")
  try {
    fsyncSync(descriptor)
  } finally {
    closeSync(descriptor)
  }
}
