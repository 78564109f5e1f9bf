// Contexts whose files lie on this machine: a directory as it is, a tar that flows in, and what a client keeps in step with its own files.
import { randomBytes } from "node:crypto"
import { existsSync, mkdirSync, readdirSync, realpathSync, rmdirSync, rmSync } from "node:fs"
import { join } from "node:path"
import { type DecompressionBounds, decompress, defaultBounds } from "../../../base/decompress.ts"
import { failure } from "../../../base/errors.ts"
import { readTar } from "../../../base/tar-reader.ts"
import { type Kernel, LauncherFailure } from "../../../kernel/kernel.ts"
import type { BuildRooms } from "../../rooms.ts"
import type { OpenContext } from "../sources.ts"
import { ignoringOf } from "./ignoring.ts"
import { bytesOf } from "./names.ts"
import { isFile, scan } from "./scan.ts"
import { contextsDirectory, openTree } from "./tree.ts"

/** Most bytes of a file that is read whole (a Dockerfile, an ignore file). */
const largestFile = 16 << 20

/** A small file beneath a directory, links followed beneath it only; undefined when there is none. */
const readBeneath = async (
  kernel: Kernel,
  directory: string,
  path: string,
  signal: AbortSignal,
): Promise<Uint8Array | undefined> => {
  const root = ["root-path", directory] as const
  const [way] = await scan(kernel, root, [["follow", bytesOf(path)]], {}, signal)
  const entry = way?.error === 0 ? way.entries.at(-1) : undefined
  if (entry === undefined || !isFile(entry.mode)) return undefined
  if (entry.size > largestFile)
    throw failure("invalid", `"${path}" has ${entry.size} bytes; at most ${largestFile} are read`)
  const tar = kernel.receive(
    [
      ["pack"],
      root,
      ["path", `/${Buffer.from(entry.path, "latin1").toString("utf8")}`],
      ["option", "name", "file"],
    ],
    signal,
  )
  for await (const packed of readTar(tar)) {
    const chunks: Uint8Array[] = []
    for await (const chunk of packed.body) chunks.push(Buffer.from(chunk))
    return Buffer.concat(chunks)
  }
  return undefined
}

/** A directory whose files are read in place, as a context. `release` is called once, when nobody reads it any more. */
export const openPlace = (
  rooms: BuildRooms,
  directory: string,
  signal: AbortSignal,
  release: () => void = () => {},
  { lasts = true } = {},
): OpenContext => ({
  materials: [],
  readFile: (path) => readBeneath(rooms.kernel, directory, path, signal),
  async tree({ ignore }) {
    const ignoring = ignoringOf(ignore)
    const context = openTree(rooms, directory, {
      signal,
      lasts,
      ...(ignoring === undefined ? {} : { ignoring }),
    })
    return { kind: "context", context }
  },
  release,
})

/** A directory of this machine, never written to. Throws invalid when it is none. */
export const openDirectory = async (
  rooms: BuildRooms,
  path: string,
  signal: AbortSignal,
): Promise<OpenContext> => {
  let real: string
  try {
    real = realpathSync(path)
    readdirSync(real)
  } catch (cause) {
    throw failure("invalid", `the context "${path}" is not a directory that can be read`, { cause })
  }
  return openPlace(rooms, real, signal)
}

const unpackFailure = (error: unknown): unknown =>
  error instanceof LauncherFailure && error.step === "unpack" && error.kind !== "exhausted"
    ? failure("invalid", `the context's archive cannot be unpacked: ${error.explanation || error.message}`, {
        cause: error,
      })
    : error

/** Archives up to so many bytes are unpacked in memory, where making and removing thousands of files is quick. */
const mostInMemory = 16 << 20

/** Where archives are unpacked in memory, when the run root lies there. */
const memoryDirectory = (rooms: BuildRooms): string => join(rooms.runRoot, "contexts")

/** Removes a directory unless other builds have their places there. */
const removeEmpty = (directory: string): void => {
  try {
    rmdirSync(directory)
  } catch {
    // It is in use, or not there.
  }
}

/** A directory of the engine's own for the time of a build; removed by the function that comes with it. */
export const makePlace = (
  rooms: BuildRooms,
  kind: string,
  parent = contextsDirectory(rooms.root),
): { directory: string; remove: () => Promise<void> } => {
  const directory = join(parent, `${kind}-${randomBytes(12).toString("hex")}`)
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  return {
    directory,
    async remove() {
      await rooms.kernel.perform([["remove-tree"], ["path", directory]])
      if (parent === memoryDirectory(rooms)) removeEmpty(parent)
    },
  }
}

/** Says that an archive is not for memory. */
const tooLarge = Symbol("too large")

/**
 * Unpacks an archive while it flows in: in memory, and from its beginning again on the disk once it turns out to be too
 * large for that.
 */
const unpackSomewhere = async (
  rooms: BuildRooms,
  tar: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): Promise<ReturnType<typeof makePlace>> => {
  const source = tar[Symbol.asyncIterator]()
  const held: Uint8Array[] = []
  const unpack = async (place: ReturnType<typeof makePlace>, bytes: AsyncIterable<Uint8Array>) => {
    const plan = [["unpack"], ["root-path", place.directory], ["option", "whiteouts", "none"]] as const
    try {
      await rooms.kernel.send(plan, bytes, signal)
    } catch (error) {
      await place.remove().catch(() => {})
      throw error
    }
    return place
  }
  async function* beginning() {
    let size = 0
    for (let next = await source.next(); !next.done; next = await source.next()) {
      held.push(next.value)
      size += next.value.length
      if (size > mostInMemory) throw tooLarge
      yield next.value
    }
  }
  async function* whole() {
    yield* held.splice(0)
    for (let next = await source.next(); !next.done; next = await source.next()) yield next.value
  }
  try {
    return await unpack(makePlace(rooms, "tar", memoryDirectory(rooms)), beginning())
  } catch (error) {
    if (error !== tooLarge) throw error
    return await unpack(makePlace(rooms, "tar"), whole())
  } finally {
    await source.return?.()
  }
}

/** A tar that flows in, plain or compressed, unpacked for the time of the build. Throws invalid for one that is damaged or leads out. */
export const openTar = async (
  rooms: BuildRooms,
  bytes: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
  bounds: DecompressionBounds = defaultBounds,
): Promise<OpenContext> => {
  const tar = decompress(bytes, "the context's archive", bounds)
  const place = await unpackSomewhere(rooms, tar, signal).catch((error: unknown) => {
    throw unpackFailure(error)
  })
  return openPlace(rooms, place.directory, signal, () => void place.remove().catch(() => {}), {
    lasts: false,
  })
}

export { openKeptContexts, openSynced } from "./synced.ts"

/** Removes what builds left that a crash ended: places that are no one's. Synced contexts and indexes stay. */
export const recoverContexts = async (rooms: BuildRooms): Promise<void> => {
  mkdirSync(contextsDirectory(rooms.root), { recursive: true, mode: 0o700 })
  for (const root of [contextsDirectory(rooms.root), memoryDirectory(rooms)]) {
    for (const name of existsSync(root) ? readdirSync(root) : []) {
      if (/\.tmp$/.test(name)) rmSync(join(root, name), { force: true })
      if (/^(tar|archive)-[0-9a-f]{24}$/.test(name))
        await rooms.kernel.perform([["remove-tree"], ["path", join(root, name)]])
    }
  }
  removeEmpty(memoryDirectory(rooms))
}
