// Files that an instruction takes from another stage, image or named context; which paths of a context that makes needed.
import type { Input } from "./graph.ts"
import type { Surroundings } from "./surroundings.ts"

/** The tree itself; when it is a context, `path` of it is noted as needed. */
export const sourceTree = (around: Surroundings, tree: Input, path: string): Input => {
  if (tree !== "scratch" && tree.type === "context") around.needed.add(tree.context, path)
  return tree
}

/** A tree that is used as a root: all of it is needed. */
export const wholeTree = (around: Surroundings, tree: Input): Input => sourceTree(around, tree, "/")
