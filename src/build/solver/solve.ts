// Solves a graph: every node that is needed once, at the same time where they do not depend on each other.
import { failure } from "../../base/errors.ts"
import { chainIdOf } from "../../oci/chain-id.ts"
import type { Material } from "../build.ts"
import type { ExportableStep } from "../export/export.ts"
import { placed } from "../failure.ts"
import type { ContextNode, GitNode, GraphResult, HttpNode, ImageNode, Input, Node } from "../graph/graph.ts"
import { emptyTree, type LayersTree, type StepRun } from "../operations/operations.ts"
import type { Sources } from "../sources/sources.ts"
import { takenBy } from "./keys.ts"
import type { Solution, Tree } from "./solver.ts"
import {
  isIndependent,
  newRunId,
  type ReadyStep,
  type StepBuild,
  type StepRooms,
  solveStep,
} from "./steps.ts"
import { tellVertices } from "./vertices.ts"

export interface SolveRooms extends StepRooms {
  readonly sources: Pick<Sources, "image" | "git" | "http" | "remoteKey">
}

export interface SolveBuild extends StepBuild {
  /** The tree of a context; told under the vertex of the node. */
  contextTree(node: ContextNode): Promise<Tree>
  /** Vertex that events of a context's node bear. */
  contextVertex(node: ContextNode): string
  /** Something that is let go when the build is over. */
  defer(release: () => void): void
}

export interface SolvedGraph {
  /** Of any node that was needed. */
  of(input: Input): Promise<Solution>
  layersOf(input: Input): Promise<LayersTree>
  readonly materials: readonly Material[]
  /** All steps, inputs before what is made of them. */
  readonly steps: readonly ExportableStep[]
  readonly counts: { readonly steps: number; readonly cached: number }
}

const nothing: Solution = {
  identity: "",
  tree: () => Promise.resolve(emptyTree),
  key: "",
  createdAt: 0,
  cached: true,
  copied: "",
}

/** Begins at once what is asked for at most once. */
const lazily = <T>(work: () => Promise<T>): (() => Promise<T>) => {
  let promise: Promise<T> | undefined
  return () => {
    promise ??= work()
    return promise
  }
}

/**
 * Solves what the results need. On the first failure, or when the signal is aborted, everything that was begun is ended
 * before the promise rejects; the failure knows lines and vertex of its node.
 */
