// The schema's history: an ordered list, each entry run once inside a transaction. Entries are never changed, only added.

export interface Migration {
  readonly name: string
  readonly sql: string
}

export const migrations: readonly Migration[] = [
  {
    name: "one table of JSON documents per noun",
    sql: ["containers", "images", "image_references", "volumes", "networks", "snapshots", "settings"]
      .map((table) => `CREATE TABLE ${table} (key TEXT PRIMARY KEY NOT NULL, document TEXT NOT NULL) STRICT;`)
      .join("\n"),
  },
  {
    name: "removals that are under way",
    sql: "CREATE TABLE removals (key TEXT PRIMARY KEY NOT NULL, document TEXT NOT NULL) STRICT;",
  },
  {
    name: "the built-in registry",
    sql: ["registry_blobs", "registry_manifests", "registry_tags"]
      .map((table) => `CREATE TABLE ${table} (key TEXT PRIMARY KEY NOT NULL, document TEXT NOT NULL) STRICT;`)
      .join("\n"),
  },
  {
    name: "builds",
    sql: ["build_records", "build_steps", "build_history", "cache_mounts"]
      .map((table) => `CREATE TABLE ${table} (key TEXT PRIMARY KEY NOT NULL, document TEXT NOT NULL) STRICT;`)
      .join("\n"),
  },
]
