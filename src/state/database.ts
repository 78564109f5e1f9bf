// Opens the state's database: pragmas, migrations, tables, transactions and the quiet checkpoint.
import { chmodSync, mkdirSync } from "node:fs"
import { dirname } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { errorMessage, type Failure, failure } from "../base/errors.ts"
import { type Migration, migrations } from "./migrations.ts"
import { openReserve } from "./reserve.ts"
import type {
  BuildCacheRecord,
  BuildHistoryRecord,
  BuildStepRecord,
  CacheMountRecord,
  ContainerRecord,
  ImageRecord,
  NetworkRecord,
  RegistryBlobRecord,
  RegistryManifestRecord,
  RegistryTagRecord,
  RemovalRecord,
  SnapshotRecord,
  State,
  VolumeRecord,
  WriteOptions,
} from "./state.ts"
import { type MirroredTable, openTable } from "./table.ts"

/** Pages in the log after which SQLite checkpoints inside a write, should the quiet moment never come. */
const checkpointCeiling = 20_000
const quietMilliseconds = 2000
/** How long a write that is not durable may wait for a sync. */
const soonMilliseconds = 1000
const quietWrites = 200
/** Milliseconds until the room kept aside is taken again, and between later tries. */
const firstRestoreDelay = 200
const longestRestoreDelay = 10_000
/** SQLITE_FULL */
const sqliteFull = 13

/** Brings the schema to the last migration. Throws unavailable when the file is from a newer engine. */
export const migrate = (database: DatabaseSync, list: readonly Migration[]): void => {
  const version = Number(database.prepare("PRAGMA user_version").get()?.user_version ?? 0)
  if (version > list.length) {
    throw failure(
      "unavailable",
      `the state was written by a newer sloop (schema ${version}, this one knows ${list.length}): use that one, or another data root`,
    )
  }
  for (const [index, migration] of list.entries()) {
    if (index < version) continue
    database.exec("BEGIN IMMEDIATE")
    try {
      database.exec(migration.sql)
      database.exec(`PRAGMA user_version = ${index + 1}`)
      database.exec("COMMIT")
    } catch (cause) {
      database.exec("ROLLBACK")
      throw failure("internal", `migration ${index + 1} (${migration.name}) failed: ${errorMessage(cause)}`, {
        cause,
      })
    }
  }
}

const openDatabase = (path: string): DatabaseSync => {
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
    const database = new DatabaseSync(path)
    database.exec("PRAGMA busy_timeout = 2000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL")
    database.exec(`PRAGMA wal_autocheckpoint = ${checkpointCeiling}`)
    chmodSync(path, 0o600)
    return database
  } catch (cause) {
    throw failure("unavailable", `cannot open the state ${path}: ${errorMessage(cause)}`, { cause })
  }
}

const isFull = (error: unknown): boolean =>
  error instanceof Error && (("errcode" in error && error.errcode === sqliteFull) || isFull(error.cause))

/** Opens (or makes) the state at `path`. Throws unavailable when the file cannot be opened or is from a newer engine. */
export const openState = (path: string): State => {
  const database = openDatabase(path)
  migrate(database, migrations)
  const reserve = openReserve(`${path}.reserve`)

  let level: "FULL" | "NORMAL" = "FULL"
  let depth = 0
  let unsynced = false
  let writes = 0
  let quiet: NodeJS.Timeout | undefined
  let later: NodeJS.Timeout | undefined
  let soon: NodeJS.Timeout | undefined

  const setLevel = (options: WriteOptions | undefined): void => {
    const wanted = options?.durable === false ? "NORMAL" : "FULL"
    if (wanted !== level) database.exec(`PRAGMA synchronous = ${wanted}`)
    level = wanted
  }
  const restoreLater = (delay: number): void => {
    clearTimeout(later)
    later = setTimeout(() => {
      if (!reserve.restore()) restoreLater(Math.min(delay * 2, longestRestoreDelay))
    }, delay)
    later.unref()
  }
  const giveWay = (): boolean => {
    restoreLater(firstRestoreDelay)
    return reserve.release()
  }
  const unwritable = (cause: unknown): Failure =>
    failure(
      "exhausted",
      isFull(cause)
        ? `cannot write the state ${path}: no space left on device: remove what is not needed there`
        : `cannot write the state ${path}: ${errorMessage(cause)}`,
      { cause },
    )
  const flush = (): void => {
    if (!unsynced) return
    setLevel({ durable: true })
    // A sync of the log needs a commit that writes a page.
    database.exec(`PRAGMA user_version = ${migrations.length}`)
    written()
  }
  const flushSoon = (): void => {
    soon ??= setTimeout(() => {
      soon = undefined
      try {
        flush()
      } catch {
        // On a full disk: the next write says so.
      }
    }, soonMilliseconds)
    soon.unref()
  }
  const written = (): void => {
    unsynced = level === "NORMAL"
    if (unsynced) flushSoon()
    if (++writes < quietWrites || quiet !== undefined) return
    quiet = setTimeout(() => {
      quiet = undefined
      writes = 0
      database.exec("PRAGMA wal_checkpoint(PASSIVE)")
    }, quietMilliseconds)
    quiet.unref()
  }
  const write = (work: () => void, options: WriteOptions | undefined): void => {
    if (depth > 0) {
      work()
      return
    }
    setLevel(options)
    try {
      work()
    } catch (cause) {
      if (!isFull(cause) || options?.anyway !== true || !giveWay()) throw unwritable(cause)
      try {
        work()
      } catch (again) {
        throw unwritable(again)
      }
    }
    written()
  }

  const table = <T>(name: string): MirroredTable<T> => openTable<T>(database, name, write)
  const tables = {
    containers: table<ContainerRecord>("containers"),
    removals: table<RemovalRecord>("removals"),
    images: table<ImageRecord>("images"),
    references: table<string>("image_references"),
    volumes: table<VolumeRecord>("volumes"),
    networks: table<NetworkRecord>("networks"),
    snapshots: table<SnapshotRecord>("snapshots"),
    registryBlobs: table<RegistryBlobRecord>("registry_blobs"),
    registryManifests: table<RegistryManifestRecord>("registry_manifests"),
    registryTags: table<RegistryTagRecord>("registry_tags"),
    buildRecords: table<BuildCacheRecord>("build_records"),
    buildSteps: table<BuildStepRecord>("build_steps"),
    buildHistory: table<BuildHistoryRecord>("build_history"),
    cacheMounts: table<CacheMountRecord>("cache_mounts"),
    settings: table<string>("settings"),
  }

  const attempt = <T>(work: () => T, options: WriteOptions | undefined): T => {
    setLevel(options)
    database.exec("BEGIN IMMEDIATE")
    depth = 1
    try {
      const result = work()
      database.exec("COMMIT")
      depth = 0
      written()
      return result
    } catch (error) {
      depth = 0
      if (database.isTransaction) database.exec("ROLLBACK")
      for (const mirrored of Object.values(tables)) mirrored.reload()
      throw error
    }
  }

  return {
    ...tables,
    transaction(work, options) {
      if (depth > 0) return work()
      try {
        return attempt(work, options)
      } catch (error) {
        if (!isFull(error)) throw error
        if (options?.makesRoom !== true || !giveWay()) throw unwritable(error)
      }
      return attempt(work, options)
    },
    flush,
    close() {
      clearTimeout(quiet)
      clearTimeout(soon)
      clearTimeout(later)
      database.close()
    },
  }
}
