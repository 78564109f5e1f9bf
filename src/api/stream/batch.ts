// Gathers many small pieces into few large writes, and waits when the reader is slower than the writer.

const FULL = 64 * 1024

export interface Batch {
  /** Takes a piece. A returned promise asks the caller to wait before the next one. */
  push(piece: Uint8Array): Promise<void> | undefined
  /** Writes what is left. */
  flush(): void
}

/** `output` gets at most one write per turn of the event loop while pieces are small. */
export function createBatch(output: NodeJS.WritableStream & { destroyed?: boolean }): Batch {
  let pieces: Uint8Array[] = []
  let size = 0
  let scheduled = false
  let blocked = false
  const flush = () => {
    scheduled = false
    const [first] = pieces
    if (first === undefined || output.destroyed === true) return
    blocked = !output.write(pieces.length === 1 ? first : Buffer.concat(pieces, size))
    pieces = []
    size = 0
  }
  const drained = (): Promise<void> =>
    new Promise((resolve) => {
      const done = () => {
        blocked = false
        output.off("drain", done)
        output.off("close", done)
        resolve()
      }
      output.once("drain", done)
      output.once("close", done)
    })
  return {
    push(piece) {
      pieces.push(piece)
      size += piece.length
      if (size >= FULL) {
        flush()
        return blocked && output.destroyed !== true ? drained() : undefined
      }
      if (!scheduled) {
        scheduled = true
        setImmediate(flush)
      }
      return undefined
    },
    flush,
  }
}
