// One step of a build: looked up by its keys, else run (once for all builds that want it at the same time) and recorded.
import { createHash, randomBytes } from "node:crypto"
import { crashPoint } from "../../base/crash-point.ts"
import { errorKind, errorMessage, failure } from "../../base/errors.ts"
import { shortId } from "../../base/ids.ts"
import type { Limiter } from "../../base/limiter.ts"
import { createLog } from "../../base/log.ts"
import type { CacheRecord } from "../cache/cache.ts"
import type { CacheRecords } from "../cache/records.ts"
import type { ImportedCache } from "../export/export.ts"
import { emptyTree, type LayersTree, type Operations, type StepRun } from "../operations/operations.ts"
import type { BuildRooms } from "../rooms.ts"
import { isShareable, type StepNode, stepKey, type Taken } from "./keys.ts"
import type { Shared, Waiter } from "./shared.ts"
import type { Solution, Tree } from "./solver.ts"
import { placedAlone, stackLayers } from "./stack.ts"

const log = createLog("build")

/** What all builds share. */
export interface StepRooms {
  readonly rooms: Pick<BuildRooms, "state" | "snapshots" | "content">
  readonly operations: Operations
  readonly records: CacheRecords
  readonly shared: Shared<CacheRecord>
  readonly limiter: Limiter
}

/** A build as its steps see it. */
export interface StepBuild extends Pick<StepRun, "request" | "epoch" | "hold" | "signal" | "report"> {
  readonly id: string
  readonly imported: ImportedCache | undefined
}

/** A step whose inputs are solved. */
export interface ReadyStep {
  readonly node: StepNode
  readonly root: { readonly solution: Solution; readonly chainId: string; layers(): Promise<LayersTree> }
  readonly taken: readonly { readonly part: Taken; readonly solution: Solution }[]
  /** Keys of the steps that it begins from. */
  readonly inputs: readonly string[]
}

export interface StepOutcome {
  readonly record: CacheRecord
  readonly tree: LayersTree
  readonly cached: boolean
}

export const newRunId = (): string => `build-${randomBytes(12).toString("hex")}`

const trees = async (step: ReadyStep): Promise<Map<number, Tree>> => {
  const found = await Promise.all(
    step.taken.map(async ({ part, solution }) => [part.index, await solution.tree()] as const),
  )
  return new Map(found)
}

/** Performs the step's operation. A layer that is independent of its root comes over nothing. */
const operate = async (
  { operations, rooms, limiter }: StepRooms,
  build: StepBuild,
  step: ReadyStep,
  run: StepRun,
): Promise<LayersTree> => {
  const { node } = step
  const [root, sources] = await Promise.all([step.root.layers(), trees(step)])
  return limiter.run(async () => {
    run.signal.throwIfAborted()
    const note = { id: run.id, build: build.id, description: node.name, startedAt: Date.now() }
    rooms.state.buildSteps.put(run.id, note, { durable: false })
    try {
      crashPoint("build:begun")
      if (node.type === "exec") return await operations.exec(node, root, sources, run)
      return await operations.files(node, node.independent ? emptyTree : root, sources, run)
    } finally {
      // A full disk is no reason to fail here.
      rooms.state.transaction(() => rooms.state.buildSteps.remove(run.id), {
        durable: false,
        makesRoom: true,
      })
    }
  })
}

/** Whether what was taken from contexts is what the key says. */
const tookWhatWasSeen = async (step: ReadyStep): Promise<boolean> => {
  for (const { part, solution } of step.taken) {
    const tree = await solution.tree()
    if (tree.kind === "context" && !(await tree.context.unchanged(part.part.sources))) return false
  }
  return true
}

