// A directory as a tar for an engine that does not see it: without what .dockerignore leaves out, as docker sends it.
import { createReadStream, existsSync, lstatSync, readdirSync, readFileSync, readlinkSync } from "node:fs"
import { join } from "node:path"
import { type TarSource, writeTar } from "../../base/tar-writer.ts"
import { ignoreMatcher, readIgnore } from "../../build/build.ts"

interface Packed {
  readonly path: string
  /** Only these names, where they exist. */
  readonly only?: readonly string[]
}

/**
 * The tar. The Dockerfile and its ignore file are sent whatever that one says; owners are root's, as docker has them.
 * `dockerfile` lies in the context; one that lies elsewhere has its ignore file there, `ignoreFile`.
 */
export function packContext(
  { path, only }: Packed,
  { dockerfile = "Dockerfile", ignoreFile }: { dockerfile?: string; ignoreFile?: string } = {},
): AsyncIterable<Uint8Array> {
  if (only !== undefined)
    return writeTar(
      only.filter((name) => existsSync(join(path, name))).flatMap((name) => entryOf(path, name) ?? []),
    )
  const own = ignoreFile !== undefined && existsSync(ignoreFile) ? ignoreFile : undefined
  return writeTar(contextEntries(path, dockerfile, own ?? ignoreFileOf(path, dockerfile)))
}

/** The ignore file that counts; undefined when there is none. */
export const ignoreFileOf = (root: string, dockerfile: string): string | undefined =>
  [`${dockerfile}.dockerignore`, ".dockerignore"].map((name) => join(root, name)).find(existsSync)

/** Entries, parents first; a directory that is left out but holds something that is not comes with it. */
function* contextEntries(
  root: string,
  dockerfile: string,
  ignoreFile: string | undefined,
): Generator<TarSource> {
  const matcher = ignoreMatcher(ignoreFile === undefined ? [] : readIgnore(readFileSync(ignoreFile)))
  const always = [dockerfile, ".dockerignore", `${dockerfile}.dockerignore`]
  function* walk(directory: string, left: readonly TarSource[]): Generator<TarSource> {
    let pending = left
    for (const name of readdirSync(join(root, directory)).sort()) {
      const path = directory === "" ? name : `${directory}/${name}`
      const entry = entryOf(root, path)
      if (entry === undefined) continue
      const isDirectory = entry.type === "directory"
      const ignored = matcher.ignores(path, isDirectory) && !always.includes(path)
      if (!ignored) {
        yield* pending
        pending = []
        yield entry
      }
      if (!isDirectory) continue
      const walked =
        !ignored || matcher.mayHoldExceptions(path) || always.some((one) => one.startsWith(`${path}/`))
      if (walked) {
        let some = false
        for (const inner of walk(path, ignored ? [...pending, entry] : [])) {
          some = true
          yield inner
        }
        if (some) pending = []
      }
    }
  }
  yield* walk("", [])
}

/** undefined for sockets and what has gone meanwhile. */
function entryOf(root: string, path: string): TarSource | undefined {
  const full = join(root, path)
  const stat = lstatSync(full, { throwIfNoEntry: false })
  if (stat === undefined) return undefined
  const common = { mode: stat.mode & 0o7777, mtime: Math.floor(stat.mtimeMs / 1000) }
  if (stat.isDirectory()) return { ...common, name: `${path}/`, type: "directory" }
  if (stat.isSymbolicLink()) return { ...common, name: path, type: "symlink", linkName: readlinkSync(full) }
  if (!stat.isFile()) return undefined
  return {
    ...common,
    name: path,
    type: "file",
    size: stat.size,
    body: stat.size === 0 ? new Uint8Array() : exactly(full, stat.size),
  }
}

/** A file that grows while it is read keeps the length that was announced. */
async function* exactly(path: string, size: number): AsyncGenerator<Uint8Array> {
  yield* createReadStream(path, { highWaterMark: 1 << 20, end: size - 1 })
}
