// COPY, ADD, here-documents and WORKDIR: what a step puts into the root, decided here and written by the launcher in one layer.
import { failure } from "../../../base/errors.ts"
import type { CopyAction, FileNode, MakeDirectoryAction, MakeFileAction } from "../../graph/graph.ts"
import type { BuildRooms } from "../../rooms.ts"
import type { Tree } from "../../solver/solver.ts"
import { bytesOf, shown } from "../../sources/local/names.ts"
import { isDirectory, types } from "../../sources/local/scan.ts"
import { emptyTree, type FileOperations, type LayersTree, type StepRun } from "../operations.ts"
import { copyArchive } from "./archive.ts"
import { commitChanges } from "./commit-layer.ts"
import { digestSelections } from "./content-digest.ts"
import { Copier, type CopySettings } from "./copy.ts"
import { modeChange } from "./mode.ts"
import { findOwner } from "./owner.ts"
import { type LayerReuse, openReuse } from "./reuse.ts"
import { selectFiles } from "./select.ts"
import { openSource, type Source } from "./source.ts"
import { type Node, Target } from "./target.ts"

const parentOf = (path: string): string => path.slice(0, Math.max(0, path.lastIndexOf("/")))

/** Files of the step, in one go. */
class Step {
  readonly #rooms: BuildRooms
  readonly #run: StepRun
  readonly #root: LayersTree
  readonly target: Target
  readonly #now: number
  readonly cleaning: (() => Promise<void>)[] = []

  constructor(rooms: BuildRooms, root: LayersTree, run: StepRun) {
    this.#rooms = rooms
    this.#run = run
    this.#root = root
    this.target = new Target(rooms, root.chainId, run.signal)
    this.#now = run.epoch ?? Math.floor(Date.now() / 1000)
  }

