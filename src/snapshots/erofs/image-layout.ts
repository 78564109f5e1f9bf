// Where everything of an EROFS index lies. Positions are bytes from the beginning of the metadata, whose first inode is the root's.
import { setImmediate } from "node:timers/promises"
import { encodeAttributes } from "./attributes.ts"
import { fileType } from "./inodes.ts"
import { type LayerTree, rootInode } from "./layer-tree.ts"
import type { SparseMap } from "./sparse-map.ts"

export const blockSize = 512
export const inodeSize = 64
/** An inode's number is its position in units of these bytes. */
export const inodeUnit = 32
/** Inodes begin where they never cross a block. */
const inodeAlignment = 64
/** Where the root lies: its number must not be 0, because readers of directories leave out what has that (".." beneath it). */
const rootAt = inodeAlignment
export const rootNumber = rootAt / inodeUnit
const entrySize = 12
/** Milliseconds after which others get a turn. */
const longestTurn = 8

export const alignUp = (value: number, unit: number): number => Math.ceil(value / unit) * unit

/** A directory as it is written: names in the order of their bytes, cut into blocks. */
export interface DirectoryList {
  readonly names: readonly string[]
  readonly inodes: readonly number[]
  /** Index of the first name of each block. */
  readonly blocks: readonly number[]
}

/** What a walk over the tree tells of, in the order of positions. */
export interface LayoutVisitor {
  directory(inode: number, list: DirectoryList): void
  inode(inode: number): void
}

/** First index whose name is not before `name`. */
const placeOf = (names: readonly string[], name: string): number => {
  let [low, high] = [0, names.length]
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((names[middle] ?? "") < name) low = middle + 1
    else high = middle
  }
  return low
}

const blocksOf = (names: readonly string[]): number[] => {
  const blocks: number[] = []
  let used = blockSize + 1
  for (const [index, { length }] of names.entries()) {
    if (used + entrySize + length > blockSize) {
      blocks.push(index)
      used = 0
    }
    used += entrySize + length
  }
  return blocks
}

export class ImageLayout {
  readonly #tree: LayerTree
  readonly #sparse: ReadonlyMap<number, SparseMap>
  /** Position of each inode; 0 means that the inode has no name. */
  readonly #position: Float64Array
  /** Position of what lies outside of the inode: a directory's blocks, a long link's target. */
  readonly #blocks: Float64Array
  /** Directories in a directory plus two. */
  readonly linkCounts: Uint32Array
  /** Inodes that are written. */
  inodeCount = 0
  /** Bytes in all, known when the places are given. */
  size = 0

  constructor(tree: LayerTree, sparse: ReadonlyMap<number, SparseMap>) {
    this.#tree = tree
    this.#sparse = sparse
    const { count } = tree.inodes
    this.#position = new Float64Array(count)
    this.#blocks = new Float64Array(count)
    this.linkCounts = tree.inodes.links.slice(0, count)
  }

  /** Gives everything its place. To be called once, before all else. */
  async place(): Promise<void> {
    let end = this.#occupy(rootInode, rootAt)
    await this.walk({
      directory: (inode, list) => {
        end = alignUp(end, blockSize)
        this.#blocks[inode] = end
        this.#tree.inodes.size[inode] = list.blocks.length * blockSize
        end += list.blocks.length * blockSize
        let below = 2
        for (const child of list.inodes) if (this.#tree.inodes.isDirectory(child)) below++
        // "." and ".." are in the list too.
        this.linkCounts[inode] = below - 2
      },
      inode: (inode) => {
        end = this.#occupy(inode, alignUp(end, inodeAlignment))
      },
    })
    this.size = alignUp(end, blockSize)
  }

  /** Visits the directories from the top, each followed by the inodes that it is the first to name. */
  async walk(visitor: LayoutVisitor): Promise<void> {
    let turn = performance.now()
    const seen = new Uint8Array(this.#position.length)
    seen[rootInode] = 1
    const waiting: [inode: number, parent: number][] = [[rootInode, rootInode]]
    for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
      if (performance.now() - turn > longestTurn) {
        await setImmediate()
        turn = performance.now()
      }
      const [directory, parent] = next
      const list = this.#listOf(directory, parent)
      visitor.directory(directory, list)
      const below: [number, number][] = []
      for (const inode of list.inodes) {
        if (seen[inode] === 1) continue
        seen[inode] = 1
        visitor.inode(inode)
        if (this.#tree.inodes.isDirectory(inode)) below.push([inode, directory])
      }
      for (let at = below.length - 1; at >= 0; at--) waiting.push(below[at] ?? [rootInode, rootInode])
    }
  }

  positionOf(inode: number): number {
    return this.#position[inode] ?? 0
  }

  /** Position of a directory's blocks or of a link's target that lies outside of its inode. */
  blocksOf(inode: number): number {
    return this.#blocks[inode] ?? 0
  }

  #listOf(directory: number, parent: number): DirectoryList {
    const names: string[] = []
    const inodes: number[] = []
    for (const entry of this.#tree.names.sorted(directory)) {
      names.push(this.#tree.names.nameOf(entry))
      inodes.push(this.#tree.names.inodeOf(entry))
    }
    for (const [name, inode] of [
      [".", directory],
      ["..", parent],
    ] as const) {
      const at = placeOf(names, name)
      names.splice(at, 0, name)
      inodes.splice(at, 0, inode)
    }
    return { names, inodes, blocks: blocksOf(names) }
  }

  /** Gives the end of an inode that begins at `from` or, where its inline bytes would cross a block, after it. */
  #occupy(inode: number, from: number): number {
    this.inodeCount++
    const attributes = this.#tree.attributes.get(inode)
    const head = inodeSize + (attributes === undefined ? 0 : encodeAttributes(attributes).length)
    const target = this.#tree.targets.get(inode)
    let start = from
    let end = start + head
    if (this.#tree.inodes.typeOf(inode) === fileType.symlink && target !== undefined) {
      if (head + target.length <= blockSize) {
        if ((start % blockSize) + head + target.length > blockSize) start = alignUp(start, blockSize)
        end = start + head + target.length
      } else {
        this.#blocks[inode] = alignUp(end, blockSize)
        end = alignUp(end, blockSize) + target.length
      }
    }
    const chunks = this.#sparse.get(inode)?.chunks.length
    if (chunks !== undefined) end = alignUp(end, 8) + 8 * chunks
    this.#position[inode] = start
    return end
  }

  /** Whether a link's target lies in its inode. */
  isInline(inode: number): boolean {
    return this.#blocks[inode] === 0
  }
}
