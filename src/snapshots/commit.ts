// A layer's tar becomes a committed snapshot: unpacked by the launcher, or kept with an EROFS index beside it.
import { join } from "node:path"
import { crashPoint } from "../base/crash-point.ts"
import { failure } from "../base/errors.ts"
import { type Kernel, LauncherFailure } from "../kernel/kernel.ts"
import type { SnapshotRecord } from "../state/state.ts"
import type { LayerForm } from "./choose.ts"
import { placeIndex, type TopDirectory, tarName, writeLayer } from "./erofs/write-layer.ts"
import type { Snapshotter } from "./snapshotter.ts"

type Request = Parameters<Snapshotter["commitLayer"]>[0]

/** A layer that cannot be unpacked as it is (damaged, hostile) is the request's fault, not the engine's. */
const unpackFailure = (error: unknown): unknown => {
  if (error instanceof LauncherFailure && error.step === "unpack" && error.kind !== "exhausted")
    return failure("invalid", `the layer cannot be unpacked: ${error.explanation || error.message}`, {
      cause: error,
    })
  const isFull =
    error instanceof LauncherFailure
      ? error.errnoName === "ENOSPC" || error.errnoName === "EDQUOT"
      : error instanceof Error && "code" in error && (error.code === "ENOSPC" || error.code === "EDQUOT")
  if (isFull)
    return failure(
      "exhausted",
      "no space left on the disk that holds the engine's data: remove images or free some space",
      { cause: error },
    )
  return error
}

/** How a layer came to lie on the disk. */
type Kept = Pick<SnapshotRecord, "size" | "image" | "disk">

/** Gives Snapshotter.commitLayer, without its lock by chainID. */
export const openCommit = (parts: {
  root: string
  kernel: Kernel
  form: LayerForm
  find: (chainId: string) => SnapshotRecord | undefined
  /** Layers in a committed stack. Throws not-found. */
  depthOf: (chainId: string) => number
  ownerOf: (chainId: string) => TopDirectory
  /** Makes a numbered directory that no collection takes; with an `fs` like the root of the parent, when one is named. */
  makeDirectory: (parent: string | undefined) => string
  release: (directory: string) => void
  takeAway: (path: string) => void
  put: (record: SnapshotRecord, options: { readonly lazy: boolean }) => void
  /** As Snapshotter has it, for one layer. */
  persist: (chainId: string) => Promise<void>
  mostLowers: number
}): Snapshotter["commitLayer"] => {
  const { root, kernel, form, makeDirectory } = parts

  const checkDepth = (parent: string): void => {
    if (parts.depthOf(parent) + 1 > parts.mostLowers)
      throw failure("invalid", `max depth exceeded: an image has at most ${parts.mostLowers} layers`)
  }

  const unpack = async (path: string, request: Request): Promise<Kept> => {
    const answer = await kernel.send(
      [["unpack"], ["root-path", join(path, "fs")], ["at", "/"], ["option", "whiteouts", "overlay"]],
      request.tar,
      request.signal,
    )
    return { size: Number(answer.get("bytes")?.[0] ?? 0) }
  }

  const write = async (path: string, request: Request): Promise<Kept> => {
    const top = async () => {
      await request.parentReady
      checkDepth(request.parent)
      return parts.ownerOf(request.parent)
    }
    const tar = request.link?.(join(path, tarName)) === true ? "linked" : request.tar
    const { index } = request
    if (index !== undefined && tar === "linked") await top()
    const written =
      index !== undefined && tar === "linked"
        ? await placeIndex(path, index, { lazy: request.lazy === true })
        : await writeLayer(path, tar, {
            top,
            signal: request.signal,
            lazy: request.lazy === true,
            scanned: request.scanned,
          })
    const { size, tarBytes, inodes, diskBytes } = written
    return { size, disk: diskBytes, image: { tarBytes, inodes, top: written.top } }
  }

  return async (request) => {
    const { chainId, parent } = request
    const present = parts.find(chainId)
    if (present?.kind === "committed") {
      if (!request.lazy) await parts.persist(chainId)
      return { size: present.size }
    }
    const images = form === "erofs"
    // Looked at when the tar has come in; until then its failure is nobody's.
    request.parentReady?.catch(() => {})
    if (!images) await request.parentReady
    // A layer whose parent is on its way is checked when that has come.
    if (request.parentReady === undefined || !images) checkDepth(parent)
    const directory = makeDirectory(images ? undefined : parent)
    const path = join(root, directory)
    try {
      const kept = images ? await write(path, request) : await unpack(path, request)
      // The parent may have been removed meanwhile.
      parts.depthOf(parent)
      crashPoint("layer:unpacked")
      parts.put(
        { key: chainId, parent, kind: "committed", directory, createdAt: Date.now(), ...kept },
        { lazy: request.lazy === true },
      )
      crashPoint("layer:committed")
      return { size: kept.size }
    } catch (error) {
      parts.takeAway(path)
      throw unpackFailure(error)
    } finally {
      parts.release(directory)
    }
  }
}
