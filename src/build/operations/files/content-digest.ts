// The digest of what a copy would take: names, types, modes, owners, links, contents and attributes; no times, no places.
import { createHash } from "node:crypto"
import type { CopyAction } from "../../graph/graph.ts"
import type { FileDigest } from "../../sources/local/digests.ts"
import { isDirectory, isFile, type ScannedEntry, typeMask, types } from "../../sources/local/scan.ts"
import { type Selection, selectFiles } from "./select.ts"
import type { Source } from "./source.ts"

const none = Buffer.alloc(32)

/** Entries as bytes that two different trees never share: every part has its length before it or is of one length. */
class Lines {
  #buffer = Buffer.allocUnsafe(1 << 16)
  #filled = 0
  readonly #hash = createHash("sha256")

  #room(bytes: number): number {
    if (this.#filled + bytes > this.#buffer.length) {
      this.#hash.update(this.#buffer.subarray(0, this.#filled))
      this.#filled = 0
      if (bytes > this.#buffer.length) this.#buffer = Buffer.allocUnsafe(bytes)
    }
    const at = this.#filled
    this.#filled += bytes
    return at
  }

  text(text: string): void {
    const at = this.#room(4 + text.length)
    this.#buffer.writeUInt32LE(text.length, at)
    this.#buffer.write(text, at + 4, "latin1")
  }

  numbers(...values: readonly number[]): void {
    let at = this.#room(4 * values.length)
    for (const value of values) at = this.#buffer.writeUInt32LE(value >>> 0, at)
  }

  bytes(bytes: Buffer): void {
    bytes.copy(this.#buffer, this.#room(bytes.length))
  }

  end(): string {
    this.#hash.update(this.#buffer.subarray(0, this.#filled))
    return `sha256:${this.#hash.digest("hex")}`
  }
}

const hasDigest = (entry: ScannedEntry): boolean => isFile(entry.mode) || isDirectory(entry.mode)

const addEntry = (
  lines: Lines,
  entry: ScannedEntry,
  path: string,
  digest: FileDigest | undefined,
  ownerless: boolean,
): void => {
  const type = entry.mode & typeMask
  // Sockets are in no image.
  if (type === types.socket) return
  const device = type === types.character || type === types.block
  lines.text(path)
  lines.numbers(
    type === types.symlink ? type | 0o777 : entry.mode,
    ownerless ? 0 : entry.uid,
    ownerless ? 0 : entry.gid,
    device ? entry.major : 0,
    device ? entry.minor : 0,
    digest?.attributes === undefined ? 0 : 1,
  )
  lines.text(entry.link)
  if (type === types.file) lines.bytes(digest?.contents ?? none)
  if (digest?.attributes !== undefined) lines.bytes(digest.attributes)
}

const addSelection = async (lines: Lines, source: Source, selection: Selection): Promise<void> => {
  const { top, inside, name } = selection
  const entries = [top, ...inside]
  const digested = entries.filter(hasDigest)
  const digests = await source.digests(digested)
  const cut = top.path === "" ? 0 : top.path.length + 1
  // A directory's own name does not count: its contents are copied.
  lines.text(isDirectory(top.mode) ? "/" : name)
  lines.numbers(entries.length)
  let next = 0
  for (const [at, entry] of entries.entries())
    addEntry(
      lines,
      entry,
      at === 0 ? "" : entry.path.slice(cut),
      hasDigest(entry) ? digests[next++] : undefined,
      source.ownerless,
    )
}

/** As Operations.contentDigest. */
export const digestSelections = async (
  source: Source,
  action: Pick<CopyAction, "sources" | "exclude" | "parents" | "follow" | "required">,
): Promise<string> => {
  const lines = new Lines()
  for (const selection of await selectFiles(source, action)) await addSelection(lines, source, selection)
  return lines.end()
}
