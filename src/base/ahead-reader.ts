// Bytes of a stream in one piece, for decoders that look at a whole block at a time.
import { setImmediate } from "node:timers/promises"

export interface AheadReader {
  /** What is there; taken by moving `at`. */
  readonly bytes: Uint8Array
  at: number
  /** Sees to it that `count` bytes are there from `at` on, fewer only at the end of the stream. */
  fill(count: number): Promise<void>
  close(): Promise<void>
}

export const aheadReader = (source: AsyncIterable<Uint8Array>): AheadReader => {
  const iterator = source[Symbol.asyncIterator]()
  let bytes: Uint8Array = new Uint8Array(0)
  let ended = false
  const reader: AheadReader = {
    at: 0,
    get bytes() {
      return bytes
    },
    async fill(count) {
      // Decoding takes long: others get a turn.
      await setImmediate()
      if (bytes.length - reader.at >= count || ended) return
      const parts: Uint8Array[] = [bytes.subarray(reader.at)]
      let length = bytes.length - reader.at
      while (length < 2 * count && !ended) {
        const next = await iterator.next()
        if (next.done) ended = true
        else {
          parts.push(next.value)
          length += next.value.length
        }
      }
      bytes = Buffer.concat(parts, length)
      reader.at = 0
    },
    async close() {
      if (!ended) await iterator.return?.()
      ended = true
    },
  }
  return reader
}
