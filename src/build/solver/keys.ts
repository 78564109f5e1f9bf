// Keys of steps: digests of all that a step's result depends on, so that what has the same key may be taken instead.
import { createHash } from "node:crypto"
import type { BuildRequest } from "../build.ts"
import type { CopyAction, ExecNode, FileNode, Input } from "../graph/graph.ts"

export type StepNode = ExecNode | FileNode

/** To be raised when operations begin to make something else of the same step. */
const version = 1

/** A tree that a step takes files from, beside its root: which part of it, and its place among the mounts or actions. */
export interface Taken {
  readonly index: number
  readonly input: Input
  readonly part: Pick<CopyAction, "sources" | "exclude" | "parents" | "follow" | "required">
}

const whole = { exclude: [], parents: false, follow: true, required: true } as const

/** What a step takes files from. A cache mount's beginning counts, what it holds later does not. */
export const takenBy = (node: StepNode): Taken[] => {
  if (node.type === "file")
    return node.actions.flatMap((action, index) =>
      action.type === "copy" ? [{ index, input: action.input, part: action }] : [],
    )
  return node.mounts.flatMap((mount, index) => {
    if (mount.type !== "bind" && mount.type !== "cache") return []
    if (mount.input === undefined) return []
    return [{ index, input: mount.input, part: { ...whole, sources: [mount.source || "/"] } }]
  })
}

export interface KeyParts {
  /** ChainID of the root. */
  readonly root: string
  /** For each taken tree, in order: what names its contents exactly. */
  readonly taken: readonly string[]
  /** SOURCE_DATE_EPOCH. */
  readonly epoch: number | undefined
  readonly face: BuildRequest["face"]
}

/**
 * The key of a step. Two kinds never meet: "identity" (the trees that it takes from are the very same) is found without
 * looking into them, "content" (what it takes of them is the same) is what a step is recorded by.
 */
export const stepKey = (node: StepNode, kind: "identity" | "content", parts: KeyParts): string => {
  // A layer that is made without looking at its root is the same on any.
  const root = node.type === "file" && node.independent ? ["independent"] : ["root", parts.root]
  const fields = [version, kind, node.definition, root, parts.taken, parts.epoch ?? null, parts.face]
  return `sha256:${createHash("sha256").update(JSON.stringify(fields)).digest("hex")}`
}

/** Whether runs of the step in two builds may be one: not where a client's secrets or keys take part. */
export const isShareable = (node: StepNode): boolean =>
  !node.fresh &&
  (node.type === "file" || !node.mounts.some(({ type }) => type === "secret" || type === "ssh"))
