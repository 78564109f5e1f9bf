// Where everything of a layer's tar will lie, known before a byte of it is written.
import { blockSize } from "../../../base/tar-header.ts"
import type { LayerEntry } from "../../../snapshots/snapshotter.ts"
import { isDirectory, typeMask, types } from "../../sources/local/scan.ts"
import { walkOrder } from "../../sources/local/walk-order.ts"
import { headLength, type TarEntry } from "./tar-entry.ts"
import type { Body, Node } from "./target.ts"

export interface LaidEntry {
  readonly header: TarEntry
  /** Absent for what has no bytes of its own, second names of a file among them. */
  readonly body?: Body
  /** Bytes of the tar from the header to the end of the last block. */
  readonly at: number
  readonly bodyAt: number
  readonly end: number
}

export interface Layout {
  readonly entries: readonly LaidEntry[]
  /** Bytes of the whole tar. */
  readonly size: number
}

const kinds: Readonly<Record<number, string>> = {
  [types.file]: "0",
  [types.symlink]: "2",
  [types.character]: "3",
  [types.block]: "4",
  [types.directory]: "5",
  [types.fifo]: "6",
}

const isSameFile = (a: Node, b: Node): boolean => a.mode === b.mode && a.uid === b.uid && a.gid === b.gid

const headerOf = (path: string, node: Node, first: string | undefined): TarEntry => ({
  name: isDirectory(node.mode) ? `${path}/` : path,
  kind: first === undefined ? (kinds[node.mode & typeMask] ?? "0") : "1",
  mode: node.mode & 0o7777,
  uid: node.uid,
  gid: node.gid,
  size: first === undefined ? (node.body?.size ?? 0) : 0,
  mtime: node.mtime,
  link: first ?? node.link,
  major: node.major,
  minor: node.minor,
  attributes: first === undefined ? node.attributes : [],
})

/** Entries in the order of a walk, whatever the order of the changes. */
export const layOut = (changes: ReadonlyMap<string, Node>): Layout => {
  const nodes = [...changes]
  // A copy of one tree puts its files in this order already, and a look costs less than a sort.
  const isSorted = nodes.every(([path], at) => at === 0 || walkOrder(nodes[at - 1]?.[0] ?? "", path) < 0)
  if (!isSorted) nodes.sort(([a], [b]) => walkOrder(a, b))
  const firsts = new Map<Body, { path: string; node: Node }>()
  const entries: LaidEntry[] = []
  let at = 0
  for (const [path, node] of nodes) {
    const { body } = node
    let first: string | undefined
    if (body?.shared === true) {
      const known = firsts.get(body)
      if (known === undefined) firsts.set(body, { path, node })
      else if (isSameFile(known.node, node)) first = known.path
    }
    const header = headerOf(path, node, first)
    const bodyAt = at + headLength(header)
    const end = bodyAt + Math.ceil(header.size / blockSize) * blockSize
    entries.push(
      body === undefined || first !== undefined
        ? { header, at, bodyAt, end }
        : { header, body, at, bodyAt, end },
    )
    at = end
  }
  return { entries, size: at + 2 * blockSize }
}

const layerKinds: Readonly<Record<string, LayerEntry["kind"]>> = {
  "0": "file",
  "1": "hardlink",
  "2": "symlink",
  "3": "character",
  "4": "block",
  "5": "directory",
  "6": "fifo",
}

/** As the layer's index is made from. */
export function* layerEntries({ entries }: Layout): Generator<LayerEntry> {
  for (const { header, bodyAt } of entries)
    yield {
      kind: layerKinds[header.kind] ?? "file",
      name: header.kind === "5" ? header.name.slice(0, -1) : header.name,
      link: header.link,
      mode: header.mode,
      uid: header.uid,
      gid: header.gid,
      major: header.major,
      minor: header.minor,
      mtime: [header.mtime, 0],
      size: header.size,
      start: bodyAt,
      stored: header.size,
      attributes: header.attributes.map(({ name, value }) => ({ name, value: Buffer.from(value, "latin1") })),
    }
}
