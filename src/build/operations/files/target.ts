// The tree that a step changes, as the step will leave it: what the root has, looked up when it is needed, and what was put over it.
// Paths are canonical (no links, no leading slash, latin1 text); nothing is written before the step knows all of it.
import { failure } from "../../../base/errors.ts"
import { rootOperation } from "../../../kernel/mount.ts"
import type { BuildRooms } from "../../rooms.ts"
import { shown } from "../../sources/local/names.ts"
import {
  type Attribute,
  isDirectory,
  isSymlink,
  type ScannedEntry,
  scan,
  types,
} from "../../sources/local/scan.ts"

import type { Source } from "./source.ts"

/** Where the bytes of a file come from. */
export type Body =
  | {
      readonly kind: "file"
      readonly source: Source
      readonly entry: ScannedEntry
      readonly size: number
      /** It may have several names. */
      readonly shared: boolean
      /** All that decides, beside the entry, what becomes of it in a layer: the same for all files of one copy. */
      readonly copy: string
    }
  | { readonly kind: "bytes"; readonly bytes: Uint8Array; readonly size: number; readonly shared?: false }

/** A file, directory or link as it will be. The same `body` at two names is one file with two names. */
export interface Node {
  /** Type and permissions. */
  readonly mode: number
  readonly uid: number
  readonly gid: number
  /** Unix seconds. */
  readonly mtime: number
  readonly link: string
  readonly major: number
  readonly minor: number
  readonly attributes: readonly Attribute[]
  readonly body?: Body
}

const mostLooks = 10_000
const mostLinks = 255

const asNode = (entry: ScannedEntry): Node => ({
  mode: entry.mode,
  uid: entry.uid,
  gid: entry.gid,
  mtime: entry.mtime,
  link: entry.link,
  major: entry.major,
  minor: entry.minor,
  attributes: entry.attributes,
})

const parentOf = (path: string): string => path.slice(0, Math.max(0, path.lastIndexOf("/")))
const joined = (directory: string, name: string): string => (directory === "" ? name : `${directory}/${name}`)

export class Target {
  readonly #rooms: BuildRooms
  readonly #chainId: string
  readonly #signal: AbortSignal
  /** What the root has, as far as it was looked up. */
  readonly #there = new Map<string, Node | undefined>()
  readonly #put = new Map<string, Node>()

  /** `chainId` "" is an empty root. */
  constructor(rooms: BuildRooms, chainId: string, signal: AbortSignal) {
    this.#rooms = rooms
    this.#chainId = chainId
    this.#signal = signal
    if (chainId === "")
      this.#there.set("", {
        mode: types.directory | 0o755,
        uid: 0,
        gid: 0,
        mtime: 0,
        link: "",
        major: 0,
        minor: 0,
        attributes: [],
      })
  }

  /** What the step changes, by path. */
  get changes(): ReadonlyMap<string, Node> {
    return this.#put
  }

  /** Looks paths of the root up together, so that find() need not ask for each. Paths must not lead through links. */
  async learn(paths: readonly string[]): Promise<void> {
    if (this.#chainId === "") return
    const unknown = [...new Set(paths)].filter((path) => !this.#isKnown(path))
    const view = rootOperation(this.#rooms.snapshots.view(this.#chainId))
    for (let from = 0; from < unknown.length; from += mostLooks) {
      const part = unknown.slice(from, from + mostLooks)
      const looks = part.map((path) => ["entry", path] as const)
      const found = await scan(this.#rooms.kernel, view, looks, { attributes: true }, this.#signal)
      for (const [at, path] of part.entries()) {
        const entry = found[at]?.entries[0]
        this.#there.set(path, entry === undefined ? undefined : asNode(entry))
      }
    }
  }

  #isKnown(path: string): boolean {
    if (this.#chainId === "" || this.#there.has(path) || this.#put.has(path)) return true
    // Nothing is beneath what is not there, or is no directory.
    for (let at = path.lastIndexOf("/"); at > 0; at = path.lastIndexOf("/", at - 1)) {
      const parent = path.slice(0, at)
      if (!this.#there.has(parent)) continue
      const node = this.#there.get(parent)
      return node === undefined || !isDirectory(node.mode)
    }
    return false
  }

  /** What is at a path now; the last name is not followed. */
  async find(path: string): Promise<Node | undefined> {
    const put = this.#put.get(path)
    if (put !== undefined) return put
    if (!this.#isKnown(path)) await this.learn([path])
    return this.#there.get(path)
  }

  /** As find, for what is known (put, learned or beneath what is not there). */
  known(path: string): Node | undefined {
    return this.#put.get(path) ?? this.#there.get(path)
  }

  /** Where a path leads: links are followed, the last one too; what is not there stays as it is written. */
  async follow(path: string): Promise<string> {
    const todo = path.split("/").toReversed()
    const found: string[] = []
    let links = 0
    await this.learn(await this.#prefixes(path))
    while (todo.length > 0) {
      const part = todo.pop() ?? ""
      if (part === "" || part === ".") continue
      if (part === "..") {
        found.pop()
        continue
      }
      const node = await this.find(joined(found.join("/"), part))
      if (node === undefined || !isSymlink(node.mode)) {
        found.push(part)
        continue
      }
      if (++links > mostLinks)
        throw failure("invalid", `"/${shown(path)}": too many levels of symbolic links`)
      if (node.link.startsWith("/")) found.length = 0
      todo.push(...node.link.split("/").toReversed())
    }
    return found.join("/")
  }

  /** A path and all above it, where it is written plainly. */
  #prefixes(path: string): string[] {
    const parts = path.split("/").filter((part) => part !== "" && part !== ".")
    if (parts.includes("..")) return [""]
    return ["", ...parts.map((_, at) => parts.slice(0, at + 1).join("/"))]
  }

  /** Puts a file, directory or link; its directory is there. Throws Failure "invalid" where the kind of thing forbids it. */
  put(path: string, node: Node): void {
    this.#put.set(path, node)
  }

  /** What is at the path goes, with all beneath it. */
  clear(path: string): void {
    const prefix = `${path}/`
    for (const map of [this.#put, this.#there])
      for (const at of map.keys()) if (at.startsWith(prefix)) map.delete(at)
    this.#put.delete(path)
    this.#there.set(path, undefined)
  }

  /** Makes a directory and what is missing above it; `path` is canonical. Whether it was made. */
  async makeDirectories(path: string, node: Pick<Node, "mode" | "uid" | "gid" | "mtime">): Promise<boolean> {
    const there = await this.find(path)
    if (there !== undefined && isDirectory(there.mode)) return false
    if (there !== undefined) throw failure("invalid", `mkdir /${shown(path)}: not a directory`)
    if (path !== "") await this.makeDirectories(parentOf(path), node)
    this.put(path, {
      ...node,
      mode: types.directory | (node.mode & 0o7777),
      link: "",
      major: 0,
      minor: 0,
      attributes: [],
    })
    return true
  }

  /** Directories of the root above everything that changes: a layer tells of them as they are. */
  async parents(): Promise<ReadonlyMap<string, Node>> {
    const found = new Map<string, Node>()
    for (const path of this.#put.keys())
      for (let at = path; at !== ""; ) {
        at = parentOf(at)
        // What is above a change is looked at when its own turn comes.
        if (found.has(at) || this.#put.has(at)) break
        const node = await this.find(at)
        if (node !== undefined) found.set(at, node)
      }
    return found
  }
}
