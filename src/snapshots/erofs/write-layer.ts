// A layer on its way to the disk: its tar is written as it comes, once, and an EROFS index that points into it beside it.
//
//   DIRECTORY/layer.tar   the layer's tar, byte for byte
//   DIRECTORY/index       metadata only; both are mounted together by the launcher ("erofs:DIRECTORY")
import { randomBytes } from "node:crypto"
import { statSync } from "node:fs"
import { type FileHandle, open, rename } from "node:fs/promises"
import { join } from "node:path"
import { failure } from "../../base/errors.ts"
import { readFileRange } from "../read-range.ts"
import { writeImage } from "./image-write.ts"
import { LayerTree, rootInode } from "./layer-tree.ts"
import { type LayerEntry, TarScan } from "./tar-scan.ts"

export const tarName = "layer.tar"

export interface TopDirectory {
  readonly mode: number
  readonly uid: number
  readonly gid: number
}

export interface WrittenLayer {
  /** Bytes of the layer's files as the tar stores them. */
  readonly size: number
  readonly inodes: number
  readonly tarBytes: number
  /** Allocated on disk by both files. */
  readonly diskBytes: number
  /** The layer's root directory. */
  readonly top: TopDirectory
}

/** Bytes that may wait for the disk while more come in; then their way there begins. */
const syncEvery = 32 << 20

/** Begins to bring what was written to the disk while more is written, so that little is left to wait for at the end. */
const openEarlySync = (file: FileHandle) => {
  let fresh = 0
  let running: Promise<void> | undefined
  let failed: unknown
  return {
    wrote(bytes: number): void {
      fresh += bytes
      if (fresh < syncEvery || running !== undefined) return
      fresh = 0
      running = file
        .datasync()
        .catch((error: unknown) => {
          failed = error
        })
        .finally(() => {
          running = undefined
        })
    },
    async settle(): Promise<void> {
      await running
      if (failed !== undefined) throw failed
    },
  }
}

const writeWhole = async (file: FileHandle, chunk: Uint8Array): Promise<void> => {
  for (let done = 0; done < chunk.length; )
    done += (await file.write(chunk, done, chunk.length - done)).bytesWritten
}

/** Follows a tar that is there already. Gives its length. */
const follow = async (path: string, scan: TarScan, signal: AbortSignal | undefined): Promise<number> => {
  const { size } = statSync(path)
  for await (const chunk of readFileRange(path, size)) {
    signal?.throwIfAborted()
    scan.write(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length))
  }
  scan.end()
  return size
}

/** What a tar amounts to, found while its bytes passed; good for one layer. */
export interface ScannedTar {
  readonly tarBytes: number
  /** Unix seconds of the directories that the tar does not describe. */
  readonly seconds: number
  readonly tree: LayerTree
}

/** Follows bytes on their way somewhere else. */
export interface TarFollower {
  write(chunk: Uint8Array): void
  /** Entries so far; 0 once it has given up. */
  readonly entries: number
  /** Undefined when the bytes were no tar that can be unpacked, or of more entries than were wanted. */
  finish(): ScannedTar | undefined
}

/** Gives up after so many entries. */
export const followTar = (most: number): TarFollower => {
  const seconds = Math.floor(Date.now() / 1000)
  let tarBytes = 0
  let open: { readonly tree: LayerTree; readonly scan: TarScan } | undefined
  const attempt = (work: (opened: { tree: LayerTree; scan: TarScan }) => void): void => {
    try {
      if (open !== undefined) work(open)
      if ((open?.tree.inodes.count ?? 0) > most) open = undefined
    } catch {
      // Whoever unpacks it will find what is wrong, and say so.
      open = undefined
    }
  }
  const tree = new LayerTree([seconds, 0])
  open = { tree, scan: new TarScan((entry) => tree.apply(entry)) }
  return {
    write(chunk) {
      tarBytes += chunk.length
      attempt(({ scan }) => scan.write(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length)))
    },
    get entries() {
      return open?.tree.inodes.count ?? 0
    },
    finish() {
      attempt(({ scan }) => scan.end())
      return open === undefined ? undefined : { tarBytes, seconds, tree: open.tree }
    },
  }
}

/** Writes the tar and follows it. Gives its length. */
const takeIn = async (
  file: FileHandle,
  tar: AsyncIterable<Uint8Array>,
  scan: TarScan,
  signal: AbortSignal | undefined,
): Promise<number> => {
  let bytes = 0
  const early = openEarlySync(file)
  let writing: Promise<void> = Promise.resolve()
  try {
    for await (const chunk of tar) {
      signal?.throwIfAborted()
      // The chunk before this one is written while this one was made; one at a time, in order.
      await writing
      writing = writeWhole(file, chunk)
      writing.catch(() => {})
      scan.write(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length))
      bytes += chunk.length
      early.wrote(chunk.length)
    }
  } finally {
    await writing
    await early.settle()
  }
  scan.end()
  return bytes
}

