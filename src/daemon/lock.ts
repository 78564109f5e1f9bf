// One daemon per data root: a lock that the kernel gives back when its holder dies.
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { failure } from "../base/errors.ts"

export interface DataRootLock {
  release(): void
}

/** SQLite's exclusive lock is a POSIX record lock, the only file lock that JavaScript reaches. Throws conflict. */
export function lockDataRoot(dataRoot: string): DataRootLock {
  const pidFile = join(dataRoot, "daemon.pid")
  const database = new DatabaseSync(join(dataRoot, "daemon.lock"))
  try {
    database.exec("PRAGMA busy_timeout = 0; PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE")
  } catch (cause) {
    database.close()
    throw failure(
      "conflict",
      `another Sloop daemon (process ${holder(pidFile)}) uses the data root ${dataRoot}: stop it, or give this one another --data-root`,
      { cause },
    )
  }
  writeFileSync(pidFile, `${process.pid}\n`, { mode: 0o600 })
  return { release: () => database.close() }
}

function holder(pidFile: string): string {
  try {
    return readFileSync(pidFile, "utf8").trim()
  } catch {
    return "unknown"
  }
}
