// Reads and writes cgroup files of the host.
import { readdirSync, readFileSync, writeFileSync } from "node:fs"
import { errorMessage, failure } from "../../base/errors.ts"

const codeOf = (error: unknown): unknown =>
  error instanceof Error && "code" in error ? error.code : undefined

/** The file's text; undefined when file or cgroup are not there (any more). */
export function readCgroup(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8")
  } catch (error) {
    if (["ENOENT", "ENODEV", "EOPNOTSUPP"].includes(String(codeOf(error)))) return undefined
    throw error
  }
}

/** The file's number; 0 when it is not there, Infinity for "max". */
export function readNumber(file: string): number {
  const text = readCgroup(file)?.trim()
  if (text === undefined) return 0
  return text === "max" ? Number.POSITIVE_INFINITY : Number(text)
}

/** Lines of "key value" as numbers. */
export function readTable(file: string): ReadonlyMap<string, number> {
  const table = new Map<string, number>()
  for (const line of readCgroup(file)?.split("\n") ?? []) {
    const space = line.lastIndexOf(" ")
    if (space > 0) table.set(line.slice(0, space), Number(line.slice(space + 1)))
  }
  return table
}

/** Writes a value. Throws internal naming file and value; `optional` files may be missing or refuse. */
export function writeCgroup(file: string, value: string, optional = false): void {
  try {
    writeFileSync(file, value)
  } catch (error) {
    if (optional && ["ENOENT", "EINVAL", "EOPNOTSUPP", "EACCES"].includes(String(codeOf(error)))) return
    throw failure("internal", `Writing "${value}" to ${file} failed: ${errorMessage(error)}`, {
      cause: error,
    })
  }
}

/** Pids in a cgroup and in those beneath it, each once. */
export function memberPids(directory: string): number[] {
  const pids = new Set<number>()
  const visit = (path: string) => {
    for (const line of readCgroup(`${path}/cgroup.procs`)?.split("\n") ?? [])
      if (line !== "") pids.add(Number(line))
    for (const entry of subdirectories(path)) visit(`${path}/${entry}`)
  }
  visit(directory)
  return [...pids]
}

function subdirectories(path: string): string[] {
  try {
    return readdirSync(path, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map((entry) => entry.name)
  } catch (error) {
    if (codeOf(error) === "ENOENT") return []
    throw error
  }
}