/** An index that was made before its tar was whole; whoever knows where everything will lie need not read it again. */
export interface WrittenIndex {
  /** Host path on the snapshots' file system; moved to its layer, or removed by whoever made it. */
  readonly path: string
  readonly tarBytes: number
  readonly size: number
  readonly inodes: number
  readonly top: TopDirectory
}

const topOf = (tree: LayerTree): TopDirectory => ({
  mode: (tree.inodes.mode[rootInode] ?? 0) & 0o7777,
  uid: tree.inodes.uid[rootInode] ?? 0,
  gid: tree.inodes.gid[rootInode] ?? 0,
})

/**
 * Writes the index of a tar that these entries describe, none of them sparse, to a new file. Throws Failure "invalid" for
 * entries that cannot be unpacked.
 */
export const writeIndex = async (
  path: string,
  entries: Iterable<LayerEntry>,
  options: { readonly tarBytes: number; readonly top: TopDirectory },
): Promise<WrittenIndex> => {
  const seconds = Math.floor(Date.now() / 1000)
  const tree = new LayerTree([seconds, 0])
  for (const entry of entries) tree.apply(entry)
  tree.finishTop(options.top)
  await using index = await open(path, "wx", 0o600)
  const { tarBytes } = options
  await writeImage(index, tree, undefined, { tarBytes, uuid: randomBytes(16), seconds })
  return { path, tarBytes, size: tree.bytes, inodes: tree.inodes.count, top: topOf(tree) }
}

/** Brings both files of a layer and their names to the disk. */
export const syncLayer = async (directory: string): Promise<void> => {
  await using data = await open(join(directory, tarName), "r")
  await using index = await open(join(directory, "index"), "r")
  await Promise.all([data.datasync(), index.datasync()])
  await using names = await open(directory, "r")
  await names.sync()
}

/** Puts an index that was made before beside the tar that is there already. As {@link writeLayer} otherwise. */
export const placeIndex = async (
  directory: string,
  index: WrittenIndex,
  options: { lazy?: boolean },
): Promise<WrittenLayer> => {
  const { tarBytes, size, inodes, top } = index
  const data = await open(join(directory, tarName), "r")
  const bytes = (await data.stat()).size
  if (bytes !== tarBytes) {
    await data.close()
    throw failure("internal", `a layer's tar has ${bytes} bytes where its index expects ${tarBytes}`)
  }
  await rename(index.path, join(directory, "index"))
  const placed = await open(join(directory, "index"), "r")
  const [dataStatus, indexStatus] = await Promise.all([data.stat(), placed.stat()])
  await Promise.all([data.close(), placed.close()])
  if (!options.lazy) await syncLayer(directory)
  return { size, inodes, tarBytes, diskBytes: 512 * (dataStatus.blocks + indexStatus.blocks), top }
}

/**
 * Writes a layer into an existing directory, empty but for the tar when that is "linked"; both files are on the disk when
 * it returns, or with `lazy` when the system brings them there. `top` tells, once the tar has come in, what the root directory is unless the
 * tar says otherwise. Throws Failure "invalid" for a tar that cannot be unpacked.
 */
export const writeLayer = async (
  directory: string,
  tar: AsyncIterable<Uint8Array> | "linked",
  options: {
    top: () => Promise<TopDirectory>
    signal?: AbortSignal | undefined
    lazy?: boolean
    /** What the "linked" tar amounts to, when that is known. */
    scanned?: ScannedTar | undefined
  },
): Promise<WrittenLayer> => {
  const scanned = tar === "linked" ? options.scanned : undefined
  const seconds = scanned?.seconds ?? Math.floor(Date.now() / 1000)
  const tree = scanned?.tree ?? new LayerTree([seconds, 0])
  const scan = new TarScan((entry) => tree.apply(entry))
  const path = join(directory, tarName)
  const opened: FileHandle[] = []
  const openFile = async (file: string, flags: string): Promise<FileHandle> => {
    const handle = await open(file, flags, 0o600)
    opened.push(handle)
    return handle
  }
  try {
    const data = await openFile(path, tar === "linked" ? "r" : "wx+")
    const tarBytes =
      tar === "linked"
        ? (scanned?.tarBytes ?? (await follow(path, scan, options.signal)))
        : await takeIn(data, tar, scan, options.signal)
    const early = options.lazy ? undefined : data.datasync()
    early?.catch(() => {})
    tree.finishTop(await options.top())
    const index = await openFile(join(directory, "index"), "wx")
    await writeImage(index, tree, data, { tarBytes, uuid: randomBytes(16), seconds })
    const [dataStatus, indexStatus] = await Promise.all([data.stat(), index.stat()])
    await early
    await Promise.all(opened.map((handle) => handle.close()))
    if (!options.lazy) await syncLayer(directory)
    return {
      size: tree.bytes,
      inodes: tree.inodes.count,
      tarBytes,
      diskBytes: 512 * (dataStatus.blocks + indexStatus.blocks),
      top: topOf(tree),
    }
  } catch (error) {
    await Promise.all(opened.map((handle) => handle.close().catch(() => {})))
    throw error
  }
}
