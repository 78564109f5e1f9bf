// What a step wrote becomes a layer of the store: packed, hashed and written in one pass, then committed over the root it began from.
import { randomBytes } from "node:crypto"
import { linkSync, mkdirSync, rmSync } from "node:fs"
import { open } from "node:fs/promises"
import { join } from "node:path"
import { digestOf, meter } from "../../base/digest-stream.ts"
import { failure } from "../../base/errors.ts"
import { extendChain } from "../../oci/chain-id.ts"
import type { WrittenIndex } from "../../snapshots/snapshotter.ts"
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

/** A layer's tar in a file of its own, on the data root's file system. */
export interface WrittenTar {
  readonly path: string
  readonly digest: string
  readonly size: number
  /** Its index, when it is known already what the tar holds. */
  readonly index?: WrittenIndex | undefined
}

/** A file's bytes, opened when the first are asked for: a layer that is there already asks for none. */
async function* fileBytes(path: string): AsyncGenerator<Uint8Array> {
  await using file = await open(path, "r")
  for (;;) {
    const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(1 << 20))
    if (bytesRead === 0) return
    yield buffer.subarray(0, bytesRead)
  }
}

const writeFile = async (
  directory: string,
  tar: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): Promise<WrittenTar> => {
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  const path = join(directory, randomBytes(12).toString("hex"))
  const measure = meter()
  try {
    await using file = await open(path, "wx", 0o600)
    for await (const chunk of tar) {
      signal.throwIfAborted()
      const first = file.write(chunk)
      measure.add(chunk)
      for (let done = (await first).bytesWritten; done < chunk.length; )
        done += (await file.write(chunk, done)).bytesWritten
    }
  } catch (error) {
    rmSync(path, { force: true })
    throw noSpace(error)
  }
  return { path, ...measure.finish() }
}

/** Where layers are unpacked the tar stays as the layer's blob, from which it can be had again. */
const keepBlob = async (
  { content }: BuildRooms,
  { path, digest, size }: WrittenTar,
  { hold }: StepRun,
): Promise<void> => {
  hold.suspect(digest)
  if (!content.has(digest)) await content.adopt({ path, digest, size, file: await open(path, "r+") })
}

/**
 * Commits a layer tar (with `.wh.` entries) that was written and hashed already, and takes its file: the store gives it a
 * second name or moves it. A tar without entries is a layer too for the builder's face, as for BuildKit, and none for the
 * classic one, which gets `parent` back. Throws cancelled, exhausted, and invalid for a tar that cannot be a layer.
 */
export const commitFile = async (
  rooms: BuildRooms,
  written: WrittenTar,
  parent: LayersTree,
  run: StepRun,
): Promise<LayersTree> => {
  const { snapshots, content } = rooms
  const { path, digest } = written
  try {
    if (digest === emptyDiffId && run.request.face === "classic") return parent
    const chainId = extendChain(parent.chainId, digest)
    run.hold.keep([chainId])
    const linked = snapshots.name === "erofs"
    if (!linked) await keepBlob(rooms, written, run)
    const link = (target: string): boolean => {
      linkSync(path, target)
      return true
    }
    const { size } = await snapshots.commitLayer({
      chainId,
      parent: parent.chainId,
      ...(linked
        ? { link, tar: fileBytes(path), ...(written.index ? { index: written.index } : {}) }
        : { tar: content.open(digest) }),
      signal: run.signal,
      // Who gives the result a name waits for the disk, once for all its layers.
      lazy: true,
    })
    return { kind: "layers", chainId, layers: [...parent.layers, { diffId: digest, blob: digest, size }] }
  } finally {
    rmSync(path, { force: true })
  }
}

/** As {@link commitFile}, for a tar that flows in: it is written once, and hashed meanwhile. */
export const commitTar = async (
  rooms: BuildRooms,
  tar: AsyncIterable<Uint8Array>,
  parent: LayersTree,
  run: StepRun,
): Promise<LayersTree> =>
  commitFile(rooms, await writeFile(layersDirectory(rooms.root), tar, run.signal), parent, run)

/**
 * Commits what lies in the active snapshot `key`, which is over `parent`, as {@link commitFile} does. Times later than
 * run.epoch become that, so that the same files give the same bytes. The snapshot stays; the caller removes it.
 */
export const commitWritable = (
  rooms: BuildRooms,
  key: string,
  parent: LayersTree,
  run: StepRun,
): Promise<LayersTree> => {
  // As each of the two builders has it.
  const named = run.request.face === "builder"
  const options = { named, ...(run.epoch === undefined ? {} : { latest: run.epoch }) }
  return commitTar(rooms, rooms.snapshots.diff(key, options), parent, run)
}
