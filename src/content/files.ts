// Blobs as files: ROOT/blobs/sha256/<hex>; unfinished ones as ROOT/ingest/<random>.
import { randomBytes } from "node:crypto"
import { linkSync, mkdirSync, readdirSync, rmSync, statSync } from "node:fs"
import { type FileHandle, open, opendir, readFile, rename, rm, stat } from "node:fs/promises"
import { join } from "node:path"
import { syncDirectory } from "../base/atomic-file.ts"
import { crashPoint } from "../base/crash-point.ts"
import { digestOf, meter } from "../base/digest-stream.ts"
import { failure } from "../base/errors.ts"
import { digestHex, isDigest } from "../oci/digest.ts"
import type { ContentStore } from "./content.ts"
import { openIncoming } from "./incoming.ts"
import { portions, writePieces } from "./pieces.ts"

const chunkSize = 1 << 20
const largestRead = 4 << 20

const isMissing = (error: unknown): boolean =>
  error instanceof Error && "code" in error && error.code === "ENOENT"

/** The system's error of a write, as one that a person can act on. */
const writeFailure = (cause: unknown): unknown =>
  cause instanceof Error && "code" in cause && (cause.code === "ENOSPC" || cause.code === "EDQUOT")
    ? failure(
        "exhausted",
        "no space left on the disk that holds the engine's data: remove images or free some space",
        {
          cause,
        },
      )
    : cause

