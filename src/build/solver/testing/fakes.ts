// A solver over operations that only wait and note what they were asked; layers are names.
import { createHash } from "node:crypto"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { failure } from "../../../base/errors.ts"
import { Limiter } from "../../../base/limiter.ts"
import { extendChain } from "../../../oci/chain-id.ts"
import { openState } from "../../../state/state.ts"
import type { BuildRequest } from "../../build.ts"
import type { CacheRecord } from "../../cache/cache.ts"
import { openCacheRecords } from "../../cache/records.ts"
import type { ContextNode, CopyAction, ExecNode, FileNode, Input, Node } from "../../graph/graph.ts"
import type { LayersTree, StepRun } from "../../operations/operations.ts"
import type { BuildEvent } from "../../progress.ts"
import { plainBuild } from "../../testing/plain-build.ts"
import { openShared } from "../shared.ts"
import { solveGraph } from "../solve.ts"
import type { ContextTree, Tree } from "../solver.ts"

export const digestOf = (...words: readonly unknown[]): string =>
  `sha256:${createHash("sha256").update(JSON.stringify(words)).digest("hex")}`

const platform = { os: "linux", architecture: "amd64", variant: "" }
const idOf = (input: Input): string => (input === "scratch" ? input : input.digest)

/** A RUN whose command says what the fake does: "sleep 20", "fail", "nothing". */
export const run = (command: string, root: Input = "scratch", more: Partial<ExecNode> = {}): ExecNode => {
  const node = {
    ...{ type: "exec", name: `RUN ${command}`, platform, fresh: false, root, argv: [command], env: [] },
    ...{ proxyEnv: [], user: "", hostname: "", workingDirectory: "/", mounts: [], network: "default" },
    ...{ security: "sandbox", extraHosts: [], commandText: command, argumentsSeen: [] },
    ...more,
  } as const
  const definition = digestOf(
    "exec",
    command,
    node.mounts.map((mount) => mount.type),
  )
  return { ...node, definition, digest: digestOf(definition, idOf(root)) } as ExecNode
}

export const copy = (input: Input, root: Input = "scratch", more: Partial<FileNode> = {}): FileNode => {
  const action: CopyAction = {
    ...{ type: "copy", input, sources: ["/x"], destination: "/", owner: "", parents: false, exclude: [] },
    ...{ unpack: false, follow: false, required: true },
  }
  const definition = digestOf("file", more.independent === true)
  const digest = digestOf(definition, idOf(root), idOf(input))
  const own = { type: "file", name: "COPY", platform, fresh: false, independent: false, root } as const
  return { ...own, actions: [action], definition, digest, ...more }
}

export const context = (name = ""): ContextNode => ({
  ...{ type: "context", context: name, name: "[internal] load build context", platform, fresh: false },
  definition: digestOf("context", name),
  digest: digestOf("context", name),
})

/** A context whose contents are one word. */
export const contextOf = (word: { text: string; steady?: boolean }): Tree => ({
  kind: "context",
  context: {
    directory: `/${word.text}`,
    entries: async () => [],
    unchanged: async () => word.steady ?? true,
    release: () => {},
  } as unknown as ContextTree,
})

const layer = (root: LayersTree, words: string): LayersTree => {
  const diffId = digestOf(words)
  const layers = [...root.layers, { diffId, blob: diffId, size: 1 }]
  return { kind: "layers", chainId: extendChain(root.chainId, diffId), layers }
}

export interface FakeGround extends Disposable {
  /** Commands that were run, in order of their beginnings; "copy" for file steps. */
  readonly ran: string[]
  /** Commands that were ended before they were done. */
  readonly ended: string[]
  readonly committed: Set<string>
  /** Most steps that ran at the same time. */
  readonly most: () => number
  readonly records: ReturnType<typeof openCacheRecords>
  solve(
    wanted: readonly Node[],
    options?: {
      request?: BuildRequest
      contexts?: Record<string, Tree>
      signal?: AbortSignal
      /** Gets the events as well: those of a build that fails come by no other way. */
      events?: BuildEvent[]
      /** What remote addresses answer when they are asked what they have. */
      remoteKey?: () => Promise<string>
    },
  ): Promise<{ events: BuildEvent[]; solved: Awaited<ReturnType<typeof solveGraph>> }>
  readonly steps: () => number
}