/** What the classic builder's history says was copied. */
const copiedText = async (step: ReadyStep, digests: readonly string[]): Promise<{ copied?: string }> => {
  const [first, ...others] = step.taken
  if (step.node.type !== "file" || first === undefined) return {}
  const hex = createHash("sha256").update(digests.join()).digest("hex")
  const [source = "", ...more] = first.part.part.sources
  if (others.length > 0 || more.length > 0 || /[*?[]/.test(source)) return { copied: `multi:${hex}` }
  const path = source.replace(/^(\.?\/)+|\/+$/g, "")
  const tree = await first.solution.tree()
  if (path === "" || path === "." || tree.kind === "layers") return { copied: `dir:${hex}` }
  const entry = (await tree.context.entries()).find((one) => one.path === path)
  return { copied: `${entry !== undefined && (entry.mode & 0o170000) === 0o040000 ? "dir" : "file"}:${hex}` }
}

/** Runs the step and records it. */
const perform = async (
  parts: StepRooms,
  build: StepBuild,
  step: ReadyStep,
  key: string,
  digests: readonly string[],
  waiter: Waiter,
): Promise<CacheRecord> => {
  const { node } = step
  const { request, hold, epoch } = build
  const { vertex, report, signal } = waiter
  const run = { id: newRunId(), request, report, signal, vertex, hold }
  const made = await operate(parts, build, step, epoch === undefined ? run : { ...run, epoch })
  hold.keep([made.chainId])
  crashPoint("build:made")
  const below = isIndependent(node) ? 0 : (await step.root.layers()).layers.length
  const own = made.layers.slice(below)
  const now = Date.now()
  const record: CacheRecord = {
    key,
    chainId: made.chainId,
    diffId: own.at(-1)?.diffId ?? "",
    blob: own.at(-1)?.blob ?? "",
    size: own.reduce((sum, { size }) => sum + size, 0),
    description: node.name,
    kind: "regular",
    createdAt: now,
    usedAt: now,
    uses: 0,
    inputs: step.inputs,
    layers: made.layers,
    ...(request.face === "classic" ? await copiedText(step, digests) : {}),
  }
  if (await tookWhatWasSeen(step)) {
    parts.records.put(record)
    crashPoint("build:recorded")
  }
  return record
}

export const isIndependent = (node: StepNode): boolean => node.type === "file" && node.independent

/** The state after the step, from its record: an independent layer is put over the root. */
const treeOf = async (
  parts: StepRooms,
  build: StepBuild,
  step: ReadyStep,
  record: CacheRecord,
): Promise<LayersTree> => {
  build.hold.keep([record.chainId])
  const layers = record.layers ?? (await step.root.layers()).layers
  if (!isIndependent(step.node)) return { kind: "layers", chainId: record.chainId, layers }
  return stackLayers(parts.rooms, await step.root.layers(), placedAlone(layers), build)
}

/** That a source is not there, in the words of the face. */
const missingText = (build: StepBuild, { node }: ReadyStep, part: Taken, path: string): string => {
  if (build.request.face === "classic" && node.type === "file") {
    const verb = /^\[[^\]]*\] ADD\b/.test(node.name) ? "ADD" : "COPY"
    const name = path.replace(/^\//, "")
    if (/[*?[]/.test(name)) return `${verb} failed: no source files were specified`
    const isContext = part.input !== "scratch" && part.input.type === "context"
    const where = isContext ? "file not found in build context or excluded by .dockerignore: " : ""
    return `${verb} failed: ${where}stat ${name}: file does not exist`
  }
  const ref = `${shortId(build.id)}::${shortId(node.digest)}`
  return `failed to compute cache key: failed to calculate checksum of ref ${ref}: "${path}": not found`
}

/** Digests of what the step would take of each tree. Throws in BuildKit's words where that is not there. */
const contents = (parts: StepRooms, build: StepBuild, step: ReadyStep): Promise<string[]> =>
  Promise.all(
    step.taken.map(async ({ part, solution }) => {
      const tree = await solution.tree()
      try {
        return await parts.operations.contentDigest(part.part, tree, build.signal)
      } catch (error) {
        const missing = /^"(.*)": not found$/s.exec(errorMessage(error))?.[1]
        if (errorKind(error) !== "invalid" || missing === undefined) throw error
        throw failure("invalid", missingText(build, step, part, missing), { cause: error })
      }
    }),
  )

/** Milliseconds of looking into trees before progress shows it: most are looked through sooner, and then cached. */
const untold = 100

const toldLate = async <T>(begun: () => void, work: () => Promise<T>): Promise<T> => {
  const timer = setTimeout(begun, untold)
  try {
    return await work()
  } finally {
    clearTimeout(timer)
  }
}

/** What `--cache-from` brought, made a record of our own; nothing when it cannot be had after all. */
const bringImported = async (
  parts: StepRooms,
  build: StepBuild,
  step: ReadyStep,
  key: string,
): Promise<CacheRecord | undefined> => {
  const { imported } = build
  const found = await imported?.find(key)
  if (imported === undefined || found === undefined) return undefined
  let tree: LayersTree
  try {
    tree = await imported.bring(found, build.signal)
    const top = tree.layers.at(-1)
    // An independent layer is recorded over nothing; it was exported on top of what it stood on.
    if (isIndependent(step.node) && top !== undefined)
      tree = await stackLayers(parts.rooms, emptyTree, [{ layer: top, chainId: tree.chainId }], build)
  } catch (error) {
    build.signal.throwIfAborted()
    log.info("imported cache cannot be had, so the step runs", { error: errorMessage(error) })
    return undefined
  }
  const now = Date.now()
  const record: CacheRecord = {
    ...found,
    ...{ key, chainId: tree.chainId, layers: tree.layers, inputs: step.inputs },
    ...{ usedAt: now, uses: 0, description: step.node.name, kind: "regular" },
  }
  build.hold.keep([tree.chainId])
  parts.records.put(record)
  return record
}

/**
 * Solves one step. `begun` is called when it runs, or when looking into its inputs takes a while.
 */
export const solveStep = async (
  parts: StepRooms,
  build: StepBuild,
  step: ReadyStep,
  begun: () => void,
): Promise<StepOutcome> => {
  const { node, taken } = step
  const { records, shared } = parts
  const common = { root: step.root.chainId, epoch: build.epoch, face: build.request.face }
  const cached = async (record: CacheRecord): Promise<StepOutcome> => ({
    record,
    tree: await treeOf(parts, build, step, record),
    cached: true,
  })
  const identities = taken.map(({ solution }) => solution.identity)
  const isKnown = (list: readonly (string | undefined)[]): list is readonly string[] =>
    !list.includes(undefined)
  // Without taken trees both keys would say the same.
  const quick =
    taken.length > 0 && isKnown(identities)
      ? stepKey(node, "identity", { ...common, taken: identities })
      : undefined
  if (!node.fresh && quick !== undefined) {
    const record = records.find(quick)
    if (record !== undefined) return cached(record)
  }
  const digests = await toldLate(begun, () => contents(parts, build, step))
  const key = stepKey(node, "content", { ...common, taken: digests })
  if (!node.fresh) {
    const record = records.find(key) ?? (await bringImported(parts, build, step, key))
    if (record !== undefined) {
      if (quick !== undefined) records.name(quick, record.key)
      return cached(record)
    }
  }
  begun()
  const waiter = { vertex: node.digest, report: build.report, signal: build.signal }
  // Another build may have finished it since it was looked up.
  const work = async (owner: Waiter) =>
    (node.fresh ? undefined : records.find(key)) ?? perform(parts, build, step, key, digests, owner)
  const record = isShareable(node) ? (await shared.run(key, waiter, work)).result : await work(waiter)
  if (quick !== undefined) records.name(quick, record.key)
  return { record, tree: await treeOf(parts, build, step, record), cached: false }
}
