// RUN --mount: from what is written to where each mount comes from and goes to, with the defaults of its type.
import { posix } from "node:path"
import type { RunMount } from "../dockerfile/instructions.ts"
import { quoted } from "../dockerfile/quoted.ts"
import { BuildFailure } from "../failure.ts"
import type { ExecMount, Input } from "./graph.ts"
import { sourceTree } from "./source-tree.ts"
import type { PlannedStage, StageState } from "./stage.ts"
import { contextNode, type Surroundings } from "./surroundings.ts"

const invalid = (message: string) => new BuildFailure("invalid", message, {})

const targetOf = (state: StageState, target: string): string => {
  const absolute = posix.resolve(state.directory, target)
  if (absolute === "/") throw invalid(`invalid mount target ${quoted(absolute)}`)
  return absolute
}

/** The tree that a mount shows, and the path in it. */
const shownTree = (around: Surroundings, mount: RunMount, source: PlannedStage | undefined): Input => {
  const { from = "", target = "" } = mount
  const path = mount.source ?? ""
  if (from === "scratch") return "scratch"
  if (from === "" || source === undefined) {
    around.needed.add("", path)
    return contextNode(around, "")
  }
  if (source.end === undefined)
    throw invalid(
      `cannot mount from stage ${quoted(from)} to ${quoted(target)}, stage needs to be defined before current command`,
    )
  return sourceTree(around, source.end.root, path)
}

const bindMount = (
  around: Surroundings,
  state: StageState,
  mount: RunMount,
  source: PlannedStage | undefined,
): ExecMount => ({
  type: "bind",
  input: shownTree(around, mount, source),
  source: posix.resolve("/", mount.source ?? ""),
  target: targetOf(state, mount.target ?? ""),
  readOnly: mount.readOnly ?? true,
})

const cacheMount = (
  around: Surroundings,
  state: StageState,
  mount: RunMount,
  source: PlannedStage | undefined,
): ExecMount => {
  const { from = "", target = "", id = "" } = mount
  const name = id === "" ? posix.normalize(target) : id
  const space = around.request.buildArgs.get("BUILDKIT_CACHE_MOUNT_NS") ?? ""
  const begin = from === "" || from === "scratch" ? undefined : shownTree(around, mount, source)
  return {
    type: "cache",
    id: space === "" ? name : `${space}/${name}`,
    target: targetOf(state, target),
    sharing: mount.sharing ?? "shared",
    readOnly: mount.readOnly ?? false,
    mode: mount.mode ?? 0o755,
    uid: mount.uid ?? 0,
    gid: mount.gid ?? 0,
    ...(begin === undefined ? {} : { input: begin }),
    source: posix.resolve("/", mount.source ?? ""),
  }
}

const secretMount = (mount: RunMount): ExecMount => {
  const { target = "", env } = mount
  const given = mount.source || mount.id || ""
  if (given === "" && target === "") throw invalid("one of source, target required")
  const id = given === "" ? posix.basename(target) : given
  const path = target === "" && env === undefined ? `/run/secrets/${posix.basename(id)}` : target
  return {
    type: "secret",
    id,
    ...(path === "" ? {} : { target: posix.resolve("/", path) }),
    ...(env === undefined ? {} : { env: env === "" ? posix.basename(id) : env }),
    required: mount.required ?? false,
    mode: mount.mode ?? 0o400,
    uid: mount.uid ?? 0,
    gid: mount.gid ?? 0,
  }
}

const sshMount = (mount: RunMount, number: number): ExecMount => {
  if ((mount.source ?? "") !== "") throw invalid("ssh does not support source")
  const { id = "", target = "" } = mount
  return {
    type: "ssh",
    id: id === "" ? "default" : id,
    target: target === "" ? `/run/buildkit/ssh_agent.${number}` : posix.resolve("/", target),
    required: mount.required ?? false,
    mode: mount.mode ?? 0o600,
    uid: mount.uid ?? 0,
    gid: mount.gid ?? 0,
  }
}

/** `sources` has the stage of each mount by its index. Throws BuildFailure with BuildKit's words. */
export const execMounts = (
  around: Surroundings,
  state: StageState,
  mounts: readonly RunMount[],
  sources: readonly (PlannedStage | undefined)[],
): readonly ExecMount[] => {
  let agents = 0
  return mounts.map((mount, index): ExecMount => {
    if (mount.type === "bind") return bindMount(around, state, mount, sources[index])
    if (mount.type === "cache") return cacheMount(around, state, mount, sources[index])
    if (mount.type === "secret") return secretMount(mount)
    if (mount.type === "ssh") return sshMount(mount, agents++)
    return { type: "tmpfs", target: targetOf(state, mount.target ?? ""), size: mount.size ?? 0 }
  })
}
