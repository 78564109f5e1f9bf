// The builder's verbs over the rooms: Dockerfile and contexts in, images out.
import { withBallast } from "../base/ballast.ts"
import { failure } from "../base/errors.ts"
import { Limiter } from "../base/limiter.ts"
import type { Builder, BuildRequest, BuiltImage, Solved } from "./build.ts"
import { keepBudget } from "./cache/budget.ts"
import type { CacheRecord } from "./cache/cache.ts"
import { pruneCache } from "./cache/prune.ts"
import { openCacheRecords } from "./cache/records.ts"
import { isMeant, ownBytes, usageRows } from "./cache/usage.ts"
import { checkExports } from "./export/check.ts"
import { openExporters, openImportedCaches } from "./export/open.ts"
import type { History } from "./history.ts"
import { assembleImage } from "./journey/assemble.ts"
import { prepare } from "./journey/prepare.ts"
import { readRootFile } from "./journey/read-root-file.ts"
import { beginBuild, type RunningBuild, withSource } from "./journey/running-build.ts"
import type { BuilderOptions } from "./open.ts"
import { openOperations } from "./operations/open.ts"
import type { BuildRooms } from "./rooms.ts"
import { openShared } from "./solver/shared.ts"
import { solveGraph } from "./solver/solve.ts"
import { openSources } from "./sources/open.ts"

export type LoadedBuilder = Pick<
  Builder,
  "solve" | "call" | "export" | "build" | "usage" | "prune" | "trim" | "recover" | "close"
>

export interface BuilderParts extends BuilderOptions {
  readonly history: History
  /** Builds that run, by id. */
  readonly running: Map<string, AbortController>
}

/** Steps that run at once unless told otherwise: most of them wait more than they work. */
const defaultParallelism = 16

/** What ended a build: whatever failed because it was given up is told as that. */
const ending = (error: unknown, signal: AbortSignal): unknown =>
  signal.aborted ? failure("cancelled", "context canceled", { cause: error }) : error

