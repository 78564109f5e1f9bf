// Pulls bytes in wanted portions out of a stream of chunks of any size, without copying when it can.

export interface ByteReader {
  /** Exactly `length` bytes, or fewer at the end of the stream. Meant for small lengths: the bytes are gathered in memory. */
  take(length: number): Promise<Uint8Array>
  /** Between 1 and `maximum` bytes as they come; undefined at the end of the stream. */
  some(maximum: number): Promise<Uint8Array | undefined>
  /** Lets go of the source; it is told that nobody reads on. */
  close(): Promise<void>
}

/** Reads from `source`, whose chunks must not change afterwards. */
export const byteReader = (source: AsyncIterable<Uint8Array>): ByteReader => {
  const iterator = source[Symbol.asyncIterator]()
  let rest: Uint8Array = new Uint8Array(0)
  let ended = false

  const some = async (maximum: number): Promise<Uint8Array | undefined> => {
    while (rest.length === 0) {
      if (ended) return undefined
      const next = await iterator.next()
      if (next.done) ended = true
      else rest = next.value
    }
    const portion = rest.subarray(0, maximum)
    rest = rest.subarray(portion.length)
    return portion
  }

  return {
    some,
    async take(length) {
      const first = await some(length)
      if (first === undefined || first.length === length) return first ?? new Uint8Array(0)
      const parts = [first]
      let gathered = first.length
      while (gathered < length) {
        const next = await some(length - gathered)
        if (next === undefined) break
        parts.push(next)
        gathered += next.length
      }
      return Buffer.concat(parts, gathered)
    },
    async close() {
      if (ended) return
      ended = true
      await iterator.return?.()
    },
  }
}
