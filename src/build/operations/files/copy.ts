// One COPY or ADD action on a target: where each file goes, what becomes of owners, modes and times, and what stands in the way.
import { failure } from "../../../base/errors.ts"
import type { CopyAction } from "../../graph/graph.ts"
import { bytesOf, shown } from "../../sources/local/names.ts"
import {
  isDirectory,
  isFile,
  isSymlink,
  type ScannedEntry,
  typeMask,
  types,
} from "../../sources/local/scan.ts"
import { modeChange } from "./mode.ts"
import type { Selection } from "./select.ts"
import type { Source } from "./source.ts"
import type { Body, Node, Target } from "./target.ts"

export interface Owner {
  readonly uid: number
  readonly gid: number
}

export interface CopySettings {
  /** undefined = as the files have it. */
  readonly owner: Owner | undefined
  readonly mode: CopyAction["mode"]
  /** Unix seconds: times of what is made; the present unless the build says otherwise. */
  readonly now: number
  /** No time is later; unix seconds. */
  readonly latest: number | undefined
}

const joined = (directory: string, name: string): string => (directory === "" ? name : `${directory}/${name}`)
const parentOf = (path: string): string => path.slice(0, Math.max(0, path.lastIndexOf("/")))

/** Names that a layer's tar would take for deletions. */
const refuseWhiteout = (path: string): void => {
  if (path.startsWith(".wh.", path.lastIndexOf("/") + 1))
    throw failure(
      "invalid",
      `"/${shown(path)}" cannot be part of an image: its name means a deletion in a layer`,
    )
}

export class Copier {
  readonly #target: Target
  readonly #settings: CopySettings
  readonly #source: Source
  readonly #change: (mode: number, isDirectory: boolean) => number
  /** First copies of files that have several names. */
  readonly #bodies = new Map<string, Body>()
  #copy = ""

  readonly #replaces: boolean

  /** `replaces`: what is in the way of another kind gives way, as it does to an archive's entries. */
  constructor(target: Target, source: Source, settings: CopySettings, { replaces = false } = {}) {
    this.#replaces = replaces
    this.#target = target
    this.#source = source
    this.#settings = settings
    this.#change = modeChange(settings.mode)
  }

  /** `destination` as the Dockerfile has it: with a slash at its end it is a directory. */
  async copy(selection: Selection, destination: string): Promise<void> {
    const wanted = bytesOf(destination)
    const slash = wanted.lastIndexOf("/")
    const last = wanted.slice(slash + 1)
    await this.#makeParents(last === "" || last === "." ? wanted : wanted.slice(0, slash + 1))
    let at = await this.#target.follow(wanted)
    const there = await this.#target.find(at)
    const { top } = selection
    if (!isDirectory(top.mode)) {
      if (there !== undefined && isDirectory(there.mode)) at = joined(at, selection.name)
      await this.#makeParents(parentOf(at))
      await this.#target.find(at)
      this.#begin(at, top.path)
      await this.#copyOthers([{ entry: top, at }])
      return
    }
    if (selection.inside.length === 0 && selection.patterned) return
    await this.#makeParents(there === undefined ? at : parentOf(at))
    await this.#copyDirectory(selection, at, there === undefined)
  }

