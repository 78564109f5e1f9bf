// What one image's files have that another's have not: both trees read as tars, compared by what a container would see.
import { createHash } from "node:crypto"
import { readTar } from "../../base/tar-reader.ts"
import type { Snapshotter } from "../../snapshots/snapshotter.ts"

export interface FileChange {
  readonly kind: "added" | "changed" | "deleted"
  /** From the root on. */
  readonly path: string
}

/** Path to everything that counts: type, owner, mode, target and contents. Times do not: two builds differ in them. */
const signaturesOf = async (tar: AsyncIterable<Uint8Array>): Promise<Map<string, string>> => {
  const found = new Map<string, string>()
  const links: [path: string, target: string][] = []
  for await (const entry of readTar(tar)) {
    const path = `/${entry.name.replace(/^\.?\//, "").replace(/\/$/, "")}`
    if (path === "/") continue
    if (entry.type === "hardlink") {
      links.push([path, `/${entry.linkName.replace(/^\.?\//, "")}`])
      continue
    }
    const hash = createHash("sha256")
    for await (const chunk of entry.body) hash.update(chunk)
    const { type, mode, uid, gid, linkName } = entry
    found.set(path, JSON.stringify([type, mode, uid, gid, linkName, hash.digest("base64")]))
  }
  // A name of the same file counts as what the file is: which of its names comes first is chance.
  for (const [path, target] of links) found.set(path, found.get(target) ?? "")
  return found
}

/** Sorted by path. */
export const compareTrees = async (
  snapshots: Snapshotter,
  from: string,
  to: string,
): Promise<FileChange[]> => {
  const before = await signaturesOf(snapshots.flatten(from))
  const after = await signaturesOf(snapshots.flatten(to))
  const changes: FileChange[] = []
  for (const [path, signature] of after) {
    const old = before.get(path)
    if (old === undefined) changes.push({ kind: "added", path })
    else if (old !== signature) changes.push({ kind: "changed", path })
  }
  for (const path of before.keys()) if (!after.has(path)) changes.push({ kind: "deleted", path })
  return changes.toSorted((a, b) => (a.path < b.path ? -1 : 1))
}
