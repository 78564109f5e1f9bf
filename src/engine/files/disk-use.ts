// Everything below the data root by what it belongs to, in bytes of whole blocks as du counts them.
import { readdirSync } from "node:fs"
import { join } from "node:path"
import { allocatedBytes } from "../../base/allocated.ts"
import type { Context } from "../context.ts"
import type { DiskUse } from "../engine.ts"

const sum = (values: Iterable<number>): number => [...values].reduce((total, value) => total + value, 0)

const entriesOf = (directory: string): string[] => {
  try {
    return readdirSync(directory)
  } catch {
    return []
  }
}

/** As Engine.diskUse. */
export const diskUse = async (context: Context): Promise<DiskUse> => {
  const { dataRoot, kernel, snapshots } = context
  const walk = async (...path: string[]): Promise<number> => {
    const answer = await kernel.perform([["usage"], ["path", join(dataRoot, ...path)]]).catch(() => undefined)
    return Number(answer?.get("bytes")?.[0] ?? 0)
  }
  const eachOf = async (directory: string): Promise<Map<string, number>> => {
    const found = new Map<string, number>()
    for (const name of entriesOf(join(dataRoot, directory))) found.set(name, await walk(directory, name))
    return found
  }

  const { layers, writable, idle } = await snapshots.diskUse()
  const containers = await eachOf("containers")
  for (const [key, bytes] of writable) containers.set(key, (containers.get(key) ?? 0) + bytes)
  const volumes = await eachOf("volumes")
  const content = await walk("content")
  const own = new Map<string, number>([["spare layers", idle]])
  own.set(
    "directories",
    sum(["", "containers", "volumes"].map((name) => allocatedBytes(join(dataRoot, name)))),
  )
  for (const name of entriesOf(dataRoot)) {
    if (["snapshots", "content", "containers", "volumes"].includes(name)) continue
    const thing = name.startsWith("state.db") ? "database" : name
    own.set(thing, (own.get(thing) ?? 0) + (await walk(name)))
  }
  const total = content + [layers, containers, volumes, own].reduce((all, map) => all + sum(map.values()), 0)
  return { layers, content, containers, volumes, own, total }
}
