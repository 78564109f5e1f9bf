// ADD of a local archive: what is a tar, plain or compressed, is unpacked by the launcher into a directory and copied from there.
import { randomBytes } from "node:crypto"
import { mkdirSync } from "node:fs"
import { join } from "node:path"
import { byteReader } from "../../../base/byte-reader.ts"
import { decompress, defaultBounds } from "../../../base/decompress.ts"
import { Failure } from "../../../base/errors.ts"
import { decodeHeader } from "../../../base/tar-header.ts"
import { readTar } from "../../../base/tar-reader.ts"
import type { BuildRooms } from "../../rooms.ts"
import { isFile } from "../../sources/local/scan.ts"
import { contextsDirectory } from "../../sources/local/tree.ts"
import { Copier, type CopySettings } from "./copy.ts"
import { type Selection, selectFiles } from "./select.ts"
import { openDirectorySource, type Source } from "./source.ts"
import type { Target } from "./target.ts"

export interface ArchiveWork {
  readonly rooms: BuildRooms
  readonly target: Target
  readonly settings: CopySettings
  readonly signal: AbortSignal
  /** What is to be done when the layer is written. */
  readonly cleaning: (() => Promise<void>)[]
}

/** The bytes of a file of the source. */
async function* bytesOf(work: ArchiveWork, source: Source, path: string): AsyncGenerator<Uint8Array> {
  const plan = [["pack"], source.root, ["path", `/${path}`], ["option", "name", "archive"]] as const
  for await (const entry of readTar(work.rooms.kernel.receive(plan, work.signal))) yield* entry.body
}

/** Whether it begins as a tar does, when it is decompressed. */
const isArchive = async (work: ArchiveWork, source: Source, path: string): Promise<boolean> => {
  const reader = byteReader(decompress(bytesOf(work, source, path), "the archive", defaultBounds))
  try {
    const block = await reader.take(512)
    return block.length === 512 && decodeHeader(block) !== undefined
  } catch (error) {
    if (error instanceof Failure && error.kind === "invalid") return false
    throw error
  } finally {
    await reader.close().catch(() => {})
  }
}

/** Unpacks it at the destination if it is an archive; whether it was one. */
export const copyArchive = async (
  work: ArchiveWork,
  source: Source,
  selection: Selection,
  destination: string,
): Promise<boolean> => {
  const { rooms, settings, target, signal } = work
  if (!isFile(selection.top.mode) || selection.top.size < 14) return false
  const { path } = selection.top
  if (!(await isArchive(work, source, path))) return false
  const directory = join(contextsDirectory(rooms.root), `archive-${randomBytes(12).toString("hex")}`)
  mkdirSync(directory, { recursive: true, mode: 0o755 })
  work.cleaning.push(async () => {
    await rooms.kernel.perform([["remove-tree"], ["path", directory]])
  })
  const tar = decompress(bytesOf(work, source, path), `the archive "/${path}"`, defaultBounds)
  await rooms.kernel.send(
    [["unpack"], ["root-path", directory], ["option", "whiteouts", "none"]],
    tar,
    signal,
  )
  const unpacked = await openDirectorySource(rooms, directory, signal)
  const [whole] = await selectFiles(unpacked, {
    sources: ["/"],
    exclude: [],
    parents: false,
    follow: true,
    required: true,
  })
  if (whole === undefined) return true
  const owned: CopySettings = { ...settings, mode: undefined }
  await new Copier(target, unpacked, owned, { replaces: true }).copy(
    whole,
    destination.endsWith("/") ? destination : `${destination}/`,
  )
  return true
}