export const solveGraph = async (
  parts: SolveRooms,
  given: SolveBuild,
  results: readonly GraphResult[],
): Promise<SolvedGraph> => {
  const controller = new AbortController()
  const build: SolveBuild = { ...given, signal: AbortSignal.any([given.signal, controller.signal]) }
  const vertices = tellVertices(build.report, build.contextVertex)
  const solutions = new Map<string, Promise<Solution>>()
  const layered = new Map<string, () => Promise<LayersTree>>()
  const begun = new Set<Promise<unknown>>()
  const materials = new Map<string, Material>()
  const steps: ExportableStep[] = []
  const counts = { steps: 0, cached: 0 }
  let first: unknown

  /** Notes the first failure, with its place, and ends the rest. */
  const guard = <T>(node: Node, work: () => Promise<T>): Promise<T> => {
    const promise = work().catch((error: unknown) => {
      const isEcho = controller.signal.aborted || given.signal.aborted
      const known = placed(error, {
        ...(node.place === undefined ? {} : { place: node.place }),
        vertex: vertices.of(node),
      })
      if (!isEcho) {
        first = known
        controller.abort(known)
      }
      throw known
    })
    begun.add(promise)
    promise.catch(() => {})
    return promise
  }
  const runOf = (node: Node): StepRun => ({
    ...{ id: newRunId(), request: build.request, report: build.report, signal: build.signal },
    ...{ vertex: vertices.of(node), hold: build.hold },
    ...(build.epoch === undefined ? {} : { epoch: build.epoch }),
  })

  const solveImage = (node: ImageNode): Solution => {
    const isHere = node.resolved.imageId !== ""
    if (isHere) vertices.cached(node)
    const bring = () => guard(node, () => parts.sources.image(node, runOf(node)))
    const tree = lazily(() => (isHere ? bring() : vertices.during(node, bring)))
    return { ...nothing, identity: chainIdOf(node.resolved.config.diffIds), tree }
  }

  const solveContext = async (node: ContextNode): Promise<Solution> => {
    const tree = await vertices.during(node, () => build.contextTree(node))
    const identity = tree.kind === "layers" ? tree.chainId : undefined
    return { ...nothing, identity, tree: () => Promise.resolve(tree), cached: false }
  }

  const solveRemote = async (node: GitNode | HttpNode): Promise<Solution> => {
    const run = runOf(node)
    const ask = () => parts.sources.remoteKey(node, run)
    const name = node.fresh ? undefined : await vertices.during(node, ask)
    const fetchGit = async (wanted: GitNode): Promise<Tree> => {
      const got = await parts.sources.git(wanted, run)
      build.defer(() => got.release())
      materials.set(got.material.uri, got.material)
      return got.tree
    }
    const fetchHttp = async (wanted: HttpNode): Promise<Tree> => {
      const got = await parts.sources.http(wanted, run)
      build.defer(() => got.tree.release())
      materials.set(got.material.uri, got.material)
      return { kind: "context", context: got.tree }
    }
    const fetch = () => (node.type === "git" ? fetchGit(node) : fetchHttp(node))
    const tree = lazily(() => guard(node, () => vertices.during(node, fetch)))
    return { ...nothing, identity: name === undefined ? undefined : `${node.definition} ${name}`, tree }
  }

  const solve = (input: Input): Promise<Solution> => {
    if (input === "scratch") return Promise.resolve(nothing)
    const known = solutions.get(input.digest)
    if (known !== undefined) return known
    const solution = guard(input, async () => {
      // Not within this call: what is needed is known before anything runs.
      await Promise.resolve()
      build.signal.throwIfAborted()
      switch (input.type) {
        case "image":
          return solveImage(input)
        case "context":
          return solveContext(input)
        case "git":
        case "http":
          return solveRemote(input)
        case "exec":
        case "file":
          return solveOne(input)
      }
    })
    solutions.set(input.digest, solution)
    return solution
  }

  const layersOf = (input: Input): Promise<LayersTree> => {
    if (input === "scratch") return Promise.resolve(emptyTree)
    const known = layered.get(input.digest)
    if (known !== undefined) return known()
    const find = lazily(() =>
      guard(input, async () => {
        const tree = await (await solve(input)).tree()
        const layers = tree.kind === "layers" ? tree : await parts.operations.asLayers(tree, runOf(input))
        build.hold.keep([layers.chainId])
        return layers
      }),
    )
    layered.set(input.digest, find)
    return find()
  }

  const ready = async (node: ReadyStep["node"]): Promise<ReadyStep> => {
    const taken = takenBy(node)
    const [root, ...others] = await Promise.all([node.root, ...taken.map(({ input }) => input)].map(solve))
    const solution = root ?? nothing
    const isLayered = node.root === "scratch" || !["context", "git", "http"].includes(node.root.type)
    const layers = () => layersOf(node.root)
    const chainId = isLayered ? (solution.identity ?? "") : (await layers()).chainId
    const inputs = [solution, ...others].flatMap(({ key }) => (key === "" ? [] : [key]))
    return {
      ...{ node, inputs: [...new Set(inputs)] },
      root: { solution, chainId, layers },
      taken: taken.map((part, index) => ({ part, solution: others[index] ?? nothing })),
    }
  }

  const solveOne = async (node: ReadyStep["node"]): Promise<Solution> => {
    const step = await ready(node)
    const { record, tree, cached } = await vertices.step(node, (begin) =>
      solveStep(parts, build, step, begin),
    )
    counts.steps++
    if (cached) counts.cached++
    build.defer(parts.records.use(record.key))
    build.report({ type: "result", vertex: vertices.of(node), chainId: tree.chainId })
    const { key, createdAt } = record
    // What changed nothing has no layer of its own to be found by.
    if (record.diffId !== "" || !isIndependent(node))
      steps.push({ key, inputs: step.inputs, result: tree, description: node.name, createdAt })
    return {
      identity: tree.chainId,
      tree: () => Promise.resolve(tree),
      key,
      createdAt,
      cached,
      copied: record.copied ?? "",
    }
  }

  vertices.announce(results.map(({ node }) => node))
  try {
    await Promise.all(results.map(({ node }) => layersOf(node)))
  } catch (error) {
    if (!controller.signal.aborted) controller.abort(error)
    await Promise.allSettled(begun)
    if (given.signal.aborted) throw failure("cancelled", "context canceled", { cause: error })
    throw first ?? error
  }
  return { of: solve, layersOf, materials: [...materials.values()], steps, counts }
}