  async #settings(action: {
    readonly owner: string
    readonly mode?: CopyAction["mode"]
  }): Promise<CopySettings> {
    const { target } = this
    return {
      owner: await findOwner(this.#rooms, this.#root, action.owner, target, this.#run.signal),
      mode: action.mode,
      now: this.#now,
      latest: this.#run.epoch,
    }
  }

  async copy(action: CopyAction, tree: Tree): Promise<void> {
    const { signal } = this.#run
    const source = await openSource(this.#rooms, tree, signal)
    const settings = await this.#settings(action)
    const selections = await selectFiles(source, action)
    // BuildKit lets the last one win; the classic builder does not.
    const several = selections.length > 1 && this.#run.request.face === "classic"
    if (several && !/(^|\/)\.?$/.test(action.destination)) {
      const there = await this.target.find(await this.target.follow(bytesOf(action.destination)))
      if (there === undefined || !isDirectory(there.mode))
        throw failure(
          "invalid",
          `When using ${action.unpack ? "ADD" : "COPY"} with more than one source file, the destination must be a directory and end with a /`,
        )
    }
    for (const selection of selections) {
      if (action.unpack) {
        const work = { rooms: this.#rooms, target: this.target, settings, signal, cleaning: this.cleaning }
        if (await copyArchive(work, source, selection, action.destination)) continue
      }
      await new Copier(this.target, source, settings).copy(selection, action.destination)
    }
  }

  async makeFile(action: MakeFileAction): Promise<void> {
    const { owner, now, latest } = await this.#settings({ owner: action.owner, mode: action.mode })
    const { target } = this
    const wanted = bytesOf(action.path)
    const ending = /(^|\/)\.?$/.test(wanted)
    const { uid, gid } = owner ?? { uid: 0, gid: 0 }
    const mode = typeof action.mode === "number" ? action.mode : 0o755
    const above = await target.follow(ending ? wanted : parentOf(wanted))
    await target.makeDirectories(above, { mode, uid, gid, mtime: now })
    let at = await target.follow(wanted)
    const there = await target.find(at)
    if (there !== undefined && isDirectory(there.mode) && action.nameInDirectory !== undefined)
      at = at === "" ? bytesOf(action.nameInDirectory) : `${at}/${bytesOf(action.nameInDirectory)}`
    const old = await target.find(at)
    if (old !== undefined && isDirectory(old.mode))
      throw failure("invalid", `cannot replace to directory /${shown(at)} with file`)
    const node: Node = {
      mode: types.file | modeChange(action.mode)(0o644, false),
      uid,
      gid,
      mtime: latest ?? now,
      link: "",
      major: 0,
      minor: 0,
      attributes: [],
      body: { kind: "bytes", bytes: action.content, size: action.content.length },
    }
    target.put(at, node)
  }

  async makeDirectory(action: MakeDirectoryAction): Promise<void> {
    const { owner, now } = await this.#settings({ owner: action.owner })
    const { uid, gid } = owner ?? { uid: 0, gid: 0 }
    const path = await this.target.follow(bytesOf(action.path))
    await this.target.makeDirectories(path, { mode: action.mode, uid, gid, mtime: now })
  }
}

const perform = async (
  rooms: BuildRooms,
  reuse: LayerReuse,
  node: FileNode,
  root: LayersTree,
  sources: ReadonlyMap<number, Tree>,
  run: StepRun,
): Promise<LayersTree> => {
  const step = new Step(rooms, node.independent ? emptyTree : root, run)
  try {
    for (const [at, action] of node.actions.entries()) {
      run.signal.throwIfAborted()
      if (action.type === "file") await step.makeFile(action)
      else if (action.type === "directory") await step.makeDirectory(action)
      else {
        const tree = sources.get(at)
        if (tree === undefined) throw failure("internal", `the step has no files for its action ${at}`)
        await step.copy(action, tree)
      }
    }
    const changes = new Map([...step.target.changes, ...(await step.target.parents())])
    // The root itself is no part of a layer: it stays as it is.
    changes.delete("")
    return await commitChanges(rooms, reuse, changes, root, run)
  } finally {
    for (const clean of step.cleaning) await clean()
  }
}

const everything = { sources: ["/"], exclude: [], parents: false, follow: true, required: true } as const

/** A context's files as a layer over nothing. */
const layerOf = async (
  rooms: BuildRooms,
  reuse: LayerReuse,
  source: Source,
  run: StepRun,
): Promise<LayersTree> => {
  const target = new Target(rooms, "", run.signal)
  const [whole] = await selectFiles(source, everything)
  if (whole === undefined) return emptyTree
  const settings = { owner: undefined, mode: undefined, now: 0, latest: run.epoch }
  await new Copier(target, source, settings).copy(whole, "/")
  const changes = new Map(target.changes)
  changes.delete("")
  return commitChanges(rooms, reuse, changes, emptyTree, run)
}

/** The last results by what they were made of; the one found longest ago goes. */
const openMemory = <T>(most: number) => {
  const known = new Map<string, T>()
  return {
    find(key: string): T | undefined {
      const value = known.get(key)
      if (value !== undefined) this.keep(key, value)
      return value
    },
    keep(key: string, value: T): void {
      known.delete(key)
      known.set(key, value)
      for (const oldest of [...known.keys()].slice(0, Math.max(0, known.size - most))) known.delete(oldest)
    },
  }
}

/** The step operations that have to do with files. */
export const openFiles = (rooms: BuildRooms): FileOperations => {
  const reuse = openReuse(rooms.snapshots)
  /** Digests of what is taken from layers, which never change. */
  const digests = openMemory<string>(2000)
  const layers = openMemory<LayersTree>(64)

  const contentDigest: FileOperations["contentDigest"] = async (action, tree, signal) => {
    const { sources, exclude, parents, follow, required } = action
    const key =
      tree.kind === "layers"
        ? JSON.stringify([tree.chainId, sources, exclude, parents, follow, required])
        : undefined
    const known = key === undefined ? undefined : digests.find(key)
    if (known !== undefined) return known
    const digest = await digestSelections(await openSource(rooms, tree, signal), action)
    if (key !== undefined) digests.keep(key, digest)
    return digest
  }

  return {
    files: (node, root, sources, run) => perform(rooms, reuse, node, root, sources, run),
    contentDigest,
    async asLayers(tree, run) {
      if (tree.kind === "layers") return tree
      const source = await openSource(rooms, tree, run.signal)
      const key = `${await digestSelections(source, everything)} ${run.epoch ?? ""}`
      const known = layers.find(key)
      if (known !== undefined && rooms.snapshots.has(known.chainId)) {
        run.hold.keep([known.chainId])
        return known
      }
      const made = await layerOf(rooms, reuse, source, run)
      layers.keep(key, made)
      return made
    },
  }
}
