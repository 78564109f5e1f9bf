// What the last layers of a context hold and where: files that are still the same are taken from such a layer's tar, not from
// thousands of files. Known in memory only; whoever knows nothing copies everything.
import type { Snapshotter } from "../../../snapshots/snapshotter.ts"
import { sameRecords } from "../../sources/local/digest-index.ts"
import { isRacy } from "../../sources/local/tree.ts"
import { walkOrder } from "../../sources/local/walk-order.ts"
import type { LaidEntry, Layout } from "./layout.ts"

/** A layer whose files were all copied from one scan of a context. */
export interface MadeLayer {
  readonly chainId: string
  /** Its tar. */
  readonly path: string
  readonly scan: Buffer
  /** By the scan's rows: where a file's header begins in the tar, -1 for what is not in it. */
  readonly places: Float64Array
}

export interface Reuse {
  /** Where an entry with all its blocks lies in the older tar, or -1. */
  find(laid: LaidEntry): number
}

/** Layers with fewer files are made as quickly without. */
const worthwhile = 500
const mostLayers = 4
/** Milliseconds after the last layer when all are forgotten, so that an idle engine is small. */
const forgottenAfter = 600_000

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

  return {
    /** The layer that this layout's copy made last, and what of it can be used. */
    async find(layout: Layout): Promise<{ layer: MadeLayer; reuse: Reuse } | undefined> {
      const single = singleCopy(layout)
      const layer = single === undefined ? undefined : layers.get(single.key)
      if (single === undefined || layer === undefined || snapshots.tar(layer.chainId) === undefined)
        return undefined
      const { scan, entries } = await single.local.scanned()
      const same = sameRecords(layer.scan, scan, entries, walkOrder)
      return {
        layer,
        reuse: {
          find({ body, header }) {
            if (body?.kind !== "file" || body.shared === true || header.attributes.length > 0) return -1
            const row = same[body.entry.row] ?? -1
            return row < 0 ? -1 : (layer.places[row] ?? -1)
          },
        },
      }
    },
    /** Remembers a layer whose files were all steady while they were copied; `begun` (unix ms): when that began. */
    async keep(layout: Layout, chainId: string, begun: number): Promise<void> {
      const path = snapshots.tar(chainId)?.path
      const single = layout.entries.length < worthwhile || path === undefined ? undefined : singleCopy(layout)
      if (single === undefined || path === undefined) return
      const { scan, entries } = await single.local.scanned()
      const places = new Float64Array(entries.length).fill(-1)
      for (const { body, at } of layout.entries)
        if (body?.kind === "file" && !isRacy(body.entry, begun)) places[body.entry.row] = at
      clearTimeout(forgetting)
      forgetting = setTimeout(() => layers.clear(), forgottenAfter)
      forgetting.unref()
      layers.delete(single.key)
      layers.set(single.key, { chainId, path, scan, places })
      for (const oldest of [...layers.keys()].slice(0, Math.max(0, layers.size - mostLayers)))
        layers.delete(oldest)
    },
  }
}

export type LayerReuse = ReturnType<typeof openReuse>
