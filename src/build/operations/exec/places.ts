// Where a running step has its files: RUN_ROOT/b/<run id>, in memory where the run root is.
//
//   config                         what is needed to end the step when this engine is gone
//   hosts, resolv.conf, hostname   the managed files, mounted over the root's own
//   stubs/fs                       a layer between the root and what the step writes: mount points that the root has not
//   ssh.N                          sockets of forwarded agents
//   m                              the monitor's socket and exit record
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import type { Kernel, Operation } from "../../../kernel/kernel.ts"
import type { BindMount, OverlayMount, RootMount } from "../../../kernel/mount.ts"
import type { Runtime } from "../../../runtime/runtime.ts"
import type { ContainerConfig } from "../../../state/state.ts"

/** The kernel's overlay takes at most 500 lower directories. */
const mostLowers = 500

export interface StepPlace {
  readonly directory: string
  readonly monitor: string
  remove(): void
}

const configName = "config"
const SIGKILL = 9

export const isRunId = (name: string): boolean => /^build-[0-9a-f]{24}$/.test(name)

export const makePlace = (runRoot: string, id: string, config: ContainerConfig): StepPlace => {
  const directory = join(runRoot, id)
  const monitor = join(directory, "m")
  mkdirSync(monitor, { recursive: true, mode: 0o700 })
  writeFileSync(join(directory, configName), JSON.stringify({ ...config, env: [], command: [] }), {
    mode: 0o600,
  })
  return { directory, monitor, remove: () => rmSync(directory, { recursive: true, force: true }) }
}

/** Ends a step of an engine that is gone and removes its files. */
export const clearStep = async (runtime: Runtime, runRoot: string, id: string): Promise<void> => {
  const directory = join(runRoot, id)
  const config: ContainerConfig = JSON.parse(readFileSync(join(directory, configName), "utf8"))
  const monitor = join(directory, "m")
  const found = await runtime.rejoin({ id, config, directory: monitor, runDirectory: monitor, pid: 0 })
  if ("exited" in found) {
    await found.signal(SIGKILL).catch(() => {
      // It has ended meanwhile.
    })
    // Until its monitor has let go, the layer that it wrote is in use.
    await found.cleared
    found.release()
  }
  await runtime.clean({ id, config, runDirectory: monitor })
  rmSync(directory, { recursive: true, force: true })
}

/** Writes the managed files; gives their mounts. */
export const managedFiles = (
  { directory }: StepPlace,
  texts: Readonly<Record<string, string>>,
  flags: readonly string[],
): BindMount[] =>
  Object.entries(texts).map(([name, text]) => {
    const source = join(directory, name)
    writeFileSync(source, text, { mode: 0o644 })
    return { type: "bind", source, target: `/etc/${name}`, flags, create: "file" }
  })

/** What every step is mounted over. */
export const commonStubs: readonly Operation[] = [
  ...["/dev", "/proc", "/sys", "/etc"].map((path): Operation => ["directory", path, "755", "0", "0"]),
  ["file", "/etc/hosts"],
  ["file", "/etc/resolv.conf"],
]

/**
 * The root with every mount point in it that it had not, in a layer of its own beneath the writable one: they are there
 * while the step runs, and no part of what it wrote. Nothing has to be taken away after.
 */
export const withStubs = async (
  kernel: Kernel,
  { directory }: StepPlace,
  root: RootMount,
  stubs: readonly Operation[],
): Promise<RootMount> => {
  if (root.type !== "overlay" || root.lower.length >= mostLowers) return root
  const [files, work] = [join(directory, "stubs", "fs"), join(directory, "stubs", "work")]
  rmSync(join(directory, "stubs"), { recursive: true, force: true })
  mkdirSync(files, { recursive: true, mode: 0o755 })
  mkdirSync(work, { mode: 0o700 })
  await kernel.perform([["furnish"], ["root-overlay", files, work, "volatile", ...root.lower], ...stubs])
  const over: OverlayMount = { ...root, lower: [files, ...root.lower] }
  return over
}
