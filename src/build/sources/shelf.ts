// What was fetched from remote addresses, kept between builds: one directory for each version, with a note of what it is.
//
//   ROOT/<folder>/<hash of key>-<hex>/note.json    key, description, size, when it was made, what the fetcher wants to remember
//   ROOT/<folder>/<hash of key>-<hex>/tree/        the files
//   ROOT/<folder>/new-<hex>/                       being fetched; without an owner after a crash
import { createHash, randomBytes } from "node:crypto"
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, utimesSync } from "node:fs"
import { join } from "node:path"
import { writeFileAtomic } from "../../base/atomic-file.ts"
import { isJsonObject, type JsonObject } from "../../base/json-bounded.ts"
import type { BuildRooms } from "../rooms.ts"
import type { KeptSource } from "./sources.ts"

export interface Place {
  readonly id: string
  readonly key: string
  /** The files. */
  readonly directory: string
  readonly memory: JsonObject
}

interface Note {
  readonly key: string
  readonly description: string
  readonly bytes: number
  readonly createdAt: number
  readonly memory: JsonObject
}

export interface Shelf {
  /** The newest version. */
  find(key: string): Place | undefined
  has(place: Place): boolean
  /** A directory to be filled; it ends with `keep` or `drop`. */
  begin(): {
    readonly directory: string
    /** Versions of the same key that nobody has used for an hour go. */
    keep(note: Omit<Note, "createdAt">): Promise<Place>
    drop(): Promise<void>
  }
  /** Keeps a place from going until the function that comes back is called. */
  use(place: Place): () => void
  list(): KeptSource[]
  /** Bytes that came back; undefined when this shelf has no such place. */
  remove(id: string): Promise<number | undefined>
  recover(): Promise<void>
}

const noteName = "note.json"

const readNote = (path: string): Note | undefined => {
  try {
    const note: unknown = JSON.parse(readFileSync(path, "utf8"))
    if (!isJsonObject(note) || !isJsonObject(note.memory)) return undefined
    const { key, description, bytes, createdAt, memory } = note
    if (typeof key !== "string" || typeof description !== "string") return undefined
    if (typeof bytes !== "number" || typeof createdAt !== "number") return undefined
    return { key, description, bytes, createdAt, memory }
  } catch {
    return undefined
  }
}

const hashOf = (key: string): string => createHash("sha256").update(key).digest("hex").slice(0, 32)
const newHex = (): string => randomBytes(8).toString("hex")

/** `kind` is the one under which places are listed: "source.http". */
export const openShelf = (
  rooms: Pick<BuildRooms, "root" | "kernel">,
  folder: string,
  kind: string,
): Shelf => {
  const root = join(rooms.root, folder)
  const users = new Map<string, number>()

  const remove = (name: string): Promise<unknown> =>
    rooms.kernel.perform([["remove-tree"], ["path", join(root, name)]])
  const names = (): string[] => {
    try {
      return readdirSync(root)
    } catch {
      return []
    }
  }
  const noteOf = (id: string): Note | undefined => readNote(join(root, id, noteName))
  const usedAt = (id: string): number => {
    try {
      return statSync(join(root, id, noteName)).mtimeMs
    } catch {
      return 0
    }
  }
  const placeOf = (id: string, note: Note): Place => ({
    id,
    key: note.key,
    directory: join(root, id, "tree"),
    memory: note.memory,
  })
  const versions = (key: string): string[] => names().filter((name) => name.startsWith(`${hashOf(key)}-`))

  const keep = async (temporary: string, note: Omit<Note, "createdAt">): Promise<Place> => {
    const whole: Note = { ...note, createdAt: Date.now() }
    writeFileAtomic(join(root, temporary, noteName), JSON.stringify(whole))
    const before = versions(note.key)
    const id = `${hashOf(note.key)}-${newHex()}`
    renameSync(join(root, temporary), join(root, id))
    // A build that has asked for a version may come back for it.
    const recent = Date.now() - 3_600_000
    for (const old of before) if (!users.has(old) && usedAt(old) < recent) await remove(old)
    return placeOf(id, whole)
  }

  return {
    find(key) {
      const found = versions(key).flatMap((id) => {
        const note = noteOf(id)
        return note?.key === key ? [{ id, note }] : []
      })
      const newest = found.toSorted((a, b) => b.note.createdAt - a.note.createdAt)[0]
      return newest === undefined ? undefined : placeOf(newest.id, newest.note)
    },
    has: ({ id }) => noteOf(id) !== undefined,
    begin() {
      const name = `new-${newHex()}`
      const directory = join(root, name, "tree")
      mkdirSync(directory, { recursive: true, mode: 0o700 })
      return {
        directory,
        keep: (note) => keep(name, note),
        drop: async () => {
          await remove(name)
        },
      }
    },
    use({ id }) {
      users.set(id, (users.get(id) ?? 0) + 1)
      const now = new Date()
      try {
        utimesSync(join(root, id, noteName), now, now)
      } catch {
        // The time of use is a hint for pruning alone.
      }
      let released = false
      return () => {
        if (released) return
        released = true
        const left = (users.get(id) ?? 1) - 1
        if (left > 0) users.set(id, left)
        else users.delete(id)
      }
    },
    list: () =>
      names().flatMap((id) => {
        const note = noteOf(id)
        if (note === undefined) return []
        const { description, bytes, createdAt } = note
        return [{ id, kind, description, bytes, createdAt, usedAt: usedAt(id), inUse: users.has(id) }]
      }),
    async remove(id) {
      if (!names().includes(id)) return undefined
      if (users.has(id)) return 0
      const bytes = noteOf(id)?.bytes ?? 0
      await remove(id)
      return bytes
    },
    async recover() {
      for (const name of names()) {
        if (noteOf(name) !== undefined && !name.startsWith("new-")) continue
        if (statSync(join(root, name)).isDirectory()) await remove(name)
        else rmSync(join(root, name), { force: true })
      }
    },
  }
}
