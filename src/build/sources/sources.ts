// Contract. Where trees come from: contexts that clients hand over or send, remote addresses, images of registries.

import type { Platform } from "../../oci/platform.ts"
import type { BuildRequest, ContextSource, Material } from "../build.ts"
import type { GitNode, HttpNode, ImageNode, ResolvedImage } from "../graph/graph.ts"
import type { LayersTree, StepRun } from "../operations/operations.ts"
import type { ReportBuild } from "../progress.ts"
import type { ContextTree, Tree } from "../solver/solver.ts"

/** A context that is open for a build: files can be read from it before it is known which are needed. */
export interface OpenContext {
  /** A small file (at most 16 MiB), resolved beneath the context; undefined when there is none. Links out of it lead nowhere. */
  readFile(path: string): Promise<Uint8Array | undefined>
  /**
   * The tree without what the ignore patterns (lines of .dockerignore) leave out; `needed` are the only paths that matter
   * (patterns), when known. A layers tree for contexts that are images.
   */
  tree(options: { readonly ignore: readonly string[]; readonly needed?: readonly string[] }): Promise<Tree>
  /** What it was, for history and provenance. */
  readonly materials: readonly Material[]
  release(): void
}

export interface Sources {
  /** `name`: "context", "dockerfile" or a named context's name, for progress ("[internal] load build context"). */
  open(source: ContextSource, name: string, run: StepRun, platform: Platform): Promise<OpenContext>
  /** Config and digest of a base image: local unless `pull` or absent. Failure as BuildKit words it. */
  resolveImage(
    reference: string,
    platform: Platform,
    request: BuildRequest,
    report: ReportBuild,
    signal: AbortSignal,
  ): Promise<ResolvedImage>
  /** The files of a resolved image; pulls it when it is not here. */
  image(node: ImageNode, run: StepRun): Promise<LayersTree>
  git(
    node: GitNode,
    run: StepRun,
  ): Promise<{ readonly tree: Tree; readonly material: Material; release(): void }>
  http(node: HttpNode, run: StepRun): Promise<{ readonly tree: ContextTree; readonly material: Material }>
  /** Names an address' present contents without bringing them: a commit id, an ETag with the URL; undefined = must be fetched to know. */
  remoteKey(node: GitNode | HttpNode, run: StepRun): Promise<string | undefined>
  /** What is kept between builds below DATA_ROOT/build: contexts that were sent, fetched repositories and files. */
  kept(): Promise<readonly KeptSource[]>
  /** Bytes that came back; 0 for what is in use or gone. */
  removeKept(id: string): Promise<number>
  recover(): Promise<void>
}

export interface KeptSource {
  readonly id: string
  /** "source.local", "source.git.checkout", "source.http" */
  readonly kind: string
  /** "local source for context" … */
  readonly description: string
  /** Bytes on the disk. */
  readonly bytes: number
  /** Unix milliseconds. */
  readonly createdAt: number
  readonly usedAt: number
  readonly inUse: boolean
}
