// A blob on its way in: written piece by piece, hashed as it comes, and read by others while it still grows.
import { type FileHandle, open } from "node:fs/promises"
import { meter } from "../base/digest-stream.ts"
import { failure } from "../base/errors.ts"
import type { Incoming } from "./content.ts"
import { mostPieces, writePieces, writeSize } from "./pieces.ts"

const chunkSize = 1 << 20
/** Buffers of a reader that uses them again: one being filled, one being read, one between. */
const ringSize = 3

export interface IncomingParts {
  readonly temporary: string
  /** Where it lies once it is a blob. */
  readonly path: string
  readonly expected: { readonly digest: string; readonly size: number }
  /** It stays where it is, verified, until it is abandoned. */
  readonly passing: boolean
  /** Makes the verified file a blob and closes it in time. Not called for what is passing. */
  keep(file: FileHandle): Promise<void>
  drop(): Promise<void>
  writeFailure(cause: unknown): unknown
}

export const openIncoming = async (parts: IncomingParts): Promise<Incoming> => {
  const { temporary, path, expected } = parts
  const file = await open(temporary, "wx", 0o600)
  const measure = meter()
  let pending: Uint8Array[] = []
  let pendingSize = 0
  let received = 0
  let written = 0
  let end: { readonly error?: unknown } | undefined
  let wake = Promise.withResolvers<void>()
  const tell = () => {
    wake.resolve()
    wake = Promise.withResolvers<void>()
  }
  const flush = async (): Promise<void> => {
    if (pendingSize === 0) return
    const [pieces, size] = [pending, pendingSize]
    pending = []
    pendingSize = 0
    const writing = writePieces(file, pieces, written)
    for (const piece of pieces) measure.add(piece)
    await writing
    written += size
    tell()
  }
  const settle = (how: { readonly error?: unknown }): void => {
    end ??= how
    tell()
  }

  return {
    get received() {
      return received
    },
    async write(chunk) {
      received += chunk.length
      if (received > expected.size)
        throw failure("invalid", `a blob is longer than the ${expected.size} bytes that were announced`)
      pending.push(chunk)
      pendingSize += chunk.length
      if (pendingSize < writeSize && pending.length < mostPieces) return
      try {
        await flush()
      } catch (error) {
        throw parts.writeFailure(error)
      }
    },
    async finish() {
      try {
        await flush()
        const found = measure.finish()
        if (found.size !== expected.size)
          throw failure("invalid", `a blob has ${found.size} bytes, but ${expected.size} were announced`)
        if (found.digest !== expected.digest)
          throw failure(
            "invalid",
            `filesystem layer verification failed for digest ${expected.digest}: its bytes have ${found.digest}`,
          )
        if (!parts.passing) await parts.keep(file)
        settle({})
      } catch (cause) {
        const error = parts.writeFailure(cause)
        settle({ error })
        await file.close().catch(() => {})
        await parts.drop()
        throw error
      }
    },
    async abandon(error) {
      if (end !== undefined && !parts.passing) return
      settle({ error: error ?? failure("cancelled", `the blob ${expected.digest} was given up`) })
      await file.close().catch(() => {})
      await parts.drop()
    },
    async *follow({ reuse = false } = {}) {
      const own = await open(temporary, "r").catch(() => open(path, "r").catch(() => undefined))
      if (own === undefined)
        throw end?.error ?? failure("cancelled", `the blob ${expected.digest} did not come in`)
      try {
        let at = 0
        const ring: Buffer[] = []
        const room = (length: number): Buffer => {
          if (!reuse) return Buffer.allocUnsafeSlow(length)
          const next = ring.length < ringSize ? Buffer.allocUnsafeSlow(chunkSize) : ring.shift()
          ring.push(next ?? Buffer.allocUnsafeSlow(chunkSize))
          return ring.at(-1) ?? Buffer.alloc(length)
        }
        for (;;) {
          // Taken before the look at what is there, so that nothing is missed in between.
          const more = wake.promise
          const available = written
          while (at < available) {
            const length = Math.min(chunkSize, available - at)
            const { bytesRead, buffer } = await own.read(room(length), 0, length, at)
            if (bytesRead === 0)
              throw failure("internal", `the blob ${expected.digest} was cut short while it was read`)
            at += bytesRead
            yield buffer.subarray(0, bytesRead)
          }
          if (end?.error !== undefined) throw end.error
          if (end !== undefined && at >= written) return
          if (at >= written) await more
        }
      } finally {
        await own.close()
      }
    },
  }
}
