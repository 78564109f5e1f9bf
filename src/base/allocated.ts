// What a file takes on its file system.
import { lstatSync } from "node:fs"

/**
 * Bytes in whole blocks of one file or directory, without what is in it; 0 for what is not there. A file with several names
 * counts once for each `seen`, which grows.
 */
export const allocatedBytes = (path: string, seen: Set<string> = new Set()): number => {
  const status = lstatSync(path, { bigint: true, throwIfNoEntry: false })
  if (status === undefined) return 0
  if (!status.isDirectory() && status.nlink > 1n) {
    const key = `${status.dev}:${status.ino}`
    if (seen.has(key)) return 0
    seen.add(key)
  }
  return Number(status.blocks) * 512
}
