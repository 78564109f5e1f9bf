// One noun's table: JSON documents in SQLite, mirrored in memory so that reads cost nothing.
import type { DatabaseSync } from "node:sqlite"
import { failure } from "../base/errors.ts"
import type { Table, WriteOptions } from "./state.ts"

/** Performs one write with the asked-for durability. */
export type Write = (work: () => void, options: WriteOptions | undefined) => void

export interface MirroredTable<T> extends Table<T> {
  /** Reads everything from the database again (after a rolled back transaction). */
  reload(): void
}

/** Opens a table and reads all of it. A document that is not JSON throws internal, naming table and key. */
export const openTable = <T>(database: DatabaseSync, name: string, write: Write): MirroredTable<T> => {
  const select = database.prepare(`SELECT key, document FROM ${name} ORDER BY rowid`)
  const upsert = database.prepare(
    `INSERT INTO ${name} (key, document) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET document = excluded.document`,
  )
  const remove = database.prepare(`DELETE FROM ${name} WHERE key = ?`)
  const rows = new Map<string, T>()

  const reload = (): void => {
    rows.clear()
    for (const row of select.all()) {
      const key = String(row.key)
      try {
        rows.set(key, JSON.parse(String(row.document)))
      } catch (cause) {
        throw failure("internal", `the state's table ${name} holds a damaged record "${key}"`, { cause })
      }
    }
  }
  reload()

  return {
    find: (key) => rows.get(key),
    list: () => [...rows.values()],
    entries: () => [...rows],
    put(key, value, options) {
      if (options?.anyway) rows.set(key, value)
      write(() => upsert.run(key, JSON.stringify(value)), options)
      rows.set(key, value)
    },
    remove(key, options) {
      if (!rows.has(key)) return false
      write(() => remove.run(key), options)
      return rows.delete(key)
    },
    reload,
  }
}
