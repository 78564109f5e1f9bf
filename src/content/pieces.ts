// Streams of small chunks as few large writes: pieces are gathered as they are and written together, never copied.
import type { FileHandle } from "node:fs/promises"

/** Bytes of one write. */
export const writeSize = 1 << 20
/** Pieces written at once; the kernel takes 1024. */
export const mostPieces = 512

export interface Portion {
  readonly pieces: readonly Uint8Array[]
  readonly size: number
}

/** Portions of about {@link writeSize} bytes. The source's chunks must not change afterwards. */
export async function* portions(source: AsyncIterable<Uint8Array>): AsyncGenerator<Portion> {
  let pieces: Uint8Array[] = []
  let size = 0
  for await (const chunk of source) {
    pieces.push(chunk)
    size += chunk.length
    if (size < writeSize && pieces.length < mostPieces) continue
    yield { pieces, size }
    pieces = []
    size = 0
  }
  if (size > 0) yield { pieces, size }
}

/** Writes all the pieces, in order, without gathering them in memory first. */
export const writePieces = async (
  file: FileHandle,
  pieces: readonly Uint8Array[],
  position: number,
): Promise<void> => {
  let { bytesWritten: done } = await file.writev(pieces, position)
  let passed = 0
  for (const piece of pieces) {
    // Only a short write leaves something to do.
    for (; done < passed + piece.length; )
      done += (await file.write(piece, done - passed, passed + piece.length - done, position + done))
        .bytesWritten
    passed += piece.length
  }
}
