// Cache mounts: directories that steps keep between builds. Named by what they are, never by what a Dockerfile calls them.
//
//   DATA_ROOT/build/cache-mounts/<record id>/fs   its files; counts once its record is written
import { createHash, randomBytes } from "node:crypto"
import { chmodSync, chownSync, existsSync, mkdirSync, readdirSync, renameSync } from "node:fs"
import { join } from "node:path"
import { errorMessage, failure } from "../../base/errors.ts"
import { createLog } from "../../base/log.ts"
import { rootOperation } from "../../kernel/mount.ts"
import type { CacheMountRecord } from "../../state/state.ts"
import type { ExecMount } from "../graph/graph.ts"
import type { BuildRooms } from "../rooms.ts"
import type { LayersTree, Operations, StepRun } from "./operations.ts"

type CacheMount = Extract<ExecMount, { readonly type: "cache" }>

const log = createLog("build")

/** A cache mount in use. */
export interface HeldCacheMount {
  /** Host directory. */
  readonly path: string
  release(): void
}

export interface CacheMounts {
  /**
   * Takes one for a step, making it when it is new, with what lies at the mount's source in `content` as its first files.
   * Waits while another step has it locked: who takes several takes them in the order of {@link lockOrder}. Throws cancelled.
   */
  take(mount: CacheMount, content: LayersTree | undefined, run: StepRun): Promise<HeldCacheMount>
  list(): ReturnType<Operations["cacheMounts"]>
  /** Bytes that came back. Throws not-found; conflict while a step uses it. */
  remove(id: string): Promise<number>
  /** Removes what has no record. */
  recover(): Promise<void>
  settle(): Promise<void>
}

/** Who has one now. */
interface Use {
  users: number
  /** Run that has it alone; "" = nobody has. */
  locked: string
  /** Called when something of it changes. */
  readonly waiting: Set<() => void>
}

const digestOf = (parts: readonly unknown[]): string =>
  createHash("sha256").update(JSON.stringify(parts)).digest("hex").slice(0, 32)

/** Two steps that take cache mounts in this order never wait for each other. */
export const lockOrder = (one: CacheMount, other: CacheMount): number => {
  const [first, second] = [one, other].map(({ id, source, mode, uid, gid }) =>
    JSON.stringify([id, source, mode, uid, gid]),
  )
  return (first ?? "") < (second ?? "") ? -1 : first === second ? 0 : 1
}

/** What tells one cache mount from another: as for BuildKit, its first contents and owner too. */
const keyOf = (mount: CacheMount, content: LayersTree | undefined, scope: string): string =>
  digestOf(
    content === undefined
      ? [scope, mount.id, mount.mode, mount.uid, mount.gid]
      : [scope, mount.id, content.chainId, mount.source],
  )

