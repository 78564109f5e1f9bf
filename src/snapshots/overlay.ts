// Snapshots as directories that overlay mounts stack: ROOT/<n>/fs holds a layer, ROOT/<n>/work is overlay's own.
//
//   ROOT/<n>/fs        a committed layer (whiteouts in overlay's form), or the upper directory of an active snapshot
//   ROOT/<n>/layer.tar with ROOT/<n>/index: a committed layer as an EROFS image (erofs/write-layer.ts)
//   ROOT/<n>/work      of active snapshots; <n> ends in "v" when it is ephemeral (overlay's volatile)
//   ROOT/spare/        directories of removed active snapshots, to be used again (spares.ts)
//   ROOT/empty         the lower directory where there is no layer
//   ROOT/floor         empty too; beneath a single layer in views, where overlay wants two
//   ROOT/reap/         removed directories on their way out
//
// A directory counts only once its record is written; recover() removes all others.
import { chmodSync, chownSync, mkdirSync, readdirSync, renameSync, rmSync, statSync } from "node:fs"
import { join } from "node:path"
import { currentBoot } from "../base/boot.ts"
import { crashPoint } from "../base/crash-point.ts"
import { errorKind, failure } from "../base/errors.ts"
import { KeyedMutex } from "../base/keyed-mutex.ts"
import type { Kernel } from "../kernel/kernel.ts"
import type { OverlayMount } from "../kernel/mount.ts"
import type { SnapshotRecord, State } from "../state/state.ts"
import type { LayerForm } from "./choose.ts"
import { openCommit } from "./commit.ts"
import { measureSnapshots } from "./disk-use.ts"
import { followTar, syncLayer, type TopDirectory, writeIndex } from "./erofs/write-layer.ts"
import { openFurnishing } from "./furnishing.ts"
import { readFileRange } from "./read-range.ts"
import { openReaper } from "./reaper.ts"
import { openSettling } from "./settling.ts"
import type { Snapshotter } from "./snapshotter.ts"
import { openSpares } from "./spares.ts"

/** The kernel's overlay takes at most 500 lower directories. */
const mostLowers = 500

const plainOwner: TopDirectory = { mode: 0o755, uid: 0, gid: 0 }