  async #makeParents(path: string): Promise<void> {
    const canonical = await this.#target.follow(path)
    const mode = typeof this.#settings.mode === "number" ? this.#settings.mode : 0o755
    const { uid, gid } = this.#settings.owner ?? { uid: 0, gid: 0 }
    await this.#target.makeDirectories(canonical, { mode, uid, gid, mtime: this.#settings.now })
  }

  /** What decides, beside a file itself, what becomes of it. */
  #begin(at: string, from: string): void {
    const { owner, mode, latest } = this.#settings
    this.#copy = JSON.stringify([at, from, owner?.uid, owner?.gid, mode, latest])
  }

  async #copyDirectory({ top, inside }: Selection, at: string, isNew: boolean): Promise<void> {
    const there = await this.#target.find(at)
    if (there !== undefined && !isDirectory(there.mode))
      throw failure("invalid", `cannot copy to non-directory: /${shown(at)}`)
    // The directory itself keeps what it is; only its time is the source's.
    if (there !== undefined) this.#target.put(at, { ...there, mtime: this.#time(top.mtime) })
    this.#begin(at, top.path)
    const cut = top.path === "" ? 0 : top.path.length + 1
    const places = inside.map((entry) => ({ entry, at: joined(at, entry.path.slice(cut)) }))
    // In a directory that was not there nothing is in the way.
    if (!isNew) {
      const paths = places.map((place) => place.at)
      await this.#learn(paths, at)
    }
    await this.#copyOthers(places)
  }

  /** Learns level by level what the root has in the way: nothing is beneath what is not there. */
  async #learn(paths: readonly string[], at: string): Promise<void> {
    const levels: string[][] = []
    const from = at === "" ? 0 : at.split("/").length
    for (const path of paths) {
      let depth = -from
      for (let slash = path.indexOf("/"); slash >= 0; slash = path.indexOf("/", slash + 1)) depth++
      const level = levels[depth] ?? []
      level.push(path)
      levels[depth] = level
    }
    for (const level of levels) if (level !== undefined) await this.#target.learn(level)
  }

  async #copyOthers(places: readonly { readonly entry: ScannedEntry; readonly at: string }[]): Promise<void> {
    const dressed = await this.#source.attributed(places.map(({ entry }) => entry))
    for (const [index, { at }] of places.entries()) {
      const entry = dressed[index]
      if (entry !== undefined) this.#put(entry, at)
    }
  }

  #put(entry: ScannedEntry, at: string): void {
    const there = this.#target.known(at)
    const type = entry.mode & typeMask
    if (type === types.socket) return
    refuseWhiteout(at)
    if (type === types.character && entry.major === 0 && entry.minor === 0)
      throw failure(
        "invalid",
        `"/${shown(entry.path)}" cannot be part of an image: the device 0:0 means a deletion`,
      )
    if (this.#replaces) {
      if (there !== undefined && isDirectory(there.mode) !== isDirectory(entry.mode)) this.#target.clear(at)
    } else if (isDirectory(entry.mode)) {
      if (there !== undefined && !isDirectory(there.mode))
        throw failure("invalid", `cannot copy to non-directory: /${shown(at)}`)
    } else if (there !== undefined && isDirectory(there.mode))
      throw failure("invalid", `cannot replace to directory /${shown(at)} with file`)
    this.#target.put(at, this.#nodeOf(entry))
  }

  #nodeOf(entry: ScannedEntry): Node {
    const { owner } = this.#settings
    const link = isSymlink(entry.mode)
    const mode = link ? 0o777 : this.#change(entry.mode & 0o7777, isDirectory(entry.mode))
    const node: Node = {
      mode: (entry.mode & typeMask) | (mode & 0o7777),
      uid: owner?.uid ?? (this.#source.ownerless ? 0 : entry.uid),
      gid: owner?.gid ?? (this.#source.ownerless ? 0 : entry.gid),
      mtime: this.#time(entry.mtime),
      link: link ? entry.link : "",
      major: entry.major,
      minor: entry.minor,
      attributes: entry.attributes,
    }
    return isFile(entry.mode) ? { ...node, body: this.#bodyOf(entry) } : node
  }

  #bodyOf(entry: ScannedEntry): Body {
    const key = `${entry.device} ${entry.inode}`
    const known = entry.names > 1 ? this.#bodies.get(key) : undefined
    if (known !== undefined) return known
    const body: Body = {
      kind: "file",
      source: this.#source,
      entry,
      size: entry.size,
      shared: entry.names > 1,
      copy: this.#copy,
    }
    if (entry.names > 1) this.#bodies.set(key, body)
    return body
  }

  #time(seconds: number): number {
    const { latest } = this.#settings
    return latest === undefined ? seconds : Math.min(seconds, latest)
  }
}
