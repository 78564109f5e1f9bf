// The contexts of one build: each opened once, when something of it is wanted, and let go with the build.
import { createHash } from "node:crypto"
import { failure } from "../../base/errors.ts"
import { formatPlatform, type Platform } from "../../oci/platform.ts"
import type { BuildRequest, ContextSource, Material } from "../build.ts"
import type { ContextNode, Graph } from "../graph/graph.ts"
import type { StepRun } from "../operations/operations.ts"
import type { Tree } from "../solver/solver.ts"
import type { OpenContext, Sources } from "../sources/sources.ts"

/** "" is the main context, "dockerfile" the one that only the Dockerfile comes from; others are named ones. */
export interface BuildContexts {
  open(name: string, platform: Platform): Promise<OpenContext>
  /** Vertex under which a context is told of. */
  vertex(node: Pick<ContextNode, "context" | "platform">): string
  /** The tree that steps take files from. */
  tree(
    node: ContextNode,
    ignore: readonly string[],
    graph: Pick<Graph, "neededPaths" | "neededPathsOf">,
  ): Promise<Tree>
  materials(): Promise<readonly Material[]>
  release(): void
}

/** Named contexts that are files bring a .dockerignore of their own. */
const hasOwnIgnore = ({ type }: ContextSource): boolean =>
  type === "directory" || type === "synced" || type === "tar"

export const openContexts = (parts: {
  readonly sources: Sources
  readonly request: BuildRequest
  /** Makes the run of a source; `vertex` is where it tells of itself. */
  readonly run: (vertex: string) => StepRun
  /** Lines of an ignore file. */
  readonly readIgnore: (bytes: Uint8Array) => readonly string[]
}): BuildContexts => {
  const { request } = parts
  const opened = new Map<string, Promise<OpenContext>>()
  const trees = new Map<string, Promise<Tree>>()

  const vertex: BuildContexts["vertex"] = ({ context, platform }) => {
    // The files of the main context are the same for all platforms.
    const fields = context === "" ? ["context"] : ["context", context, formatPlatform(platform)]
    return `sha256:${createHash("sha256").update(JSON.stringify(fields)).digest("hex")}`
  }
  const sourceOf = (name: string): ContextSource => {
    if (name === "") return request.context
    const source = name === "dockerfile" ? request.dockerfileContext : request.namedContexts.get(name)
    if (source === undefined) throw failure("invalid", `there is no build context named "${name}"`)
    return source
  }
  const keyOf = (name: string, platform: Platform): string =>
    name === "" ? "" : `${name} ${formatPlatform(platform)}`
  const open: BuildContexts["open"] = (name, platform) => {
    const key = keyOf(name, platform)
    const known = opened.get(key)
    if (known !== undefined) return known
    const run = parts.run(vertex({ context: name, platform }))
    const told = name === "" ? "context" : name
    // The source is looked for within the promise: what is wrong with it is a rejection.
    const context = Promise.resolve().then(() => parts.sources.open(sourceOf(name), told, run, platform))
    opened.set(key, context)
    context.catch(() => {})
    return context
  }

  return {
    open,
    vertex,
    tree(node, ignore, graph) {
      const { context: name, platform } = node
      const key = keyOf(name, platform)
      const known = trees.get(key)
      if (known !== undefined) return known
      const find = async (): Promise<Tree> => {
        const context = await open(name, platform)
        const needed = name === "" ? graph.neededPaths : graph.neededPathsOf.get(name)
        const own =
          name !== "" && hasOwnIgnore(sourceOf(name)) ? await context.readFile(".dockerignore") : undefined
        const lines = name === "" ? ignore : own === undefined ? [] : parts.readIgnore(own)
        return context.tree({ ignore: lines, ...(needed === undefined ? {} : { needed }) })
      }
      const tree = find()
      trees.set(key, tree)
      tree.catch(() => {})
      return tree
    },
    async materials() {
      const contexts = await Promise.allSettled(opened.values())
      return contexts.flatMap((one) => (one.status === "fulfilled" ? one.value.materials : []))
    },
    release() {
      for (const tree of trees.values())
        tree.then(
          (found) => {
            if (found.kind === "context") found.context.release()
          },
          () => {},
        )
      for (const context of opened.values())
        context.then(
          (found) => found.release(),
          () => {},
        )
    },
  }
}
