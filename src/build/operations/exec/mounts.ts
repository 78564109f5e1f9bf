// The mounts of a step: what they are made from is fetched, and becomes operations of the launcher; nothing is resolved here.
import { posix } from "node:path"
import { failure } from "../../../base/errors.ts"
import type { UndoStack } from "../../../base/undo-stack.ts"
import { LauncherFailure, type Operation } from "../../../kernel/kernel.ts"
import { type OverlayMount, type RootMount, rootOperation } from "../../../kernel/mount.ts"
import type { ExecMount, ExecNode } from "../../graph/graph.ts"
import type { BuildRooms } from "../../rooms.ts"
import type { Tree } from "../../solver/solver.ts"
import { type CacheMounts, lockOrder } from "../cache-mounts.ts"
import { emptyTree, type LayersTree, type Operations, type StepRun } from "../operations.ts"
import type { StepPlace } from "./places.ts"
import { forwardAgent } from "./ssh.ts"

export interface StepMountParts {
  readonly rooms: BuildRooms
  readonly asLayers: Operations["asLayers"]
  readonly caches: CacheMounts
}

/** What the mounts of a step add to its launch. */
export interface PreparedMounts {
  /** Root operations of the launcher, parents first. */
  readonly operations: readonly Operation[]
  /** Operations of `furnish` that make their targets. */
  readonly stubs: readonly Operation[]
  readonly env: readonly string[]
}

interface Prepared {
  readonly operations?: readonly Operation[]
  /** What a missing target is made as; absent = nothing is mounted. */
  readonly stub?: "file" | "directory"
  readonly env?: readonly string[]
}

type MountOf<T extends ExecMount["type"]> = Extract<ExecMount, { readonly type: T }>

/** One mount on its way. */
interface Making {
  readonly parts: StepMountParts
  readonly run: StepRun
  readonly place: StepPlace
  readonly undo: UndoStack
  /** Of the mount among those of the node. */
  readonly index: number
  readonly target: string
  readonly tree: Tree | undefined
}

interface Wanted {
  readonly mount: ExecMount
  readonly making: Making
}

/** As BuildKit bounds them. */
const largestSecret = 500 * 1024

const layersOf = async ({ parts, run, tree }: Making): Promise<LayersTree> => {
  if (tree === undefined) return emptyTree
  return tree.kind === "layers" ? tree : parts.asLayers(tree, run)
}

/** Whether the source, resolved in the tree, is a directory. Throws not-found, in BuildKit's words. */
const isDirectory = async ({ parts, run }: Making, root: RootMount, source: string): Promise<boolean> => {
  if (posix.resolve("/", source) === "/") return true
  try {
    const answer = await parts.rooms.kernel.perform(
      [["stat"], rootOperation(root), ["path", source], ["option", "follow", "yes"]],
      run.signal,
    )
    return (Number(answer.get("mode")?.[0] ?? 0) & 0o170000) === 0o040000
  } catch (cause) {
    if (cause instanceof LauncherFailure && /^(ENOENT|ENOTDIR)$/.test(cause.errnoName))
      throw failure("not-found", `${JSON.stringify(posix.resolve("/", source))}: not found`, { cause })
    throw cause
  }
}

const overlayArguments = (root: RootMount): string[] => {
  if (root.type === "directory") throw failure("internal", "the layers of a mount are no overlay")
  const { upper = "", work = "", options, lower }: OverlayMount = root
  return [upper, work, options.join(","), ...lower]
}

const bind = async (mount: MountOf<"bind">, making: Making): Promise<Prepared> => {
  const { parts, run, undo, index, target } = making
  const { snapshots } = parts.rooms
  const { chainId } = await layersOf(making)
  let root = snapshots.view(chainId)
  const directory = await isDirectory(making, root, mount.source)
  if (!mount.readOnly) {
    // What is written goes into a layer of its own, which ends with the step.
    const key = `${run.id}-${index}`
    root = await snapshots.prepare(key, chainId, { ephemeral: true })
    undo.push("written into a mount", () => snapshots.remove(key))
  }
  const flags = mount.readOnly ? "ro,rprivate" : "rprivate"
  return {
    operations: [["tree", target, flags, mount.source, ...overlayArguments(root)]],
    stub: directory ? "directory" : "file",
  }
}

const cache = async (mount: MountOf<"cache">, making: Making): Promise<Prepared> => {
  const { parts, run, undo, target } = making
  const content = mount.input === undefined ? undefined : await layersOf(making)
  const held = await parts.caches.take(mount, content, run)
  undo.push("cache mount", () => held.release())
  const flags = mount.readOnly ? "ro,rprivate" : "rprivate"
  // Resolved by the launcher beneath the cache mount, which other steps may be changing.
  const subpath = content === undefined ? posix.resolve("/", mount.source).slice(1) : ""
  return { operations: [["bind", held.path, target, flags, "dir", subpath]], stub: "directory" }
}

