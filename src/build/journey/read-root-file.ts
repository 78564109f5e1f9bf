// Reads one file of a result: resolved in its root by the launcher, as a process inside would reach it.
import { posix } from "node:path"
import { failure } from "../../base/errors.ts"
import { readTar } from "../../base/tar-reader.ts"
import { LauncherFailure } from "../../kernel/kernel.ts"
import { rootOperation } from "../../kernel/mount.ts"
import type { BuildRooms } from "../rooms.ts"

const largest = 64 << 20
/** Links that are followed one after the other, as the kernel does. */
const mostLinks = 40

/** Throws not-found, and invalid for what is no file or larger than 64 MiB. */
export const readRootFile = async (
  { kernel, snapshots }: Pick<BuildRooms, "kernel" | "snapshots">,
  chainId: string,
  path: string,
): Promise<Uint8Array> => {
  const root = rootOperation(snapshots.view(chainId))
  const missing = (cause?: unknown) =>
    failure("not-found", `open ${path}: no such file or directory`, { cause })

  const readAt = async (inside: string): Promise<Uint8Array | { readonly link: string }> => {
    for await (const entry of readTar(kernel.receive([["pack"], root, ["path", inside]]))) {
      if (entry.type === "symlink") return { link: entry.linkName }
      if (entry.type !== "file") throw failure("invalid", `${path} is no file`)
      if (entry.size > largest)
        throw failure("invalid", `${path} has ${entry.size} bytes, too many to be read`)
      const chunks: Uint8Array[] = []
      for await (const chunk of entry.body) chunks.push(Uint8Array.from(chunk))
      return Buffer.concat(chunks)
    }
    throw missing()
  }

  let inside = posix.join("/", path)
  for (let links = 0; links < mostLinks; links++) {
    let found: Awaited<ReturnType<typeof readAt>>
    try {
      found = await readAt(inside)
    } catch (error) {
      if (
        error instanceof LauncherFailure &&
        /ENOENT|ENOTDIR|no such file|not a directory/i.test(error.message)
      )
        throw missing(error)
      throw error
    }
    if (found instanceof Uint8Array) return found
    inside = posix.resolve(posix.dirname(inside), found.link)
  }
  throw failure("invalid", `${path} is a link that leads to itself`)
}
