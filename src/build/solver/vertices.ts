// Tells of nodes as vertices: all that are needed first, then how each begins and ends.
import { errorKind, errorMessage } from "../../base/errors.ts"
import type { ContextNode, Input, Node } from "../graph/graph.ts"
import type { ReportBuild, Vertex } from "../progress.ts"
import { takenBy } from "./keys.ts"

export const inputsOf = (node: Node): Input[] =>
  node.type === "exec" || node.type === "file" ? [node.root, ...takenBy(node).map(({ input }) => input)] : []

export interface Vertices {
  /** Digest under which a node is told of. */
  of(node: Node): string
  /** Tells of the nodes that these need, inputs first. */
  announce(wanted: readonly Input[]): void
  cached(node: Node): void
  /** Tells that a node began, and how it ended. */
  during<T>(node: Node, work: () => Promise<T>): Promise<T>
  /** The same for work that says itself when it begins, and whether its result came from the cache. */
  step<T extends { readonly cached: boolean }>(
    node: Node,
    work: (begin: () => void) => Promise<T>,
  ): Promise<T>
}

export const tellVertices = (report: ReportBuild, contextVertex: (node: ContextNode) => string): Vertices => {
  const of = (node: Node): string => (node.type === "context" ? contextVertex(node) : node.digest)
  const tell = (node: Node, more: Partial<Vertex>): void => {
    const inputs = inputsOf(node).flatMap((input) => (input === "scratch" ? [] : [of(input)]))
    report({
      type: "vertex",
      vertex: {
        ...{ digest: of(node), inputs: [...new Set(inputs)], name: node.name, cached: false, error: "" },
        ...more,
      },
    })
  }
  const step: Vertices["step"] = async (node, work) => {
    let startedAt: number | undefined
    const begin = (): void => {
      if (startedAt !== undefined) return
      startedAt = Date.now()
      tell(node, { startedAt })
    }
    try {
      const result = await work(begin)
      const completedAt = Date.now()
      tell(node, { startedAt: startedAt ?? completedAt, completedAt, cached: result.cached })
      return result
    } catch (error) {
      const completedAt = Date.now()
      const words = errorKind(error) === "cancelled" ? "context canceled" : errorMessage(error)
      tell(node, { startedAt: startedAt ?? completedAt, completedAt, error: words })
      throw error
    }
  }

  return {
    of,
    announce(wanted) {
      const told = new Set<string>()
      const visit = (input: Input): void => {
        if (input === "scratch" || told.has(input.digest)) return
        told.add(input.digest)
        for (const other of inputsOf(input)) visit(other)
        tell(input, {})
      }
      for (const input of wanted) visit(input)
    },
    cached(node) {
      const now = Date.now()
      tell(node, { startedAt: now, completedAt: now, cached: true })
    },
    during: async (node, work) => {
      const { result } = await step(node, async (begin) => {
        begin()
        return { result: await work(), cached: false }
      })
      return result
    },
    step,
  }
}