const tmpfs = (mount: MountOf<"tmpfs">, { target }: Making): Prepared => ({
  operations: [["mount", "tmpfs", "tmpfs", target, "nosuid", mount.size > 0 ? `size=${mount.size}` : ""]],
  stub: "directory",
})

const secret = async (mount: MountOf<"secret">, { run, target }: Making): Promise<Prepared> => {
  const bytes = await run.request.secrets(mount.id, run.signal)
  if (bytes === undefined) {
    if (mount.required) throw failure("not-found", `secret ${mount.id}: not found`)
    return {}
  }
  if (bytes.length > largestSecret)
    throw failure(
      "invalid",
      `secret ${mount.id} has ${bytes.length} bytes: at most ${largestSecret} are taken`,
    )
  const env: string[] = []
  if (mount.env !== undefined) {
    if (bytes.includes(0))
      throw failure("invalid", `secret ${mount.id} holds a NUL byte, which no environment variable can`)
    env.push(`${mount.env}=${Buffer.from(bytes).toString("utf8")}`)
  }
  if (mount.target === undefined) return { env }
  const numbers = [(mount.mode & 0o777).toString(8), String(mount.uid), String(mount.gid)]
  return {
    operations: [["secret", target, ...numbers, Buffer.from(bytes).toString("hex")]],
    stub: "file",
    env,
  }
}

const ssh = async (mount: MountOf<"ssh">, making: Making): Promise<Prepared> => {
  const { run, place, undo, index, target } = making
  const agent = await forwardAgent(mount, place, index, run)
  if (agent === undefined) {
    if (mount.required)
      throw failure("not-found", `no SSH key ${JSON.stringify(mount.id)} forwarded from the client`)
    return {}
  }
  undo.push("SSH agent", () => agent.close())
  return {
    operations: [["bind", agent.path, target, "rprivate", "file", ""]],
    stub: "file",
    env: [`SSH_AUTH_SOCK=${target}`],
  }
}

const prepare = (mount: ExecMount, making: Making): Promise<Prepared> | Prepared => {
  switch (mount.type) {
    case "bind":
      return bind(mount, making)
    case "cache":
      return cache(mount, making)
    case "tmpfs":
      return tmpfs(mount, making)
    case "secret":
      return secret(mount, making)
    case "ssh":
      return ssh(mount, making)
  }
}

const targetOf = (mount: ExecMount): string => {
  if (mount.target === undefined) return ""
  const target = posix.resolve("/", mount.target)
  if (target === "/") throw failure("invalid", `invalid mount target ${JSON.stringify(mount.target)}`)
  return target
}

/** Targets in these are made on file systems that every step has of its own. */
const isVirtual = (target: string): boolean => /^\/(dev|proc|sys)(\/|$)/.test(target)

const stubOf = (target: string, kind: "file" | "directory"): Operation =>
  kind === "file" ? ["file", target] : ["directory", target, "755", "0", "0"]

/** Parents first. */
const byTarget = ({ making: { target: one } }: Wanted, { making: { target: other } }: Wanted): number =>
  one < other ? -1 : one > other ? 1 : 0

const byLock = ({ mount: one }: Wanted, { mount: other }: Wanted): number => {
  if (one.type === "cache" && other.type === "cache") return lockOrder(one, other)
  return Number(other.type === "cache") - Number(one.type === "cache")
}

/**
 * Fetches what the mounts of a step are made from; what must be given back is pushed onto `undo`. Waits for cache mounts
 * that are locked. Throws not-found for missing sources, secrets and keys, cancelled, and invalid.
 */
export const prepareMounts = async (
  parts: StepMountParts,
  node: ExecNode,
  trees: ReadonlyMap<number, Tree>,
  step: { readonly run: StepRun; readonly place: StepPlace; readonly undo: UndoStack },
): Promise<PreparedMounts> => {
  const operations: Operation[] = []
  const stubs: Operation[] = []
  const env: string[] = []
  const wanted = node.mounts
    .map((mount, index): Wanted => {
      const target = targetOf(mount)
      return { mount, making: { ...step, parts, index, target, tree: trees.get(index) } }
    })
    .toSorted(byTarget)
  const prepared = new Map<Wanted, Prepared>()
  // What may have to be waited for comes first.
  for (const each of wanted.toSorted(byLock)) prepared.set(each, await prepare(each.mount, each.making))
  for (const each of wanted) {
    const { target } = each.making
    const made = prepared.get(each) ?? {}
    operations.push(...(made.operations ?? []))
    if (made.stub !== undefined && !isVirtual(target)) stubs.push(stubOf(target, made.stub))
    // The first forwarded agent is the one that programs find.
    for (const variable of made.env ?? [])
      if (!variable.startsWith("SSH_AUTH_SOCK=") || !env.some((other) => other.startsWith("SSH_AUTH_SOCK=")))
        env.push(variable)
  }
  return { operations, stubs, env }
}