export const openCacheMounts = (rooms: BuildRooms): CacheMounts => {
  const { state, kernel, snapshots } = rooms
  const root = join(rooms.root, "cache-mounts")
  const uses = new Map<string, Use>()
  /** Those whose files may have changed since they were measured. */
  const unmeasured = new Set(state.cacheMounts.list().map(({ id }) => id))
  const makings = new Map<string, Promise<void>>()
  const removing = new Set<Promise<void>>()

  const directoryOf = (id: string): string => join(root, id)
  const filesOf = (id: string): string => join(directoryOf(id), "fs")
  const useOf = (id: string): Use => {
    const known = uses.get(id)
    if (known !== undefined) return known
    const made: Use = { users: 0, locked: "", waiting: new Set() }
    uses.set(id, made)
    return made
  }
  const isFree = (id: string): boolean => (uses.get(id)?.users ?? 0) === 0

  const reap = (path: string): void => {
    const work = kernel.perform([["remove-tree"], ["path", path]]).then(
      () => undefined,
      (error: unknown) =>
        log.warn("a cache mount could not be removed", { path, error: errorMessage(error) }),
    )
    removing.add(work)
    work.finally(() => removing.delete(work))
  }
  const takeAway = (id: string): void => {
    const path = join(root, `removed-${randomBytes(8).toString("hex")}`)
    renameSync(directoryOf(id), path)
    reap(path)
  }

  const fill = async (mount: CacheMount, content: LayersTree | undefined, id: string, run: StepRun) => {
    const files = filesOf(id)
    mkdirSync(root, { recursive: true, mode: 0o700 })
    mkdirSync(files, { recursive: true, mode: 0o755 })
    chmodSync(directoryOf(id), 0o700)
    if (content === undefined) {
      chmodSync(files, mount.mode & 0o7777)
      chownSync(files, mount.uid, mount.gid)
      return
    }
    const source = mount.source === "" ? "/" : mount.source
    const view = rootOperation(snapshots.view(content.chainId))
    await kernel.perform([["copy"], view, ["path", source], ["destination", files]], run.signal)
  }

  const make = async (mount: CacheMount, content: LayersTree | undefined, id: string, run: StepRun) => {
    // Without a record it is what a crash left.
    if (existsSync(directoryOf(id))) takeAway(id)
    try {
      await fill(mount, content, id, run)
    } catch (error) {
      if (existsSync(directoryOf(id))) takeAway(id)
      throw error
    }
    const now = Date.now()
    state.cacheMounts.put(
      id,
      {
        id,
        directory: join("cache-mounts", id),
        name: mount.id,
        scope: run.request.scope ?? "",
        sharing: mount.sharing,
        createdAt: now,
        usedAt: now,
        uses: 0,
        bytes: 0,
      },
      { durable: false },
    )
  }

  /** Makes it unless it is there; one at a time. */
  const ensure = async (mount: CacheMount, content: LayersTree | undefined, id: string, run: StepRun) => {
    for (let making = makings.get(id); making !== undefined; making = makings.get(id))
      await making.catch(() => {})
    if (state.cacheMounts.find(id) !== undefined && existsSync(filesOf(id))) return
    const making = make(mount, content, id, run).finally(() => makings.delete(id))
    makings.set(id, making)
    await making
  }

  /** The first of the private ones that nobody uses. */
  const privateId = (key: string): string => {
    for (let number = 0; ; number++) {
      const id = number === 0 ? key : `${key}-${number}`
      if (isFree(id)) return id
    }
  }

  /** Takes it when it may be had. A step may have the same one at several places. */
  const claim = async (use: Use, exclusive: boolean, { id, signal }: StepRun): Promise<void> => {
    const isTaken = () => (use.locked !== "" ? use.locked !== id : exclusive && use.users > 0)
    while (!signal.aborted && isTaken()) {
      const { promise, resolve } = Promise.withResolvers<void>()
      const wakeUp = () => resolve()
      use.waiting.add(wakeUp)
      signal.addEventListener("abort", wakeUp, { once: true })
      await promise
      use.waiting.delete(wakeUp)
      signal.removeEventListener("abort", wakeUp)
    }
    if (signal.aborted) throw failure("cancelled", "context canceled")
    // In the same turn as the look: nobody comes between.
    use.users++
    if (exclusive) use.locked = id
  }

  const wake = (use: Use): void => {
    for (const resolve of use.waiting) resolve()
  }

  const forget = (record: CacheMountRecord): void => {
    state.cacheMounts.remove(record.id)
    unmeasured.delete(record.id)
  }

  const measure = async (record: CacheMountRecord): Promise<number> => {
    const { id } = record
    if (!unmeasured.has(id)) return record.bytes
    const answer = await kernel.perform([["usage"], ["path", filesOf(id)]])
    const bytes = Number(answer.get("bytes")?.[0] ?? 0)
    if (isFree(id)) unmeasured.delete(id)
    const now = state.cacheMounts.find(id)
    if (now !== undefined && now.bytes !== bytes)
      state.cacheMounts.put(id, { ...now, bytes }, { durable: false })
    return bytes
  }

  return {
    async take(mount, content, run) {
      const key = keyOf(mount, content, run.request.scope ?? "")
      const id = mount.sharing === "private" ? privateId(key) : key
      const use = useOf(id)
      const exclusive = mount.sharing !== "shared"
      await claim(use, exclusive, run)
      unmeasured.add(id)
      let held = true
      const release = () => {
        if (!held) return
        held = false
        use.users--
        if (use.users === 0) use.locked = ""
        if (use.users === 0 && use.waiting.size === 0) uses.delete(id)
        wake(use)
      }
      try {
        await ensure(mount, content, id, run)
        const record = state.cacheMounts.find(id)
        if (record === undefined)
          throw failure("internal", `the cache mount ${mount.id} went while it was taken`)
        state.cacheMounts.put(
          id,
          { ...record, usedAt: Date.now(), uses: record.uses + 1 },
          { durable: false },
        )
        return { path: filesOf(id), release }
      } catch (error) {
        release()
        throw error
      }
    },
    async list() {
      const found: Awaited<ReturnType<Operations["cacheMounts"]>>[number][] = []
      for (const record of state.cacheMounts.list()) {
        const { id, createdAt, usedAt } = record
        if (!existsSync(filesOf(id))) continue
        found.push({ id, bytes: await measure(record), createdAt, usedAt, inUse: !isFree(id) })
      }
      return found
    },
    async remove(id) {
      const record = state.cacheMounts.find(id)
      if (record === undefined) throw failure("not-found", `No such cache mount: ${id}`)
      const bytes = existsSync(filesOf(id)) ? await measure(record) : 0
      if (!isFree(id))
        throw failure("conflict", `the cache mount ${record.name} is in use by a step that runs`)
      forget(record)
      if (existsSync(directoryOf(id))) takeAway(id)
      return bytes
    },
    async recover() {
      if (!existsSync(root)) return
      const known = new Set(state.cacheMounts.list().map(({ id }) => id))
      for (const name of readdirSync(root)) if (!known.delete(name)) reap(join(root, name))
      // Deleted by hand: made again when it is wanted.
      for (const id of known) state.cacheMounts.remove(id, { durable: false })
    },
    async settle() {
      await Promise.all([...removing])
    },
  }
}
