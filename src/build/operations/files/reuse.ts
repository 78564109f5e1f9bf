// What the last layers of a context hold and where: files that are still the same are taken from such a layer's tar, not from
// thousands of files. Known in memory only; whoever knows nothing copies everything.
import type { Snapshotter } from "../../../snapshots/snapshotter.ts"
import { sameRecords } from "../../sources/local/digest-index.ts"
import { isRacy } from "../../sources/local/tree.ts"
import { walkOrder } from "../../sources/local/walk-order.ts"
import type { LaidEntry, Layout } from "./layout.ts"
import { encodeEntry } from "./tar-entry.ts"

/** A layer whose files were all copied from one scan of a context. */
export interface MadeLayer {
  readonly chainId: string
  /** Its tar. */
  readonly path: string
  readonly scan: Buffer
  /** By the scan's rows: where a file's header begins in the tar, -1 for what is not in it. */
  readonly places: Float64Array
  /** Headers of what is no file, by where they begin. */
  readonly heads: ReadonlyMap<number, Buffer>
  /** States of the tar's hash after each {@link stateBytes}, as the launcher tells of them. */
  readonly states: string
}

export interface Reuse {
  /** Where an entry with all its blocks lies in the older tar, or -1. */
  find(laid: LaidEntry): number
  /** How many entries the new tar begins with as the older one does, byte for byte, and where they end. */
  readonly beginning: { readonly entries: number; readonly end: number }
}

/** What a state of the hash stands for (launcher/trees/assemble.c). */
export const stateBytes = 4 << 20
const stateDigits = 64

/** The last state of the older tar's hash within the beginning that both have. */
export const stateWithin = (
  states: string,
  end: number,
): { readonly bytes: number; readonly state: string } | undefined => {
  const count = Math.min(Math.floor(end / stateBytes), states.length / stateDigits)
  if (count === 0) return undefined
  return { bytes: count * stateBytes, state: states.slice((count - 1) * stateDigits, count * stateDigits) }
}

/** Layers with fewer files are made as quickly without. */
const worthwhile = 500
const mostLayers = 4
/** Milliseconds after a layer was made until it is remembered. */
const keptAfter = 30
/** Milliseconds after the last layer when all are forgotten, so that an idle engine is small. */
const forgottenAfter = 600_000

/** Headers of directories and links that are remembered of a layer. */
const mostHeads = 4096

/** Entries that lie where they lay, with the same bytes. */
const beginningOf = (
  layout: Layout,
  layer: MadeLayer,
  find: (laid: LaidEntry) => number,
): Reuse["beginning"] => {
  let [entries, end] = [0, 0]
  for (const laid of layout.entries) {
    const same =
      laid.body === undefined
        ? layer.heads.get(laid.at)?.equals(encodeEntry(laid.header)) === true
        : find(laid) === laid.at
    if (!same) break
    entries++
    end = laid.end
  }
  return { entries, end }
}

/** What the files of a layout have in common when it is one copy of one context. */
const singleCopy = (layout: Layout) => {
  let copy: string | undefined
  for (const { body } of layout.entries) {
    if (body === undefined) continue
    if (body.kind !== "file" || body.copy === undefined || (copy !== undefined && body.copy !== copy))
      return undefined
    copy = body.copy
  }
  const body = layout.entries.find((laid) => laid.body?.kind === "file")?.body
  const local = body?.kind === "file" ? body.source.local : undefined
  return copy === undefined || local === undefined || local.name === ""
    ? undefined
    : { key: `${local.name} ${copy}`, local }
}

export const openReuse = (snapshots: Snapshotter) => {
  const layers = new Map<string, MadeLayer>()
  let forgetting: ReturnType<typeof setTimeout> | undefined

  const keepNow = async (layout: Layout, chainId: string, begun: number, states: string): Promise<void> => {
    const path = snapshots.tar(chainId)?.path
    const single = layout.entries.length < worthwhile || path === undefined ? undefined : singleCopy(layout)
    if (single === undefined || path === undefined) return
    const { scan, entries } = await single.local.scanned()
    const places = new Float64Array(entries.length).fill(-1)
    const heads = new Map<number, Buffer>()
    for (const { body, at, header, end } of layout.entries)
      if (body?.kind === "file") {
        if (!isRacy(body.entry, begun)) places[body.entry.row] = at
      } else if (body === undefined && heads.size < mostHeads && header.size === 0 && end > at)
        heads.set(at, encodeEntry(header))
    clearTimeout(forgetting)
    forgetting = setTimeout(() => layers.clear(), forgottenAfter)
    forgetting.unref()
    layers.delete(single.key)
    layers.set(single.key, { chainId, path, scan, places, heads, states })
    for (const oldest of [...layers.keys()].slice(0, Math.max(0, layers.size - mostLayers)))
      layers.delete(oldest)
  }

  return {
    /** The layer that this layout's copy made last, and what of it can be used. */
    async find(layout: Layout): Promise<{ layer: MadeLayer; reuse: Reuse } | undefined> {
      const single = singleCopy(layout)
      const layer = single === undefined ? undefined : layers.get(single.key)
      if (single === undefined || layer === undefined || snapshots.tar(layer.chainId) === undefined)
        return undefined
      const { scan, entries } = await single.local.scanned()
      const same = sameRecords(layer.scan, scan, entries, walkOrder)
      const find = ({ body, header }: LaidEntry): number => {
        if (body?.kind !== "file" || body.shared === true || header.attributes.length > 0) return -1
        const row = same[body.entry.row] ?? -1
        return row < 0 ? -1 : (layer.places[row] ?? -1)
      }
      return { layer, reuse: { find, beginning: beginningOf(layout, layer, find) } }
    },
    /**
     * Remembers a layer whose files were all steady while they were copied; `begun` (unix ms): when that began. In a while,
     * when the build has been answered.
     */
    keep(layout: Layout, chainId: string, begun: number, states: string): void {
      setTimeout(() => {
        keepNow(layout, chainId, begun, states).catch(() => {
          // Whoever knows nothing copies everything.
        })
      }, keptAfter).unref()
    },
  }
}

export type LayerReuse = ReturnType<typeof openReuse>
