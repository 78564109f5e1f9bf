// One small file of a client's directory, asked for on its own: a Dockerfile, an ignore file.
import { failure } from "../../../base/errors.ts"
import type { FileSync } from "../../build.ts"
import { isFile, isSymlink } from "./scan.ts"

const largestFile = 16 << 20
const mostLinks = 40

/** Where a path leads among links; undefined when it goes out. */
const followed = (path: string, links: ReadonlyMap<string, string>): string | undefined => {
  const todo = path.split("/").toReversed()
  const found: string[] = []
  for (let count = 0; todo.length > 0; ) {
    const part = todo.pop() ?? ""
    if (part === "" || part === ".") continue
    if (part === "..") {
      found.pop()
      continue
    }
    const target = links.get([...found, part].join("/"))
    if (target === undefined) {
      found.push(part)
      continue
    }
    if (++count > mostLinks) return undefined
    if (target.startsWith("/")) found.length = 0
    todo.push(...target.split("/").toReversed())
  }
  return found.join("/")
}

/** Its bytes, links followed inside the directory; undefined when there is none. */
export const readSynced = async (
  sync: FileSync,
  name: string,
  path: string,
  signal: AbortSignal,
): Promise<Uint8Array | undefined> => {
  const links = new Map<string, string>()
  const files = new Map<string, Uint8Array>()
  for await (const entry of sync.entries(name, { include: [], exclude: [], follow: [path] }, signal)) {
    if (isSymlink(entry.mode)) links.set(entry.path, entry.link)
    if (!isFile(entry.mode) || entry.link !== "") continue
    if (entry.size > largestFile)
      throw failure("invalid", `"${path}" has ${entry.size} bytes; at most ${largestFile} are read`)
    const chunks: Uint8Array[] = []
    let bytes = 0
    for await (const chunk of entry.open()) {
      bytes += chunk.length
      if (bytes > largestFile)
        throw failure("invalid", `"${path}" is longer than the ${largestFile} bytes that are read`)
      chunks.push(chunk)
    }
    files.set(entry.path, Buffer.concat(chunks))
  }
  const at = followed(path, links)
  return at === undefined ? undefined : files.get(at)
}
