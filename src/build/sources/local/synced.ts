// A context that a client keeps in step with its own files: only what has changed since the last build of the same key travels.
//
//   contexts/sync-<hash>/       the files as the client last had them; written by the launcher alone
//   contexts/sync-<hash>.list   what the client told of each of them; gone while they are being changed
import { createHash } from "node:crypto"
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs"
import { join } from "node:path"
import { writeFileAtomic } from "../../../base/atomic-file.ts"
import { failure } from "../../../base/errors.ts"
import { LauncherFailure } from "../../../kernel/kernel.ts"
import type { FileSync } from "../../build.ts"
import type { StepRun } from "../../operations/operations.ts"
import type { BuildRooms } from "../../rooms.ts"
import type { KeptSource, OpenContext } from "../sources.ts"
import { readSynced } from "./synced-file.ts"
import { type Told, tarOfChanges } from "./synced-tar.ts"
import { contextsDirectory, openTree } from "./tree.ts"

type Run = Pick<StepRun, "report" | "signal" | "vertex">

/** Directories that builds read now: another build of the same key has one of its own. */
const inUse = new Set<string>()

const takeDirectory = (rooms: BuildRooms, key: string, name: string): string => {
  const hash = createHash("sha256").update(`${key}\0${name}`).digest("hex").slice(0, 32)
  for (let number = 0; ; number++) {
    const directory = join(
      contextsDirectory(rooms.root),
      number === 0 ? `sync-${hash}` : `sync-${hash}-${number}`,
    )
    if (inUse.has(directory)) continue
    inUse.add(directory)
    return directory
  }
}

const listPath = (directory: string): string => `${directory}.list`

const loadList = (directory: string): Map<string, string> | undefined => {
  const path = listPath(directory)
  if (!existsSync(path) || !existsSync(directory)) return undefined
  try {
    const list: unknown = JSON.parse(readFileSync(path, "utf8"))
    if (!Array.isArray(list)) return undefined
    const told = new Map<string, string>()
    for (let at = 0; at + 1 < list.length; at += 2) told.set(String(list[at]), String(list[at + 1]))
    return told
  } catch {
    return undefined
  }
}

const saveList = (directory: string, told: Told): void =>
  writeFileAtomic(listPath(directory), JSON.stringify([...told].flat()))

const unpackFailure = (error: unknown): unknown =>
  error instanceof LauncherFailure && error.step === "unpack" && error.kind !== "exhausted"
    ? failure(
        "invalid",
        `the files that the client sent cannot be written: ${error.explanation || error.message}`,
        {
          cause: error,
        },
      )
    : error

const synchronise = async (
  rooms: BuildRooms,
  sync: FileSync,
  name: string,
  directory: string,
  filter: Parameters<FileSync["entries"]>[1],
  run: Run,
): Promise<void> => {
  const before = loadList(directory)
  rmSync(listPath(directory), { force: true })
  if (before === undefined) await rooms.kernel.perform([["remove-tree"], ["path", directory]])
  mkdirSync(directory, { recursive: true, mode: 0o755 })
  const told: Told = new Map()
  const startedAt = Date.now()
  const tell = (current: number, completedAt?: number) =>
    run.report({
      type: "status",
      vertex: run.vertex,
      id: "transferring context:",
      current,
      total: 0,
      at: Date.now(),
      startedAt,
      ...(completedAt === undefined ? {} : { completedAt }),
    })
  let sent = 0
  const tar = tarOfChanges(sync.entries(name, filter, run.signal), before ?? new Map(), told, (bytes) => {
    sent += bytes
    tell(sent)
  })
  const plan = [
    ["unpack"],
    ["root-path", directory],
    ["option", "whiteouts", "apply"],
    ["option", "overwrite-dir-with-file", "yes"],
  ] as const
  try {
    await rooms.kernel.send(plan, tar, run.signal)
  } catch (error) {
    throw unpackFailure(error)
  }
  saveList(directory, told)
  tell(sent, Date.now())
}

/** `key`: whose files they are, so that the next build of the same ones needs only what has changed. */
export const openSynced = async (
  rooms: BuildRooms,
  sync: FileSync,
  name: string,
  key: string,
  run: Run,
): Promise<OpenContext> => {
  const taken: string[] = []
  const free = (): void => {
    for (const directory of taken.splice(0)) inUse.delete(directory)
  }
  return {
    materials: [],
    readFile: (path) => readSynced(sync, name, path, run.signal),
    async tree({ ignore, needed }) {
      const directory = takeDirectory(rooms, key, name)
      taken.push(directory)
      await synchronise(
        rooms,
        sync,
        name,
        directory,
        { include: [], exclude: ignore, follow: needed ?? [] },
        run,
      )
      return { kind: "context", context: openTree(rooms, directory, { signal: run.signal }) }
    },
    release: free,
  }
}

/** Bytes of the files, as the client told of them. */
const bytesIn = (told: ReadonlyMap<string, string>): number => {
  let bytes = 0
  for (const signature of told.values()) {
    const parts: unknown = JSON.parse(signature)
    if (Array.isArray(parts) && typeof parts[3] === "number" && parts[5] === "") bytes += parts[3]
  }
  return bytes
}

/** Synced contexts that are kept between builds, for du and prune. */
export const openKeptContexts = (rooms: Pick<BuildRooms, "root" | "kernel">) => {
  const root = contextsDirectory(rooms.root)
  const names = (): string[] =>
    existsSync(root) ? readdirSync(root).filter((name) => /^sync-[0-9a-f]{32}(-[0-9]+)?$/.test(name)) : []
  return {
    list: (): KeptSource[] =>
      names().map((id) => {
        const directory = join(root, id)
        const list = statSync(listPath(directory), { throwIfNoEntry: false })
        const made = statSync(directory)
        return {
          id,
          kind: "source.local",
          description: "local source for context",
          bytes: bytesIn(loadList(directory) ?? new Map()),
          createdAt: made.birthtimeMs || made.ctimeMs,
          usedAt: list?.mtimeMs ?? made.mtimeMs,
          inUse: inUse.has(directory),
        }
      }),
    /** Bytes that came back; undefined when there is no such context. */
    async remove(id: string): Promise<number | undefined> {
      if (!names().includes(id)) return undefined
      const directory = join(root, id)
      if (inUse.has(directory)) return 0
      const bytes = bytesIn(loadList(directory) ?? new Map())
      rmSync(listPath(directory), { force: true })
      await rooms.kernel.perform([["remove-tree"], ["path", directory]])
      return bytes
    },
  }
}
