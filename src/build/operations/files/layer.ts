// What a step changed becomes a layer's tar: the launcher writes and hashes it by a script of headers and files.
import { failure } from "../../../base/errors.ts"
import { blockSize } from "../../../base/tar-header.ts"
import type { Kernel, Operation } from "../../../kernel/kernel.ts"
import { isDirectory, isFile, type ScannedEntry, typeMask, types } from "../../sources/local/scan.ts"
import { walkOrder } from "../../sources/local/walk-order.ts"
import type { Source } from "./source.ts"
import { encodeEntry } from "./tar-entry.ts"
import type { Body, Node } from "./target.ts"

const kinds: Readonly<Record<number, string>> = {
  [types.file]: "0",
  [types.symlink]: "2",
  [types.character]: "3",
  [types.block]: "4",
  [types.directory]: "5",
  [types.fifo]: "6",
}

const mostRoots = 64
const chunkBytes = 256 << 10

/** Pieces of the script, gathered into chunks. */
class Script {
  readonly #ready: Buffer[] = []
  #chunk = Buffer.allocUnsafe(chunkBytes)
  #filled = 0

  /** Whole chunks so far. */
  take(): Buffer[] {
    return this.#ready.splice(0)
  }

  end(): void {
    if (this.#filled > 0) this.#ready.push(this.#chunk.subarray(0, this.#filled))
    this.#filled = 0
  }

  #room(bytes: number): number {
    if (this.#filled + bytes > this.#chunk.length) {
      this.end()
      this.#chunk = Buffer.allocUnsafe(Math.max(chunkBytes, bytes))
    }
    const at = this.#filled
    this.#filled += bytes
    return at
  }

  literal(bytes: Uint8Array): void {
    const at = this.#room(5 + bytes.length)
    this.#chunk[at] = 0x4c
    this.#chunk.writeUInt32LE(bytes.length, at + 1)
    this.#chunk.set(bytes, at + 5)
  }

  file(root: number, path: string, size: number): void {
    const at = this.#room(12 + path.length)
    this.#chunk[at] = 0x46
    this.#chunk[at + 1] = root
    this.#chunk.writeUInt16LE(path.length, at + 2)
    this.#chunk.writeBigUInt64LE(BigInt(size), at + 4)
    this.#chunk.write(path, at + 12, "latin1")
  }
}

const padding = (bytes: number): number => -bytes & (blockSize - 1)

/** A node's header: hard links to `first` have no bytes of their own. */
const headerOf = (path: string, node: Node, first: string | undefined): Buffer =>
  encodeEntry({
    name: isDirectory(node.mode) ? `${path}/` : path,
    kind: first === undefined ? (kinds[node.mode & typeMask] ?? "0") : "1",
    mode: node.mode & 0o7777,
    uid: node.uid,
    gid: node.gid,
    size: first === undefined ? (node.body?.size ?? 0) : 0,
    mtime: node.mtime,
    link: first ?? node.link,
    major: node.major,
    minor: node.minor,
    attributes: first === undefined ? node.attributes : [],
  })

const isSameFile = (a: Node, b: Node): boolean => a.mode === b.mode && a.uid === b.uid && a.gid === b.gid

/** The roots of all files, each once: their places in the plan. */
const rootsOf = (nodes: Iterable<Node>): Map<string, { number: number; operation: Operation }> => {
  const roots = new Map<string, { number: number; operation: Operation }>()
  for (const { body } of nodes) {
    if (body?.kind !== "file") continue
    const { root } = body.source
    const key = root.join("\0")
    if (!roots.has(key)) roots.set(key, { number: roots.size, operation: root })
  }
  if (roots.size > mostRoots)
    throw failure(
      "invalid",
      `one instruction copies from ${roots.size} places; at most ${mostRoots} are possible`,
    )
  return roots
}

async function* scriptOf(
  nodes: readonly (readonly [path: string, node: Node])[],
  numberOf: (source: Source) => number,
): AsyncGenerator<Uint8Array> {
  const script = new Script()
  const firsts = new Map<Body, { path: string; node: Node }>()
  for (const [path, node] of nodes) {
    // The root of the tree has no name in a layer but "./".
    const { body } = node
    const known = body === undefined ? undefined : firsts.get(body)
    const first = known !== undefined && isSameFile(known.node, node) ? known.path : undefined
    script.literal(headerOf(path === "" ? "." : path, node, first))
    if (body === undefined || first !== undefined) continue
    if (known === undefined) firsts.set(body, { path, node })
    if (body.kind === "file") script.file(numberOf(body.source), body.entry.path, body.size)
    else {
      script.literal(body.bytes)
      script.literal(Buffer.alloc(padding(body.size)))
    }
    yield* script.take()
  }
  script.literal(Buffer.alloc(2 * blockSize))
  script.end()
  yield* script.take()
}

/** Tells the sources which of their files are read. */
const tellRead = (nodes: Iterable<Node>): void => {
  const read = new Map<Source, ScannedEntry[]>()
  for (const { mode, body } of nodes) {
    if (!isFile(mode) || body?.kind !== "file") continue
    const entries = read.get(body.source) ?? []
    entries.push(body.entry)
    read.set(body.source, entries)
  }
  for (const [source, entries] of read) source.wasRead(entries)
}

/**
 * Writes the tar of these changes, in the order of their paths, to a new file. Gives its digest and length. Throws the
 * launcher's failure, for a file that vanished or was cut short "invalid".
 */
export const writeTar = async (
  kernel: Kernel,
  changes: ReadonlyMap<string, Node>,
  output: string,
  signal: AbortSignal,
): Promise<{ digest: string; size: number }> => {
  const nodes = [...changes].toSorted(([a], [b]) => walkOrder(a, b))
  const roots = rootsOf(changes.values())
  const numbers = new Map<Source, number>()
  const numberOf = (source: Source): number => {
    let number = numbers.get(source)
    if (number === undefined) {
      number = roots.get(source.root.join("\0"))?.number ?? 0
      numbers.set(source, number)
    }
    return number
  }
  tellRead(changes.values())
  const plan: Operation[] = [
    ["assemble"],
    ["output", output],
    ...[...roots.values()].map(({ operation }) => operation),
  ]
  const answer = await kernel.send(plan, scriptOf(nodes, numberOf), signal)
  return { digest: `sha256:${answer.get("sha256")?.[0] ?? ""}`, size: Number(answer.get("size")?.[0] ?? 0) }
}
