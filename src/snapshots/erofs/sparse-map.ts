// A sparse file as chunks: holes, pieces of the tar where they fit block for block, and copies in the index where not.
import type { Extent } from "./sparse.ts"
import { refusal } from "./tar-scan.ts"

const blockSize = 512
const smallestChunk = 4096
/** Chunk sizes are block sizes times a power of two up to 31. */
const largestChunk = 2 ** 40
const mostChunks = 1 << 20
/** Bytes of copies in one layer; the index is sparse itself, this is about addresses. */
const mostBytes = 2 ** 38

export type Chunk =
  | { readonly kind: "hole" }
  | { readonly kind: "tar"; readonly block: number }
  | { readonly kind: "copy"; readonly block: number }

export interface SparseMap {
  readonly chunkSize: number
  readonly chunks: readonly Chunk[]
}

/** Bytes to be copied from the tar into the index. */
export interface Copy {
  readonly from: number
  readonly to: number
  readonly length: number
}

interface Piece extends Extent {
  /** Byte of the tar. */
  readonly start: number
}

/** Chunks that hold data, with the pieces in each. */
const touched = (pieces: readonly Piece[], chunkSize: number): Map<number, Piece[]> => {
  const chunks = new Map<number, Piece[]>()
  for (const piece of pieces) {
    if (piece.length === 0) continue
    const last = Math.floor((piece.offset + piece.length - 1) / chunkSize)
    for (let at = Math.floor(piece.offset / chunkSize); at <= last; at++) {
      const known = chunks.get(at)
      if (known === undefined) chunks.set(at, [piece])
      else known.push(piece)
    }
  }
  return chunks
}

/**
 * Lays out a file of `size` bytes whose pieces lie in the tar one after the other from `start`. Copies go into the index
 * from the byte `free` on, a multiple of 512; the new `free` comes back.
 */
export const mapSparse = (
  file: { size: number; start: number; extents: readonly Extent[] },
  free: number,
): { map: SparseMap; copies: readonly Copy[]; free: number } => {
  let start = file.start
  const pieces = file.extents.map((extent) => {
    const piece = { ...extent, start }
    start += extent.length
    return piece
  })
  // Few chunks for few pieces: a tar of nothing but headers must not grow into a large index.
  const wanted = Math.min(mostChunks, 64 + 16 * pieces.length)
  let chunkSize = smallestChunk
  while (file.size / chunkSize > wanted && chunkSize < largestChunk) chunkSize *= 2
  let byChunk = touched(pieces, chunkSize)
  while (
    byChunk.size * chunkSize > mostBytes - free &&
    file.size / chunkSize < mostChunks &&
    chunkSize > smallestChunk
  ) {
    chunkSize /= 2
    byChunk = touched(pieces, chunkSize)
  }
  const count = Math.ceil(file.size / chunkSize)
  if (byChunk.size * chunkSize > mostBytes - free || count > mostChunks)
    throw refusal(`a sparse file of ${file.size} bytes is too large`)
  const chunks: Chunk[] = Array.from({ length: count }, () => ({ kind: "hole" }))
  const copies: Copy[] = []
  let next = free
  for (const [index, inside] of byChunk) {
    const from = index * chunkSize
    const to = Math.min(from + chunkSize, file.size)
    const [first] = inside
    if (first !== undefined && first.offset <= from && first.offset + first.length >= to) {
      const place = first.start + (from - first.offset)
      if (place % blockSize === 0) {
        chunks[index] = { kind: "tar", block: place / blockSize }
        continue
      }
    }
    chunks[index] = { kind: "copy", block: next / blockSize }
    for (const piece of inside) {
      const begin = Math.max(piece.offset, from)
      const length = Math.min(piece.offset + piece.length, to) - begin
      copies.push({ from: piece.start + (begin - piece.offset), to: next + (begin - from), length })
    }
    next += chunkSize
  }
  return { map: { chunkSize, chunks }, copies, free: next }
}
