// Contexts that clients sent, as they are kept between builds: what they take, and their removal.
import { readdirSync, rmSync, statSync } from "node:fs"
import { join } from "node:path"
import type { BuildRooms } from "../../rooms.ts"
import type { KeptSource } from "../sources.ts"
import { isInUse, listPath } from "./synced.ts"
import { contextsDirectory, indexPath } from "./tree.ts"

type KeptRooms = Pick<BuildRooms, "kernel" | "root">

const isKept = (name: string): boolean => /^sync-[0-9a-f]{32}(-[0-9]+)?$/.test(name)

const timesOf = (path: string): { createdAt: number; usedAt: number } => {
  try {
    const { birthtimeMs, mtimeMs } = statSync(path)
    return { createdAt: Math.round(birthtimeMs || mtimeMs), usedAt: Math.round(mtimeMs) }
  } catch {
    return { createdAt: 0, usedAt: 0 }
  }
}

const bytesOf = async ({ kernel }: KeptRooms, directory: string): Promise<number> => {
  const answer = await kernel.perform([["usage"], ["path", directory]])
  return Number(answer.get("bytes")?.[0] ?? 0)
}

export const keptContexts = async (rooms: KeptRooms): Promise<KeptSource[]> => {
  const root = contextsDirectory(rooms.root)
  let names: string[]
  try {
    names = readdirSync(root).filter(isKept)
  } catch {
    return []
  }
  return Promise.all(
    names.map(async (name) => {
      const directory = join(root, name)
      return {
        ...{ id: name, kind: "source.local", description: "local source for context" },
        bytes: await bytesOf(rooms, directory),
        createdAt: timesOf(directory).createdAt,
        usedAt: timesOf(listPath(directory)).usedAt || timesOf(directory).usedAt,
        inUse: isInUse(directory),
      }
    }),
  )
}

/** Bytes that came back; undefined when `id` is none of these. */
export const removeKeptContext = async (rooms: KeptRooms, id: string): Promise<number | undefined> => {
  if (!isKept(id)) return undefined
  const directory = join(contextsDirectory(rooms.root), id)
  if (isInUse(directory)) return 0
  const bytes = await bytesOf(rooms, directory)
  // The list goes first: files without one are sent anew.
  for (const path of [listPath(directory), indexPath(rooms.root, directory)]) rmSync(path, { force: true })
  await rooms.kernel.perform([["remove-tree"], ["path", directory]])
  return bytes
}
