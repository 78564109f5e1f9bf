// Inflates gzip and zstd into buffers that are used again. Streams of node:zlib allocate one for every chunk, and in the
// daemon's small heap collecting those takes longer than inflating. This speaks to the native handles beneath those
// streams, which do their work in threads of the runtime's pool; the runtime is pinned, and tests hold both against each other.
import { constants, createGunzip, createZstdDecompress } from "node:zlib"

/** One write at a time; `landed` is called when it is done, or `onerror`. */
interface Handle {
  init(...options: readonly unknown[]): void
  write(
    flush: number,
    input: Uint8Array,
    inputAt: number,
    inputLength: number,
    output: Uint8Array,
    outputAt: number,
    outputLength: number,
  ): void
  close(): void
  onerror: (message: string, errno: number, code: string) => void
}
type HandleOf = new (mode: number) => Handle

export type Packing = "gzip" | "zstd"

/** Damaged or truncated data. */
export class InflateError extends Error {
  override readonly name = "InflateError"
}

const chunkSize = 1 << 20
/** One being filled, one being read, one between. */
const ringSize = 3

/** The native class is found at a stream that is thrown away. */
const findHandle = (kind: Packing): HandleOf => {
  const stream = kind === "gzip" ? createGunzip() : createZstdDecompress()
  const { _handle: handle } = stream as unknown as { _handle: Handle }
  stream.destroy()
  return handle.constructor as HandleOf
}

const openHandle = (kind: Packing, left: Uint32Array, landed: () => void): Handle => {
  const HandleClass = findHandle(kind)
  if (kind === "gzip") {
    const handle = new HandleClass(constants.GUNZIP)
    handle.init(0, constants.Z_DEFAULT_COMPRESSION, 8, constants.Z_DEFAULT_STRATEGY, left, landed, undefined)
    return handle
  }
  const handle = new HandleClass(constants.ZSTD_DECOMPRESS)
  const parameters = new Uint32Array(constants.ZSTD_d_windowLogMax + 1).fill(-1)
  handle.init(parameters, undefined, left, landed, undefined)
  return handle
}

/**
 * The bytes of `source`, inflated, in chunks of up to 1 MB. A chunk stays as it is until the second one after it is asked
 * for, and a chunk of `source` must until the next one of those is. Throws {@link InflateError}.
 */
export async function* inflateInto(
  source: AsyncIterable<Uint8Array>,
  kind: Packing,
): AsyncGenerator<Uint8Array> {
  /** What is left of the output and of the input after a write. */
  const left = new Uint32Array(2)
  const ring = Array.from({ length: ringSize }, () => Buffer.allocUnsafeSlow(chunkSize))
  let turn = 0
  let waiting = Promise.withResolvers<void>()
  const handle = openHandle(kind, left, () => waiting.resolve())
  handle.onerror = (message) => waiting.reject(new InflateError(message))
  const [none, finish] =
    kind === "gzip"
      ? [constants.Z_NO_FLUSH, constants.Z_FINISH]
      : [constants.ZSTD_e_continue, constants.ZSTD_e_end]

  async function* inflate(input: Uint8Array, flush: number): AsyncGenerator<Uint8Array> {
    let at = 0
    for (;;) {
      const output = ring[turn] ?? Buffer.alloc(0)
      waiting = Promise.withResolvers<void>()
      handle.write(flush, input, at, input.length - at, output, 0, output.length)
      await waiting.promise
      const [outputLeft = 0, inputLeft = 0] = left
      at = input.length - inputLeft
      if (outputLeft < output.length) {
        turn = (turn + 1) % ringSize
        yield output.subarray(0, output.length - outputLeft)
      }
      // With room left it wanted no more of this input: what there is beyond the end is nobody's.
      if (outputLeft > 0) return
    }
  }
  try {
    for await (const chunk of source) yield* inflate(chunk, none)
    yield* inflate(new Uint8Array(0), finish)
  } finally {
    handle.close()
  }
}