/** Opens the snapshots beneath `root` (made with mode 0700 when missing). Call recover() before use after a crash. */
export const openOverlaySnapshotter = (parts: {
  root: string
  kernel: Kernel
  state: State
  /** Identity of the machine's present boot; the kernel's own unless a test says otherwise. */
  boot?: string
  /** How new layers are kept (unpacked unless told otherwise); older ones stay as they are. */
  form?: LayerForm
}): Snapshotter => {
  const { root, kernel, state, form = "overlay" } = parts
  const empty = join(root, "empty")
  mkdirSync(root, { recursive: true, mode: 0o700 })
  const floor = join(root, "floor")
  for (const directory of [empty, floor]) mkdirSync(directory, { recursive: true, mode: 0o755 })
  const boot = parts.boot ?? currentBoot()
  const settling = openSettling(state, boot, (chainId) => {
    const record = state.snapshots.find(chainId)
    return record?.image === undefined ? undefined : syncLayer(join(root, record.directory))
  })
  const reaper = openReaper(join(root, "reap"), kernel)
  const spares = openSpares(join(root, "spare"), kernel, reaper)
  const commits = new KeyedMutex()
  const owners = new Map<string, TopDirectory>()
  const lowers = new Map<string, readonly string[]>()
  const unrecorded = new Set<string>()

  const numbers = readdirSync(root).map((name) => Number.parseInt(name, 10))
  let counter = Math.max(0, ...numbers.filter(Number.isInteger))

  const filesOf = (record: SnapshotRecord): string => join(root, record.directory, "fs")
  const missing = (key: string) => failure("not-found", `No such snapshot: ${key}`)

  const committed = (chainId: string): SnapshotRecord => {
    const record = state.snapshots.find(chainId)
    if (record?.kind !== "committed") throw missing(chainId)
    return record
  }
  const active = (key: string): SnapshotRecord => {
    const record = state.snapshots.find(key)
    if (record?.kind !== "active") throw missing(key)
    return record
  }

  /** Directories of a committed stack from top to bottom. */
  const stackOf = (chainId: string): readonly string[] => {
    if (chainId === "") return []
    const known = lowers.get(chainId)
    if (known !== undefined) return known
    const record = committed(chainId)
    const layer = record.image === undefined ? filesOf(record) : `erofs:${join(root, record.directory)}`
    const stack = [layer, ...stackOf(record.parent)]
    lowers.set(chainId, stack)
    return stack
  }
  /** As above, never empty: overlay wants a lower directory. */
  const lowerOf = (chainId: string): readonly string[] => {
    const stack = stackOf(chainId)
    return stack.length === 0 ? [empty] : stack
  }

  const ownerOf = (chainId: string): TopDirectory => {
    if (chainId === "") return plainOwner
    const known = owners.get(chainId)
    if (known !== undefined) return known
    const record = committed(chainId)
    const { mode, uid, gid } = record.image?.top ?? statSync(filesOf(record))
    const owner = { mode: mode & 0o7777, uid, gid }
    owners.set(chainId, owner)
    return owner
  }

  /** Makes `fs` look like the root of its parent. */
  const dress = (files: string, parent: string): void => {
    const owner = ownerOf(parent)
    if (owner.uid !== 0 || owner.gid !== 0) chownSync(files, owner.uid, owner.gid)
    // mkdir obeys the umask and drops setgid and sticky bits.
    if (owner.mode !== 0o755 || (process.umask() & 0o055) !== 0) chmodSync(files, owner.mode)
  }
  const makeBare = (): string => {
    const name = String(++counter)
    mkdirSync(join(root, name), { mode: 0o700 })
    return name
  }
  /** A numbered directory with an empty `fs` that looks like the root of its parent. */
  const makeDirectory = (parent: string): string => {
    const name = makeBare()
    const files = join(root, name, "fs")
    mkdirSync(files, { mode: 0o755 })
    dress(files, parent)
    return name
  }
  /** The same for a writable layer: with an empty `work`, and made from a spare one if there is any. */
  const makeWritable = (parent: string, suffix: "" | "v"): string => {
    const name = `${++counter}${suffix}`
    const files = join(root, name, "fs")
    const spare = spares.take()
    if (spare === undefined) {
      mkdirSync(join(root, name), { mode: 0o700 })
      mkdirSync(files, { mode: 0o755 })
      mkdirSync(join(root, name, "work"), { mode: 0o700 })
    } else renameSync(spare, join(root, name))
    dress(files, parent)
    return name
  }
  const furnishing = openFurnishing({
    root,
    kernel,
    state,
    boot,
    makeDirectory,
    takeAway: reaper.take,
  })
  /** What an active snapshot lies on. */
  const groundOf = (record: SnapshotRecord): readonly string[] => {
    const furnished = furnishing.find(record.parent)
    const stack = stackOf(record.parent)
    if (furnished !== undefined && stack.length < mostLowers) return [filesOf(furnished), ...stack]
    return lowerOf(record.parent)
  }

  /** On a full disk too: what it gives back makes room. */
  const forget = (key: string): void => {
    try {
      state.snapshots.remove(key, { durable: false })
    } catch (error) {
      if (errorKind(error) !== "exhausted") throw error
      state.transaction(() => state.snapshots.remove(key), { durable: false, makesRoom: true })
    }
  }

  /** Becomes durable with the first start, or within a second. */
  const keepActive = (record: SnapshotRecord, together: (() => void) | undefined): void => {
    if (together === undefined) state.snapshots.put(record.key, record, { durable: false })
    else
      state.transaction(
        () => {
          state.snapshots.put(record.key, record)
          together()
        },
        { durable: false },
      )
  }

  const mountOf = (record: SnapshotRecord): OverlayMount => {
    const work = join(root, record.directory, "work")
    const ephemeral = record.directory.endsWith("v")
    // The kernel marks the work directory of a volatile overlay and refuses a second mount while the mark is there.
    if (ephemeral) rmSync(join(work, "work", "incompat"), { recursive: true, force: true })
    return {
      type: "overlay",
      lower: groundOf(record),
      upper: filesOf(record),
      work,
      options: ephemeral ? ["volatile"] : [],
    }
  }

  const commit = openCommit({
    root,
    kernel,
    form,
    find: (chainId) => state.snapshots.find(chainId),
    depthOf: (chainId) => stackOf(chainId).length,
    ownerOf,
    makeDirectory: (parent) => {
      const directory = parent === undefined ? makeBare() : makeDirectory(parent)
      unrecorded.add(directory)
      return directory
    },
    release: (directory) => unrecorded.delete(directory),
    takeAway: reaper.take,
    put(record, { lazy }) {
      const { key, image } = record
      state.transaction(
        () => {
          state.snapshots.put(key, record)
          // What is synced need not settle.
          if (image === undefined || lazy) settling.begin(key)
        },
        { durable: !lazy },
      )
    },
    persist: settling.persist,
    mostLowers,
  })

  return {
    name: form,
    commitLayer: (request) => commits.run(request.chainId, () => commit(request)),
    async persist(chainId) {
      for (let at = chainId; at !== ""; at = state.snapshots.find(at)?.parent ?? "")
        await settling.persist(at)
    },
    async describe(parent, path, entries, tarBytes) {
      return form === "erofs" ? writeIndex(path, entries(), { tarBytes, top: ownerOf(parent) }) : undefined
    },
    follow: (most) => (form === "erofs" ? followTar(most) : undefined),
    has: (chainId) => state.snapshots.find(chainId)?.kind === "committed",
    tar(chainId) {
      const record = state.snapshots.find(chainId)
      if (record?.image === undefined) return undefined
      const path = join(root, record.directory, "layer.tar")
      const size = record.image.tarBytes
      return { size, path, open: (range) => readFileRange(path, size, range) }
    },

    async prepare(key, parent, { ephemeral, together }) {
      if (state.snapshots.find(key) !== undefined) throw failure("conflict", `snapshot ${key} exists already`)
      if (lowerOf(parent).length > mostLowers) throw failure("invalid", "max depth exceeded")
      const directory = makeWritable(parent, ephemeral ? "v" : "")
      crashPoint("snapshot:made")
      const record: SnapshotRecord = {
        key,
        parent,
        kind: "active",
        directory,
        createdAt: Date.now(),
        size: 0,
      }
      try {
        keepActive(record, together)
      } catch (error) {
        reaper.take(join(root, directory))
        throw error
      }
      return mountOf(record)
    },
    async furnish(key, operations) {
      const { parent } = active(key)
      if (stackOf(parent).length < mostLowers) await furnishing.make(parent, lowerOf(parent), operations)
    },
    mounts: (key) => mountOf(active(key)),
    view(chainId) {
      const lower = lowerOf(chainId)
      // Without an upper directory overlay wants two lower ones.
      return { type: "overlay", lower: lower.length === 1 ? [...lower, floor] : lower, options: [] }
    },

    remove(keyOrChainId) {
      try {
        const record = state.snapshots.find(keyOrChainId)
        if (record === undefined) return Promise.resolve()
        if (record.kind === "committed") {
          const child = state.snapshots
            .list()
            .find((other) => other.parent === record.key && other.kind !== "furnished")
          if (child !== undefined)
            throw failure("conflict", `snapshot ${record.key} is in use: ${child.key} is based on it`)
        }
        forget(record.key)
        crashPoint("snapshot:forgotten")
        lowers.delete(record.key)
        owners.delete(record.key)
        const furnished = record.kind === "committed" ? furnishing.forget(record.key) : undefined
        if (furnished !== undefined) reaper.take(join(root, furnished))
        const directory = join(root, record.directory)
        if (record.kind === "active") spares.give(directory)
        else reaper.take(directory)
        return Promise.resolve()
      } catch (error) {
        return Promise.reject(error)
      }
    },
    layers(key) {
      const record = active(key)
      return { upper: filesOf(record), lower: groundOf(record) }
    },
    async usage(keyOrChainId) {
      const record = state.snapshots.find(keyOrChainId)
      if (record === undefined) throw missing(keyOrChainId)
      if (record.image !== undefined) return { bytes: record.size, inodes: record.image.inodes }
      const answer = await kernel.perform([["usage"], ["path", filesOf(record)]])
      return {
        bytes: Number(answer.get("content")?.[0] ?? 0),
        inodes: Number(answer.get("inodes")?.[0] ?? 0),
      }
    },
    diskUse: () =>
      measureSnapshots({ root, kernel, state, idle: ["empty", "floor", "spare", "reap", "try-erofs"] }),
    diff(key, { latest, named } = {}) {
      const record = active(key)
      const lower = lowerOf(record.parent)
      return kernel.receive([
        ["pack"],
        ["root-path", filesOf(record)],
        ["path", "/"],
        ["option", "contents", "yes"],
        ["option", "whiteouts", "overlay"],
        ...(named
          ? [["below", "", "", "", ...(lower.length === 1 ? [...lower, floor] : lower)] as const]
          : []),
        ["option", "numeric-sort", "yes"],
        ...(latest === undefined ? [] : [["option", "latest", String(latest)] as const]),
      ])
    },
    flatten(chainId) {
      const lower = lowerOf(chainId)
      return kernel.receive([
        ["pack"],
        ["root-overlay", "", "", "", ...(lower.length === 1 ? [...lower, floor] : lower)],
        ["path", "/"],
        ["option", "contents", "yes"],
        ["option", "numeric-sort", "yes"],
      ])
    },

    async recover() {
      const lost = settling.takeLost()
      for (const chainId of lost)
        if (state.snapshots.find(chainId)?.kind === "committed") state.snapshots.remove(chainId)
      furnishing.recover()
      const recorded = new Map(state.snapshots.list().map((record) => [record.directory, record]))
      for (const name of readdirSync(root)) {
        if (!/^[0-9]+v?$/.test(name) || unrecorded.has(name)) continue
        if (!recorded.delete(name)) reaper.take(join(root, name))
      }
      // A record whose directory has gone (deleted by hand) would fail at the next mount; images unpacks such layers again.
      for (const record of recorded.values()) state.snapshots.remove(record.key)
      lowers.clear()
      owners.clear()
      spares.recover()
      reaper.recover()
      return lost
    },
    async settle() {
      await spares.settle()
      await reaper.settle()
    },
  }
}
