// A file's bytes as a stream of large chunks.
import { open } from "node:fs/promises"
import { failure } from "../base/errors.ts"

const chunkSize = 1 << 20

/** Bytes from `start` (0) to before `end` (`size`). Throws internal when the file is shorter than `size`. */
export async function* readFileRange(
  path: string,
  size: number,
  range?: { start: number; end?: number },
): AsyncGenerator<Uint8Array> {
  const end = Math.min(range?.end ?? size, size)
  await using file = await open(path, "r")
  for (let at = range?.start ?? 0; at < end; ) {
    const room = Buffer.allocUnsafeSlow(Math.min(chunkSize, end - at))
    const { bytesRead } = await file.read(room, 0, room.length, at)
    if (bytesRead === 0) throw failure("internal", `${path} is shorter than it was when it was written`)
    at += bytesRead
    yield room.subarray(0, bytesRead)
  }
}
