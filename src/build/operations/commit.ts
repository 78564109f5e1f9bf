// What a step wrote becomes a layer of the store: packed, hashed and written in one pass, then committed over the root it began from.
import { randomBytes } from "node:crypto"
import { linkSync, mkdirSync, rmSync } from "node:fs"
import { open } from "node:fs/promises"
import { join } from "node:path"
import { digestOf, meter } from "../../base/digest-stream.ts"
import { failure } from "../../base/errors.ts"
import { extendChain } from "../../oci/chain-id.ts"
import type { BuildRooms } from "../rooms.ts"
import type { LayersTree, StepRun } from "./operations.ts"

/** The layer of a step that changed nothing: two empty blocks, as BuildKit writes it. */
export const emptyDiffId = digestOf(Buffer.alloc(1024))

/** Where layers are written before their name is known. Emptied when the engine starts. */
export const layersDirectory = (root: string): string => join(root, "layers")

const isFull = (error: unknown): boolean =>
  error instanceof Error && "code" in error && (error.code === "ENOSPC" || error.code === "EDQUOT")

const noSpace = (cause: unknown): unknown =>
  isFull(cause)
    ? failure(
        "exhausted",
        "no space left on the disk that holds the engine's data: remove images, prune the build cache or free some space",
        { cause },
      )
    : cause

/** A layer's tar with a name of its own. */
interface Written {
  readonly digest: string
  bytes(): AsyncIterable<Uint8Array>
  link?(path: string): boolean
  /** Takes the file away that the layer was written to. */
  done(): void
}

async function* bytesOf(path: string): AsyncGenerator<Uint8Array> {
  await using file = await open(path, "r")
  for (;;) {
    const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(1 << 20))
    if (bytesRead === 0) return
    yield buffer.subarray(0, bytesRead)
  }
}

/** Where layers are kept as tars: into a file of our own, which the store gives a second name. */
const writeFile = async (
  directory: string,
  tar: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): Promise<Written> => {
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  const path = join(directory, randomBytes(12).toString("hex"))
  const measure = meter()
  const file = await open(path, "wx", 0o600)
  try {
    try {
      for await (const chunk of tar) {
        signal.throwIfAborted()
        const first = file.write(chunk)
        measure.add(chunk)
        for (let done = (await first).bytesWritten; done < chunk.length; )
          done += (await file.write(chunk, done)).bytesWritten
      }
    } finally {
      await file.close()
    }
  } catch (error) {
    rmSync(path, { force: true })
    throw noSpace(error)
  }
  return {
    digest: measure.finish().digest,
    bytes: () => bytesOf(path),
    link(target) {
      linkSync(path, target)
      return true
    },
    done: () => rmSync(path, { force: true }),
  }
}

/** Where layers are unpacked: the blob, from which the very tar can be had again. */
const writeBlob = async (
  { content }: BuildRooms,
  tar: AsyncIterable<Uint8Array>,
  { hold, signal }: StepRun,
): Promise<Written> => {
  const { digest } = await content.ingest(tar, {}, signal)
  hold.suspect(digest)
  return { digest, bytes: () => content.open(digest), done: () => undefined }
}

/**
 * Commits a layer tar (with `.wh.` entries) over `parent`. It is written once: the store links it or, where layers are
 * unpacked, it stays as the layer's blob. A tar without entries is a layer too for the builder's face, as for BuildKit,
 * and none for the classic one, which gets `parent` back.
 * Throws cancelled, exhausted, and invalid for a tar that cannot be a layer.
 */
export const commitTar = async (
  rooms: BuildRooms,
  tar: AsyncIterable<Uint8Array>,
  parent: LayersTree,
  run: StepRun,
): Promise<LayersTree> => {
  const { snapshots } = rooms
  const written =
    snapshots.name === "erofs"
      ? await writeFile(layersDirectory(rooms.root), tar, run.signal)
      : await writeBlob(rooms, tar, run)
  try {
    const { digest } = written
    if (digest === emptyDiffId && run.request.face === "classic") return parent
    const chainId = extendChain(parent.chainId, digest)
    run.hold.keep([chainId])
    const { size } = await snapshots.commitLayer({
      chainId,
      parent: parent.chainId,
      tar: written.bytes(),
      ...(written.link === undefined ? {} : { link: written.link }),
      signal: run.signal,
      // Who gives the result a name waits for the disk, once for all its layers.
      lazy: true,
    })
    return { kind: "layers", chainId, layers: [...parent.layers, { diffId: digest, blob: digest, size }] }
  } finally {
    written.done()
  }
}

/**
 * Commits what lies in the active snapshot `key`, which is over `parent`, as {@link commitTar} does. Times later than
 * run.epoch become that, so that the same files give the same bytes. The snapshot stays; the caller removes it.
 */
export const commitWritable = (
  rooms: BuildRooms,
  key: string,
  parent: LayersTree,
  run: StepRun,
): Promise<LayersTree> => {
  const options = run.epoch === undefined ? {} : { latest: run.epoch }
  return commitTar(rooms, rooms.snapshots.diff(key, options), parent, run)
}
