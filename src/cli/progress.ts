// Bytes so far, told on a terminal while long work runs; silent elsewhere.
import { humanSize } from "./format/units.ts"
import type { Output } from "./output.ts"

const pause = 100 // milliseconds between two tellings

/**
 * Passes chunks on and tells on `err` how many bytes have gone, when that is a terminal and `quiet` is not set.
 * `total` (bytes) adds a share.
 */
export async function* counted(
  err: Output,
  what: string,
  chunks: AsyncIterable<Uint8Array>,
  options: { total?: number; quiet?: boolean } = {},
): AsyncGenerator<Uint8Array> {
  if (options.quiet || !err.isTTY) {
    yield* chunks
    return
  }
  let bytes = 0
  let toldAt = 0
  const tell = () => {
    const whole = options.total ? ` of ${humanSize(options.total, 3)}` : ""
    err.write(`\r\u001b[K${what} ${humanSize(bytes, 3)}${whole}`)
    toldAt = Date.now()
  }
  try {
    for await (const chunk of chunks) {
      bytes += chunk.length
      if (Date.now() - toldAt >= pause) tell()
      yield chunk
    }
  } finally {
    // The line is only of interest while the work runs.
    if (toldAt > 0) err.write("\r\u001b[K")
  }
}