export const fakeGround = (parallelism = 16): FakeGround => {
  const directory = mkdtempSync(join(tmpdir(), "solver-"))
  const state = openState(join(directory, "state.db"))
  const committed = new Set<string>()
  const ran: string[] = []
  const ended: string[] = []
  let now = 0
  let most = 0
  let count = 0
  const snapshots = {
    has: (chainId: string) => committed.has(chainId),
    tar: () => ({ size: 0, path: "/nowhere", open: () => (async function* () {})() }),
    async commitLayer({ chainId }: { chainId: string }) {
      committed.add(chainId)
      return { size: 1 }
    },
  }
  const records = openCacheRecords({ state, snapshots, released: () => {} })
  const shared = openShared<CacheRecord>()

  const perform = async (words: string, root: LayersTree, step: StepRun): Promise<LayersTree> => {
    ran.push(words)
    most = Math.max(most, ++now)
    try {
      const [verb = "", time = "0"] = words.split(" ")
      if (verb === "sleep")
        await new Promise<void>((resolve, reject) => {
          const timer = setTimeout(resolve, Number(time))
          step.signal.addEventListener("abort", () => {
            clearTimeout(timer)
            // An end takes its time.
            setTimeout(() => {
              ended.push(words)
              reject(failure("cancelled", "context canceled"))
            }, 5)
          })
        })
      step.report({ type: "log", vertex: step.vertex, stream: 1, bytes: Buffer.from(words), at: 0 })
      if (verb === "fail") throw failure("invalid", `process "${words}" did not complete successfully`)
      if (verb === "nothing") return root
      // Like a clock in the files: run again, it is another layer.
      const made = layer(root, `${words} ${++count}`)
      committed.add(made.chainId)
      return made
    } finally {
      now--
    }
  }
  const operations = {
    exec: (node: ExecNode, root: LayersTree, _mounts: unknown, step: StepRun) =>
      perform(node.argv[0] ?? "", root, step),
    files: (_node: FileNode, root: LayersTree, _sources: unknown, step: StepRun) =>
      perform("copy", root, step),
    contentDigest: async (_action: unknown, tree: Tree) =>
      digestOf(tree.kind === "layers" ? tree.chainId : tree.context.directory),
    asLayers: async (tree: Tree) =>
      tree.kind === "layers" ? tree : layer({ kind: "layers", chainId: "", layers: [] }, "context"),
  }
  const parts = {
    rooms: { state, snapshots, content: { has: () => true } },
    ...{ operations, records, shared, sources: {}, limiter: new Limiter(parallelism) },
  } as unknown as Parameters<typeof solveGraph>[0]

  return {
    ...{ ran, ended, committed, records },
    most: () => most,
    steps: () => state.buildSteps.list().length,
    async solve(wanted, options = {}) {
      const events = options.events ?? []
      const deferred: (() => void)[] = []
      const remoteKey = options.remoteKey ?? (async () => "key")
      const solved = await solveGraph(
        { ...parts, sources: { ...parts.sources, remoteKey } },
        {
          ...{ id: "build", request: options.request ?? plainBuild(), epoch: undefined, imported: undefined },
          report: (event) => void events.push(event),
          hold: { keep: () => {}, suspect: () => {} },
          signal: options.signal ?? new AbortController().signal,
          contextTree: async (node) => options.contexts?.[node.context] ?? contextOf({ text: "empty" }),
          contextVertex: (node) => node.digest,
          defer: (release) => void deferred.push(release),
        },
        wanted.map(
          (node) => ({ platform, node, steps: [] }) as unknown as Parameters<typeof solveGraph>[2][number],
        ),
      )
      for (const release of deferred) release()
      return { events, solved }
    },
    [Symbol.dispose]() {
      state.close()
      rmSync(directory, { recursive: true, force: true })
    },
  }
}
