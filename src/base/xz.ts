// Decompresses xz by the reference decoder in WebAssembly, whose memory is bounded by the stream's dictionary.
import { ReadableStream } from "node:stream/web"
import { XzReadableStream } from "xz-decompress"
import { InflateError } from "./inflate.ts"

/** An async iterator as the kind of stream that the decoder reads; it is let go of when the decoder is. */
const streamOf = (source: AsyncIterable<Uint8Array>, failed: (error: unknown) => void): ReadableStream => {
  const iterator = source[Symbol.asyncIterator]()
  return new ReadableStream({
    async pull(controller) {
      try {
        let next = await iterator.next()
        // A chunk of nothing would be taken for no answer.
        while (!next.done && next.value.length === 0) next = await iterator.next()
        if (next.done) controller.close()
        else controller.enqueue(next.value)
      } catch (error) {
        failed(error)
        controller.error(error)
      }
    },
    async cancel() {
      await iterator.return?.()
    },
  })
}

/** The bytes of xz data, one stream or several. Throws {@link InflateError} for damaged or truncated data. */
export async function* unxz(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let cause: { readonly error: unknown } | undefined
  const compressed = streamOf(source, (error) => {
    cause = { error }
  })
  const reader = new XzReadableStream(compressed as never).getReader()
  try {
    for (;;) {
      const { done, value } = await reader.read()
      if (done) return
      // The decoder's memory is used again with the next chunk.
      yield Buffer.from(value)
    }
  } catch (error) {
    if (cause !== undefined) throw cause.error
    throw new InflateError(error instanceof Error ? error.message : String(error), { cause: error })
  } finally {
    await reader.cancel().catch(() => {})
  }
}
