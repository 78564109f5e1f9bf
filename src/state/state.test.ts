// Durability, transactions and migrations of the state.
import { afterAll, expect, test } from "bun:test"
import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { migrate } from "./database.ts"
import { migrations } from "./migrations.ts"
import { openState, type VolumeRecord } from "./state.ts"

const directory = mkdtempSync(join(tmpdir(), "state-"))
afterAll(() => rmSync(directory, { recursive: true, force: true }))

let count = 0
const freshPath = (): string => join(directory, `${count++}`, "state.db")
const volume = (name: string): VolumeRecord => ({
  name,
  driver: "local",
  options: {},
  labels: {},
  createdAt: 1.5,
  anonymous: false,
})

test("what was put is found, listed in order, and there again after opening anew", () => {
  const path = freshPath()
  const state = openState(path)
  state.volumes.put("b", volume("b"))
  state.volumes.put("a", volume("a"), { durable: false })
  state.volumes.put("b", { ...volume("b"), driver: "other" })
  state.references.put("docker.io/library/x:latest", "sha256:1")
  expect(state.volumes.list().map((record) => record.name)).toEqual(["b", "a"])
  expect(state.volumes.remove("missing")).toBe(false)
  state.close()
  const again = openState(path)
  expect(again.volumes.list().map((record) => record.name)).toEqual(["b", "a"])
  expect(again.volumes.find("b")?.driver).toBe("other")
  expect(again.references.find("docker.io/library/x:latest")).toBe("sha256:1")
  expect(again.volumes.remove("b", { durable: false })).toBe(true)
  again.close()
  const third = openState(path)
  expect(third.volumes.find("b")).toBeUndefined()
  third.close()
  expect(statSync(path).mode & 0o777).toBe(0o600)
})

test("a transaction is all or nothing, in the file and in memory", () => {
  const path = freshPath()
  const state = openState(path)
  state.volumes.put("kept", volume("kept"))
  expect(() =>
    state.transaction(() => {
      state.volumes.put("x", volume("x"))
      state.volumes.remove("kept")
      throw new Error("no")
    }),
  ).toThrow("no")
  expect(state.volumes.list().map((record) => record.name)).toEqual(["kept"])
  expect(
    state.transaction(() => {
      state.volumes.put("y", volume("y"))
      state.settings.put("s", "1")
      return 5
    }),
  ).toBe(5)
  state.flush()
  state.close()
  const again = openState(path)
  expect(again.volumes.list().map((record) => record.name)).toEqual(["kept", "y"])
  again.close()
})

test("a process that is killed has lost no write, durable or not", async () => {
  const path = freshPath()
  const script = `import { openState } from "${import.meta.dir}/state.ts"
const state = openState("${path}")
state.settings.put("a", "1")
state.settings.put("b", "2", { durable: false })
process.kill(process.pid, "SIGKILL"); for (;;);`
  await Bun.spawn([process.execPath, "-e", script]).exited
  const state = openState(path)
  expect([state.settings.find("a"), state.settings.find("b")]).toEqual(["1", "2"])
  state.close()
})

test("flush after a write that was not durable syncs once and keeps everything", () => {
  const path = freshPath()
  const state = openState(path)
  state.settings.put("a", "1", { durable: false })
  state.flush()
  state.flush()
  expect(state.settings.find("a")).toBe("1")
  state.close()
})

test("migration 1 makes one table per noun on an empty file and is done once", () => {
  const database = new DatabaseSync(":memory:")
  migrate(database, migrations.slice(0, 1))
  migrate(database, migrations.slice(0, 1))
  const names = database
    .prepare("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")
    .all()
    .map((row) => String(row.name))
  expect(names).toEqual([
    "containers",
    "image_references",
    "images",
    "networks",
    "settings",
    "snapshots",
    "volumes",
  ])
})

test("migration 2 adds the removals and keeps what was stored before", () => {
  const database = new DatabaseSync(":memory:")
  migrate(database, migrations.slice(0, 1))
  database.exec("INSERT INTO settings VALUES ('a', '1')")
  migrate(database, migrations.slice(0, 2))
  expect(database.prepare("SELECT count(*) AS n FROM removals").get()?.n).toBe(0)
  expect(database.prepare("SELECT document FROM settings").get()?.document).toBe("1")
})

test("migration 3 adds the built-in registry's tables", () => {
  const database = new DatabaseSync(":memory:")
  migrate(database, migrations.slice(0, 3))
  for (const table of ["registry_blobs", "registry_manifests", "registry_tags"])
    expect(database.prepare(`SELECT count(*) AS n FROM ${table}`).get()?.n).toBe(0)
})

test("migration 4 adds the tables of builds", () => {
  const database = new DatabaseSync(":memory:")
  migrate(database, migrations.slice(0, 4))
  for (const table of ["build_records", "build_steps", "build_history", "cache_mounts"])
    expect(database.prepare(`SELECT count(*) AS n FROM ${table}`).get()?.n).toBe(0)
})

test("a migration that fails changes nothing, and a newer schema is refused", () => {
  const database = new DatabaseSync(":memory:")
  const broken = [...migrations, { name: "bad", sql: "CREATE TABLE extra (a); NONSENSE" }]
  expect(() => migrate(database, broken)).toThrow("bad")
  expect(database.prepare("SELECT count(*) AS n FROM sqlite_master WHERE name = 'extra'").get()?.n).toBe(0)
  migrate(database, migrations)
  expect(() => migrate(database, [])).toThrow("newer sloop")
})

test("a file that is no database is refused with a sentence", () => {
  const path = join(directory, "garbage.db")
  writeFileSync(path, "this is not a database, it is far too honest for that".repeat(100))
  expect(() => openState(path)).toThrow("cannot open the state")
})

test("a fact is read even when it could not be written, and the writer is told", () => {
  const path = freshPath()
  const state = openState(path)
  state.settings.put("a", "1")
  // A second writer that holds the database longer than this one waits stands for a disk that refuses.
  const other = new DatabaseSync(path)
  other.exec("BEGIN IMMEDIATE")
  expect(() => state.settings.put("a", "2")).toThrow("cannot write the state")
  expect(state.settings.find("a")).toBe("1")
  expect(() => state.settings.put("a", "3", { anyway: true })).toThrow("cannot write the state")
  expect(state.settings.find("a")).toBe("3")
  other.exec("ROLLBACK")
  other.close()
  state.close()
}, 20_000)
