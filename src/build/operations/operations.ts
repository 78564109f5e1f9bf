// Contract. What a step does to files: each operation takes trees and gives the state after it, committed in the store.

import type { BuildRequest } from "../build.ts"
import type { CopyAction, ExecNode, FileNode } from "../graph/graph.ts"
import type { ReportBuild } from "../progress.ts"
import type { Tree } from "../solver/solver.ts"

export type LayersTree = Extract<Tree, { kind: "layers" }>

export const emptyTree: LayersTree = { kind: "layers", chainId: "", layers: [] }

/** One run of a step. */
export interface StepRun {
  /** Unique among all runs there ever were; the snapshot's key and the run directory are named after it: "build-" and 24 hex. */
  readonly id: string
  readonly request: BuildRequest
  readonly report: ReportBuild
  readonly signal: AbortSignal
  /** SOURCE_DATE_EPOCH in seconds: no time in a layer is later. */
  readonly epoch?: number
  /** Digest that status and log events of this run bear; the solver tells of the vertex itself (begun, ended, cached, failed). */
  readonly vertex: string
  /**
   * What this run makes and nothing refers to yet: to be called before a layer is committed under its chainID, and for each
   * blob that is written. Held until the build ends; without it a removal elsewhere may sweep them.
   */
  readonly hold: { keep(chainIds: readonly string[]): void; suspect(blob: string): void }
}

export interface Operations {
  /** Runs a command over `root`; `mounts` has the tree of each mount with an input, by index of node.mounts. Output goes to run.report as logs of run.vertex. */
  exec(node: ExecNode, root: LayersTree, mounts: ReadonlyMap<number, Tree>, run: StepRun): Promise<LayersTree>
  /** Performs the actions in order in one layer; `sources` has the tree of each copy action, by index. */
  files(
    node: FileNode,
    root: LayersTree,
    sources: ReadonlyMap<number, Tree>,
    run: StepRun,
  ): Promise<LayersTree>
  /**
   * "sha256:…" of what a copy action would take from a tree: names, types, modes, owners, links, contents, xattrs, not
   * times. The same for the same files wherever they lie. Throws invalid (`"/x": not found`) when a required source matches nothing.
   */
  contentDigest(
    action: Pick<CopyAction, "sources" | "exclude" | "parents" | "follow" | "required">,
    tree: Tree,
    signal: AbortSignal,
  ): Promise<string>
  /** A context as layers (for bind mounts and results): its files as they are told by entries(), owned as they are. Cached by content. */
  asLayers(tree: Tree, run: StepRun): Promise<LayersTree>
  /** Cache mounts: what they hold, and their removal. `inUse` while a step has it mounted. */
  cacheMounts(): Promise<
    readonly { id: string; bytes: number; createdAt: number; usedAt: number; inUse: boolean }[]
  >
  removeCacheMount(id: string): Promise<number>
  /** Ends what a crashed engine left running and removes what it left lying. */
  recover(): Promise<void>
  close(): Promise<void>
}

/** Commands: operations/commands.ts, `openCommands(rooms, asLayers)`. */
export type CommandOperations = Omit<Operations, keyof FileOperations>
/** Files: operations/files/files.ts, `openFiles(rooms): FileOperations`. */
export type FileOperations = Pick<Operations, "files" | "contentDigest" | "asLayers">
