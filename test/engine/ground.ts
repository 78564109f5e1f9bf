// A whole private engine on the real kernel for tests: own directories, launcher, bridge, tables and cgroups.
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmdirSync, rmSync } from "node:fs"
import { basename, join } from "node:path"
import type { Duplex } from "node:stream"
import { openContent } from "../../src/content/content.ts"
import { type CreateConfig, createEngine, type Engine } from "../../src/engine/engine.ts"
import { createEvents } from "../../src/events/events.ts"
import { openImages } from "../../src/images/images.ts"
import { createLogs } from "../../src/logs/logs.ts"
import { openNetworks } from "../../src/network/network.ts"
import { createRuntime } from "../../src/runtime/runtime.ts"
import { openOverlaySnapshotter } from "../../src/snapshots/snapshotter.ts"
import { openState, type State } from "../../src/state/state.ts"
import { openVolumes } from "../../src/volumes/volumes.ts"
import { busyboxDockerArchive, streamed } from "../fixtures/busybox-image.ts"
import { openTestKernel } from "../fixtures/launcher-kernel.ts"

export interface Ground {
  readonly engine: Engine
  readonly state: State
  readonly root: string
  /** What is left on the machine of this ground's containers: cgroups, mounts, monitors. */
  leftovers(): string[]
  /** Ids of containers that have cgroups. */
  cgroups(): string[]
  /** Resolves when removals and teardowns under way are done. */
  settle(): Promise<void>
  /** Ends this engine and opens another over the same directories, as after a restart of the daemon. */
  reopen(): Promise<Ground>
  close(): Promise<void>
}

/** Opens a ground in `root` (made up when absent). Call `close` or `reopen`. */
export const openGround = async (root = mkdtempSync("/tmp/sle-")): Promise<Ground> => {
  const dataRoot = join(root, "data")
  const runRoot = join(root, "run")
  mkdirSync(dataRoot, { recursive: true, mode: 0o700 })
  const instance = root.slice(root.lastIndexOf("-") + 1)
  const cgroupParent = `sloop-test-${instance}`
  const { kernel, stop } = await openTestKernel(root)
  const state = openState(join(dataRoot, "state.db"))
  const events = createEvents()
  const snapshots = openOverlaySnapshotter({ root: join(dataRoot, "snapshots"), kernel, state })
  const content = await openContent(join(dataRoot, "content"))
  const images = openImages({ content, snapshots, state, events, root: join(dataRoot, "images") })
  const volumes = openVolumes({ root: join(dataRoot, "volumes"), kernel, state, events })
  const networks = openNetworks({ kernel, state, instance: `t4${instance}`, poolSize: 2 })
  const runtime = createRuntime({ kernel, cgroupParent })
  const engine = createEngine({
    state,
    events,
    kernel,
    runtime,
    networks,
    snapshots,
    images,
    volumes,
    logs: createLogs(),
    dataRoot,
    runRoot,
  })
  await engine.recover()
  if ((await images.find("busybox")) === undefined) {
    await images.load(streamed(await busyboxDockerArchive()), () => {})
  }
  const shut = async (remove: boolean): Promise<void> => {
    await engine.close({ stopContainers: false })
    await snapshots.settle()
    await networks.close({ remove })
    await stop()
    state.close()
  }
  return {
    engine,
    state,
    root,
    leftovers: () => leftovers(root, cgroupParent),
    cgroups: () => [...new Set(cgroupsBelow(cgroupParent).map((path) => basename(path)))],
    async settle() {
      const end = Date.now() + 5000
      const busy = () =>
        state.removals.list().length > 0 ||
        state.containers.list().some((record) => record.pid === 0 && record.networkLease !== undefined)
      while (busy() && Date.now() < end) await Bun.sleep(5)
      await snapshots.settle()
    },
    async reopen() {
      await shut(false)
      return openGround(root)
    },
    async close() {
      for (const record of state.containers.list()) {
        await engine.containers.remove(record.id, { force: true, volumes: true })
      }
      await shut(true)
      for (const directory of cgroupDirectories(cgroupParent)) {
        rmdirSync(directory)
      }
      rmSync(root, { recursive: true, force: true })
    },
  }
}

const cgroupDirectories = (parent: string): string[] =>
  readdirSync("/sys/fs/cgroup")
    .map((hierarchy) => join("/sys/fs/cgroup", hierarchy, parent))
    .filter((path) => existsSync(path))

const cgroupsBelow = (parent: string): string[] =>
  cgroupDirectories(parent).flatMap((path) =>
    readdirSync(path, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map((entry) => join(path, entry.name)),
  )

const leftovers = (root: string, parent: string): string[] => [
  ...cgroupsBelow(parent),
  ...readFileSync("/proc/self/mountinfo", "utf8")
    .split("\n")
    .filter((line) => line.includes(root)),
  ...readdirSync(join(root, "run", "c")).map((name) => join(root, "run", "c", name)),
  ...readdirSync(join(root, "data", "containers")).map((name) => join(root, "data", "containers", name)),
]

export const busybox = (command: readonly string[], more: Partial<CreateConfig> = {}): CreateConfig => ({
  image: "busybox",
  networkMode: "none",
  command,
  ...more,
})

/** Reads a multiplexed stream to its end. */
export const gatherStreams = async (stream: Duplex): Promise<{ stdout: string; stderr: string }> => {
  const chunks: Buffer[] = []
  for await (const chunk of stream) chunks.push(chunk)
  const bytes = Buffer.concat(chunks)
  const texts = { stdout: "", stderr: "" }
  for (let at = 0; at < bytes.length; ) {
    const length = bytes.readUInt32BE(at + 4)
    texts[bytes[at] === 2 ? "stderr" : "stdout"] += bytes.toString("utf8", at + 8, at + 8 + length)
    at += 8 + length
  }
  return texts
}

/** All that a container has logged, without the streams' names. */
export const logText = async ({ engine }: Ground, id: string): Promise<string> => {
  let text = ""
  for await (const together of engine.containers.logs(id, { stdout: true, stderr: true, follow: false })) {
    text += Buffer.concat(together.map(({ line }) => line)).toString()
  }
  return text
}

/** Attach, start and wait, as `docker run` does. */
export const run = async (
  engine: Engine,
  config: CreateConfig,
  stdin?: string,
): Promise<{ id: string; stdout: string; stderr: string; exitCode: number }> => {
  const { id } = await engine.containers.create({ config })
  const { stream } = await engine.containers.attach(id, {
    stdin: stdin !== undefined,
    stdout: true,
    stderr: true,
    logs: false,
    stream: true,
  })
  const { ended } = engine.containers.wait(id, config.autoRemove ? "removed" : "next-exit")
  const output = gatherStreams(stream)
  await engine.containers.start(id)
  stream.end(stdin)
  const { exitCode } = await ended
  return { id, exitCode, ...(await output) }
}

/** Waits until something holds; fails when it does not in time. */
export const until = async (holds: () => boolean | Promise<boolean>, milliseconds = 3000): Promise<void> => {
  const end = Date.now() + milliseconds
  while (!(await holds())) {
    if (Date.now() > end) throw new Error(`it never came to hold: ${holds}`)
    await Bun.sleep(10)
  }
}
