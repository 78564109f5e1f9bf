// A layer on its way to the disk: its tar is written as it comes, once, and an EROFS index that points into it beside it.
//
//   DIRECTORY/layer.tar   the layer's tar, byte for byte
//   DIRECTORY/index       metadata only; both are mounted together by the launcher ("erofs:DIRECTORY")
import { randomBytes } from "node:crypto"
import { statSync } from "node:fs"
import { type FileHandle, open } from "node:fs/promises"
import { join } from "node:path"
import { syncDirectory } from "../../base/atomic-file.ts"
import { readFileRange } from "../read-range.ts"
import { writeImage } from "./image-write.ts"
import { LayerTree, rootInode } from "./layer-tree.ts"
import { TarScan } from "./tar-scan.ts"

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

/**
 * Writes a layer into an existing directory, empty but for the tar when that is "linked"; both files are on the disk when it returns. `top` tells, once the tar
 * has come in, what the root directory is unless the tar says otherwise. Throws Failure "invalid" for a tar that cannot be unpacked.
 */
export const writeLayer = async (
  directory: string,
  tar: AsyncIterable<Uint8Array> | "linked",
  options: { top: () => Promise<TopDirectory>; signal?: AbortSignal | undefined },
): Promise<WrittenLayer> => {
  const seconds = Math.floor(Date.now() / 1000)
  const tree = new LayerTree([seconds, 0])
  const scan = new TarScan((entry) => tree.apply(entry))
  const path = join(directory, tarName)
  await using data = await open(path, tar === "linked" ? "r" : "wx+", 0o600)
  const tarBytes =
    tar === "linked"
      ? await follow(path, scan, options.signal)
      : await takeIn(data, tar, scan, options.signal)
  const syncing = data.datasync()
  syncing.catch(() => {})
  tree.finishTop(await options.top())
  await using index = await open(join(directory, "index"), "wx", 0o600)
  await writeImage(index, tree, data, { tarBytes, uuid: randomBytes(16), seconds })
  await Promise.all([syncing, index.datasync()])
  syncDirectory(directory)
  const [dataStatus, indexStatus] = await Promise.all([data.stat(), index.stat()])
  return {
    size: tree.bytes,
    inodes: tree.inodes.count,
    tarBytes,
    diskBytes: 512 * (dataStatus.blocks + indexStatus.blocks),
    top: {
      mode: (tree.inodes.mode[rootInode] ?? 0) & 0o7777,
      uid: tree.inodes.uid[rootInode] ?? 0,
      gid: tree.inodes.gid[rootInode] ?? 0,
    },
  }
}