export const loadBuilder = (rooms: BuildRooms, parts: BuilderParts): LoadedBuilder => {
  const { history, running } = parts
  const { state, content, images } = rooms
  const operations = openOperations(rooms)
  const sources = openSources(rooms)
  const exporters = openExporters(rooms)
  const records = openCacheRecords({
    state,
    snapshots: rooms.snapshots,
    released: (blobs) => images.sharing.released(blobs),
  })
  const shared = openShared<CacheRecord>()
  const limiter = new Limiter(parts.parallelism ?? defaultParallelism)
  const steps = { rooms, operations, sources, records, shared, limiter }
  const pruning = { state, content, images, records, operations, sources }
  const prune: LoadedBuilder["prune"] = ({ all, keepBytes = 0, ...filter }, removed) =>
    pruneCache(pruning, {
      mayGo: (usage) => (all || !usage.shared) && isMeant(usage, filter),
      isEnough: (left) => keepBytes > 0 && left <= keepBytes,
      ...(removed === undefined ? {} : { removed }),
    })
  const budget = keepBudget({
    ...{ root: rooms.root, budget: parts.budget },
    taken: async () => ownBytes(await usageRows(pruning)),
    prune: (keepBytes) => prune({ all: false, keepBytes }),
  })
  const builds = new WeakMap<Solved, RunningBuild>()
  const under = new Set<Promise<unknown>>()
  let closing = false

  /** Notes work that close() waits for. */
  const tracked = <T>(work: Promise<T>): Promise<T> => {
    under.add(work)
    const done = () => {
      under.delete(work)
      budget.touch()
    }
    work.then(done, done)
    return work
  }

  const begin = (
    request: BuildRequest,
    tell: RunningBuild["report"],
    signal: AbortSignal,
    isRemembered = true,
  ): RunningBuild => {
    if (closing) throw failure("unavailable", "the engine is stopping: build again when it is back")
    if (request.id !== undefined && running.has(request.id))
      throw failure("conflict", `a build with the id ${request.id} is running already`)
    const hold = images.sharing.hold()
    try {
      return beginBuild(request, {
        ...{ history, running, hold, tell, signal, isRemembered },
        settled: shared.settled,
      })
    } catch (error) {
      hold.release()
      throw error
    }
  }

  const solveBuild = async (build: RunningBuild): Promise<Solved> => {
    const { request, report, signal, hold, epoch } = build
    const { cacheFrom, credentials } = request
    const imported =
      cacheFrom.length === 0
        ? undefined
        : openImportedCaches(rooms, cacheFrom, { credentials, report, hold, signal })
    const { files, graph, contexts, warnings } = await prepare(build, sources)
    await imported?.ready()
    const solved = await solveGraph(
      steps,
      {
        ...{ id: build.id, request, report, signal, hold, epoch, imported },
        contextTree: (node) => contexts.tree(node, files.ignore, graph),
        contextVertex: (node) => contexts.vertex(node),
        defer: build.defer,
      },
      graph.results,
    ).catch((error: unknown) => {
      throw withSource(error, files.file, files.dockerfile)
    })
    Object.assign(build.counts, solved.counts)
    build.steps = solved.steps
    records.touch(new Set(solved.steps.map(({ key }) => key)))
    const materials = [...(await contexts.materials()), ...solved.materials]
    const made: BuiltImage[] = []
    for (const result of graph.results)
      made.push(await assembleImage(result, { ...solved, materials }, request.face))
    const outcome: Solved = {
      ...{ id: build.id, request, images: made, warnings, startedAt: build.startedAt },
      dockerfile: files.dockerfile,
      readFile: (image, path) => readRootFile(rooms, image.chainId, path),
      release: () => build.release(),
    }
    builds.set(outcome, build)
    return outcome
  }

  const solve: LoadedBuilder["solve"] = async (request, report, signal) => {
    const build = begin(request, report, signal)
    try {
      return await tracked(withBallast(() => solveBuild(build)))
    } catch (error) {
      const told = ending(error, build.signal)
      build.complete({ error: told })
      build.release()
      throw told
    }
  }

  const exportSolved: LoadedBuilder["export"] = async (solved, options, report, signal) => {
    const build = builds.get(solved)
    if (build === undefined) throw failure("invalid", "this build was not made by this engine")
    const both = AbortSignal.any([signal, build.signal])
    try {
      const exported = await tracked(exporters.run(solved, build.steps, options, report, both))
      build.complete({ ...(exported.imageId === undefined ? {} : { imageId: exported.imageId }) })
      return exported
    } catch (error) {
      const told = ending(error, both)
      build.complete({ error: told })
      throw told
    }
  }

  return {
    solve,
    export: exportSolved,
    async call(request, what, report, signal) {
      const build = begin(request, report, signal, false)
      try {
        const { runCall } = await import("./calls/calls.ts")
        return await tracked(runCall(build, sources, what))
      } finally {
        build.release()
      }
    },
    async build(request, options, report, signal) {
      checkExports(options)
      const solved = await solve(request, report, signal)
      try {
        return await exportSolved(solved, options, report, signal)
      } finally {
        solved.release()
      }
    },
    async usage(filter = {}) {
      const rows = await usageRows(pruning)
      return rows.map(({ usage }) => usage).filter((usage) => isMeant(usage, filter))
    },
    prune,
    async trim(bytes) {
      const { reclaimed } = await pruneCache(pruning, {
        mayGo: (usage) => !usage.shared,
        isEnough: (_, reclaimed) => reclaimed >= bytes,
      })
      return reclaimed
    },
    async recover() {
      await operations.recover()
      await sources.recover()
      for (const { id } of state.buildSteps.list()) state.buildSteps.remove(id, { durable: false })
      for (const record of history.list())
        if (record.endedAt === 0)
          history.complete({ ...record, endedAt: Date.now(), error: "the engine ended while it was built" })
    },
    async close() {
      closing = true
      await Promise.allSettled(under)
      await budget.close()
      await operations.close()
    },
  }
}