/** Opens a store beneath `root`, making its directories (mode 0700). */
export const openContent = async (root: string): Promise<ContentStore> => {
  const blobs = join(root, "blobs", "sha256")
  const ingests = join(root, "ingest")
  for (const directory of [root, join(root, "blobs"), blobs, ingests])
    mkdirSync(directory, { recursive: true, mode: 0o700 })

  const pathOf = (digest: string): string => {
    if (!isDigest(digest)) throw failure("invalid", `"${digest}" is not a sha256 digest`)
    return join(blobs, digestHex(digest))
  }
  const missing = (digest: string, cause?: unknown) =>
    failure("not-found", `the blob ${digest} is not in the content store`, { cause })
  const size = (digest: string): number | undefined =>
    statSync(pathOf(digest), { throwIfNoEntry: false })?.size

  /** Blobs on their way to the disk; a write that failed stays until sync() has told of it. */
  const syncing = new Set<Promise<void>>()
  let unsyncedNames = false
  const beginSync = (file: FileHandle, path: string): void => {
    unsyncedNames = true
    const write = file
      .datasync()
      .finally(() => file.close())
      .then(
        () => {
          syncing.delete(write)
        },
        (error: unknown) => {
          rmSync(path, { force: true })
          throw error
        },
      )
    write.catch(() => {})
    syncing.add(write)
  }

  const ingest: ContentStore["ingest"] = async (bytes, expected = {}, signal) => {
    const present = expected.digest !== undefined && size(expected.digest) !== undefined
    const temporary = join(ingests, randomBytes(12).toString("hex"))
    const file = present ? undefined : await open(temporary, "wx", 0o600)
    try {
      const measure = meter()
      let length = 0
      try {
        let writing: Promise<void> | undefined
        try {
          for await (const { pieces, size: portion } of portions(bytes)) {
            signal?.throwIfAborted()
            if (expected.size !== undefined && length + portion > expected.size)
              throw failure("invalid", `a blob is longer than the ${expected.size} bytes that were announced`)
            // The portion before this one was written while this one came in.
            await writing
            writing = file === undefined ? undefined : writePieces(file, pieces, length)
            writing?.catch(() => {})
            length += portion
            for (const piece of pieces) measure.add(piece)
          }
        } finally {
          await writing
        }
        const found = measure.finish()
        if (expected.size !== undefined && found.size !== expected.size)
          throw failure("invalid", `a blob has ${found.size} bytes, but ${expected.size} were announced`)
        if (expected.digest !== undefined && found.digest !== expected.digest)
          throw failure(
            "invalid",
            `a blob has the digest ${found.digest}, but ${expected.digest} was announced`,
          )
        if (file !== undefined && size(found.digest) === undefined) {
          crashPoint("blob:written")
          await rename(temporary, pathOf(found.digest))
          beginSync(file, pathOf(found.digest))
        } else await file?.close()
        return found
      } catch (error) {
        await file?.close()
        throw error
      }
    } catch (error) {
      throw writeFailure(error)
    } finally {
      if (file !== undefined) await rm(temporary, { force: true })
    }
  }

  async function* openBlob(
    digest: string,
    range?: { start: number; end?: number },
  ): AsyncGenerator<Uint8Array> {
    const file = await open(pathOf(digest), "r").catch((error: unknown) => {
      throw isMissing(error) ? missing(digest, error) : error
    })
    try {
      let at = range?.start ?? 0
      const end = Math.min(range?.end ?? Number.POSITIVE_INFINITY, (await file.stat()).size)
      while (at < end) {
        const { bytesRead, buffer } = await file.read(
          Buffer.allocUnsafeSlow(Math.min(chunkSize, end - at)),
          0,
          Math.min(chunkSize, end - at),
          at,
        )
        if (bytesRead === 0) throw failure("internal", `the blob ${digest} was cut short while it was read`)
        at += bytesRead
        yield buffer.subarray(0, bytesRead)
      }
    } finally {
      await file.close()
    }
  }

  return {
    async sync() {
      const begun = [...syncing]
      try {
        await Promise.all(begun)
      } catch (error) {
        throw writeFailure(error)
      } finally {
        for (const write of begun) syncing.delete(write)
      }
      if (!unsyncedNames) return
      unsyncedNames = false
      syncDirectory(blobs)
    },
    async receive(expected, { passing = false } = {}) {
      const path = pathOf(expected.digest)
      const temporary = join(ingests, randomBytes(12).toString("hex"))
      return openIncoming({
        temporary,
        path,
        expected,
        passing,
        async keep(file) {
          if (size(expected.digest) === undefined) {
            crashPoint("blob:written")
            await rename(temporary, path)
            beginSync(file, path)
            return
          }
          await file.close()
          await rm(temporary, { force: true })
        },
        drop: () => rm(temporary, { force: true }),
        writeFailure,
      })
    },
    has: (digest) => size(digest) !== undefined,
    size,
    ingest,
    async adopt({ path, file, digest }) {
      if (size(digest) !== undefined) {
        await file.close()
        await rm(path, { force: true })
        return
      }
      crashPoint("blob:written")
      await rename(path, pathOf(digest))
      beginSync(file, pathOf(digest))
    },
    async read(digest) {
      const path = pathOf(digest)
      try {
        const length = (await stat(path)).size
        if (length > largestRead)
          throw failure(
            "invalid",
            `the blob ${digest} has ${length} bytes; a document has at most ${largestRead}`,
          )
        const bytes = await readFile(path)
        if (digestOf(bytes) !== digest)
          throw failure(
            "internal",
            `the blob ${digest} is damaged on disk: remove its image and load it again`,
          )
        return bytes
      } catch (error) {
        throw isMissing(error) ? missing(digest, error) : error
      }
    },
    open: openBlob,
    link(digest, path) {
      try {
        linkSync(pathOf(digest), path)
        return true
      } catch {
        // Another file system, one without hard links, or no such blob: whoever wants the bytes reads them.
        return false
      }
    },
    async remove(digest) {
      // Synchronous on purpose: between a caller's last look at who uses the blob and its end nothing else runs.
      rmSync(pathOf(digest), { force: true })
    },
    async *list() {
      for await (const entry of await opendir(blobs)) {
        const digest = `sha256:${entry.name}`
        const length = isDigest(digest) ? size(digest) : undefined
        if (length !== undefined) yield { digest, size: length }
      }
    },
    async recover() {
      for (const name of readdirSync(ingests)) rmSync(join(ingests, name), { force: true, recursive: true })
    },
  }
}
