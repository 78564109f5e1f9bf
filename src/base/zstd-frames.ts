// Follows the frames of a zstd stream while it passes, because the decompressor takes a truncated one for complete.
import { failure } from "./errors.ts"

const littleEndian = (bytes: readonly number[]): number =>
  bytes.reduceRight((value, byte) => value * 256 + byte, 0)

/** What is awaited next: so many bytes to look at, or so many to skip. */
type Step =
  | { readonly kind: "magic" | "descriptor" | "block" | "skippable-size"; readonly need: number }
  | { readonly kind: "skip"; readonly then: Step }

/**
 * Passes zstd bytes on unchanged; throws Failure "invalid" at the end when the last frame is not complete. Bytes that
 * are no frame at all are left to the decompressor to refuse.
 */
export async function* zstdFrames(
  source: AsyncIterable<Uint8Array>,
  what: string,
): AsyncGenerator<Uint8Array> {
  const magic: Step = { kind: "magic", need: 4 }
  const block: Step = { kind: "block", need: 3 }
  let step: Step = magic
  let gathered: number[] = []
  let toSkip = 0
  let checksum = 0
  let lost = false

  const skip = (bytes: number, then: Step): Step => {
    toSkip = bytes
    return bytes === 0 ? then : { kind: "skip", then }
  }
  const advance = (bytes: readonly number[]): Step => {
    switch (step.kind) {
      case "magic": {
        const value = littleEndian(bytes)
        if (value >= 0x184d2a50 && value <= 0x184d2a5f) return { kind: "skippable-size", need: 4 }
        if (value !== 0xfd2fb528) lost = true
        return { kind: "descriptor", need: 1 }
      }
      case "skippable-size":
        return skip(littleEndian(bytes), magic)
      case "descriptor": {
        const descriptor = bytes[0] ?? 0
        const single = (descriptor & 0x20) !== 0
        const contentSize = [single ? 1 : 0, 2, 4, 8][descriptor >> 6] ?? 0
        const dictionary = [0, 1, 2, 4][descriptor & 3] ?? 0
        checksum = (descriptor & 4) !== 0 ? 4 : 0
        return skip(contentSize + dictionary + (single ? 0 : 1), block)
      }
      case "block": {
        const header = littleEndian(bytes)
        const size = ((header >> 1) & 3) === 1 ? 1 : header >> 3
        return (header & 1) !== 0 ? skip(size + checksum, magic) : skip(size, block)
      }
      case "skip":
        return step.then
    }
  }

  for await (const chunk of source) {
    for (let at = 0; at < chunk.length && !lost; ) {
      if (step.kind === "skip") {
        const portion = Math.min(toSkip, chunk.length - at)
        toSkip -= portion
        at += portion
        if (toSkip === 0) step = step.then
        continue
      }
      gathered.push(chunk[at++] ?? 0)
      if (gathered.length < step.need) continue
      step = advance(gathered)
      gathered = []
    }
    yield chunk
  }
  if (!lost && (step !== magic || gathered.length > 0))
    throw failure("invalid", `${what} is damaged zstd data: unexpected end of file`)
}
