// Ground for tests of steps: the real rooms in a private directory, a busybox tree to begin from, and what a step told.
import { randomBytes } from "node:crypto"
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmdirSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { busyboxRootfsTar } from "../../../../test/fixtures/busybox-image.ts"
import { openImageStore } from "../../../../test/fixtures/image-store.ts"
import { readTar, type TarEntry } from "../../../base/tar-reader.ts"
import { openNetworks } from "../../../network/network.ts"
import { hostPlatform } from "../../../oci/platform.ts"
import { createRuntime } from "../../../runtime/runtime.ts"
import type { LayerForm } from "../../../snapshots/snapshotter.ts"
import type { BuildRequest } from "../../build.ts"
import type { ExecNode } from "../../graph/graph.ts"
import type { BuildEvent } from "../../progress.ts"
import type { BuildRooms } from "../../rooms.ts"
import type { Tree } from "../../solver/solver.ts"
import { plainBuild } from "../../testing/plain-build.ts"
import { openCommands } from "../commands.ts"
import { commitTar } from "../commit.ts"
import { type CommandOperations, emptyTree, type LayersTree, type StepRun } from "../operations.ts"

export interface Ran {
  readonly tree: LayersTree
  readonly events: readonly BuildEvent[]
  /** Both streams as they came. */
  readonly output: string
}

export interface StepGround {
  readonly directory: string
  readonly rooms: BuildRooms
  readonly steps: CommandOperations
  readonly base: LayersTree
  readonly cgroupParent: string
  /** A run with a request of its own. */
  run(request?: Partial<BuildRequest>, changes?: Partial<StepRun>): StepRun
  /** Runs `sh -c SCRIPT` over the base, or what `node` says. */
  sh(
    script: string,
    options?: {
      node?: Partial<ExecNode>
      request?: Partial<BuildRequest>
      root?: LayersTree
      trees?: ReadonlyMap<number, Tree>
      run?: Partial<StepRun>
    },
  ): Promise<Ran>
  /** Entries of the top layer of a tree; contents of its files by name. */
  layer(tree: LayersTree): Promise<Map<string, { entry: TarEntry; text: string }>>
  /** Names in the top layer, sorted. */
  names(tree: LayersTree): Promise<string[]>
  /** What steps left: run directories, cgroups, active snapshots. */
  leftovers(): string[]
  /** The operations anew over the same state, as a restarted engine has them. */
  reopen(): CommandOperations
  close(): Promise<void>
  /** Closes everything; what steps left until then. */
  end(): Promise<readonly string[]>
}

export const execNode = (changes: Partial<ExecNode> = {}): ExecNode => ({
  type: "exec",
  digest: "sha256:step",
  definition: "sha256:definition",
  name: "[1/1] RUN",
  platform: hostPlatform(),
  fresh: false,
  root: "scratch",
  argv: ["/bin/true"],
  env: ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"],
  proxyEnv: [],
  hostname: "",
  user: "",
  workingDirectory: "/",
  mounts: [],
  network: "none",
  security: "sandbox",
  extraHosts: [],
  commandText: (changes.argv ?? ["/bin/true"]).join(" "),
  argumentsSeen: [],
  ...changes,
})

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes
}

/**
 * `networks`: with a default bridge of its own (a second slower). `dataRoot` and `tag`: those of a ground whose process is
 * gone, to find what it left.
 */
export const openStepGround = async (
  options: { form?: LayerForm; networks?: boolean; dataRoot?: string; tag?: string } = {},
): Promise<StepGround> => {
  const directory = options.dataRoot ?? mkdtempSync(join(tmpdir(), "slb-"))
  const store = await openImageStore({ directory, ...(options.form ? { form: options.form } : {}) })
  const tag = options.tag ?? randomBytes(3).toString("hex")
  const cgroupParent = `sloop-test-build-${tag}`
  const { kernel, state, content, snapshots, images } = store
  const networks = openNetworks({ kernel, state, instance: `test${tag}`, warn: () => undefined })
  if (options.networks) await networks.open([])
  const rooms: BuildRooms = {
    ...{ kernel, state, content, snapshots, images, networks },
    runtime: createRuntime({ kernel, cgroupParent }),
    root: join(directory, "build"),
    runRoot: join(directory, "b"),
  }
  for (const path of [rooms.root, rooms.runRoot]) mkdirSync(path, { recursive: true, mode: 0o700 })
  const asLayers = (tree: Tree) =>
    tree.kind === "layers" ? Promise.resolve(tree) : Promise.reject(new Error("no contexts here"))
  const open = () => openCommands(rooms, asLayers)
  const run: StepGround["run"] = (request = {}, changes = {}) => ({
    id: `build-${randomBytes(12).toString("hex")}`,
    request: plainBuild(request),
    report: () => undefined,
    signal: new AbortController().signal,
    vertex: "sha256:step",
    hold: { keep: () => undefined, suspect: () => undefined },
    ...changes,
  })
  const base = await commitTar(rooms, once(await busyboxRootfsTar()), emptyTree, run())

  const ground: StepGround = {
    ...{ directory, rooms, base, cgroupParent, run },
    steps: open(),
    async sh(script, { node = {}, request = {}, root = base, trees = new Map(), run: changes = {} } = {}) {
      const events: BuildEvent[] = []
      const tree = await ground.steps.exec(
        execNode({ argv: ["/bin/sh", "-c", script], commandText: `/bin/sh -c ${script}`, ...node }),
        root,
        trees,
        run(request, { report: (event) => events.push(event), ...changes }),
      )
      const output = events.flatMap((event) => (event.type === "log" ? [event.bytes] : []))
      return { tree, events, output: Buffer.concat(output).toString("utf8") }
    },
    async layer(tree) {
      const found = new Map<string, { entry: TarEntry; text: string }>()
      const top = tree.layers.at(-1)?.blob ?? ""
      const tar = snapshots.tar(tree.chainId)?.open() ?? content.open(top)
      for await (const entry of readTar(tar)) {
        const parts: Uint8Array[] = []
        for await (const chunk of entry.body) parts.push(chunk)
        found.set(entry.name, { entry, text: Buffer.concat(parts).toString("utf8") })
      }
      return found
    },
    names: async (tree) => [...(await ground.layer(tree)).keys()].toSorted(),
    leftovers() {
      const cgroups = readdirSync("/sys/fs/cgroup")
        .map((name) => join("/sys/fs/cgroup", name, cgroupParent))
        .filter((path) => existsSync(path))
        .flatMap((path) => readdirSync(path).filter((name) => name.startsWith("build-")))
      const active = state.snapshots.list().filter(({ kind }) => kind === "active")
      return [...readdirSync(rooms.runRoot), ...cgroups, ...active.map(({ key }) => key)]
    },
    reopen: open,
    async close() {
      await ground.steps.close()
      if (options.networks) await networks.close({ remove: true })
      await store.closeKeepingFiles()
      for (const name of readdirSync("/sys/fs/cgroup")) {
        const path = join("/sys/fs/cgroup", name, cgroupParent)
        if (existsSync(path)) rmdirSync(path)
      }
      rmSync(directory, { recursive: true, force: true })
    },
    async end() {
      await ground.steps.close()
      const left = ground.leftovers()
      await ground.close()
      return left
    },
  }
  return ground
}
