// A private engine whose daemon is killed at named steps or at random, and the checks that nothing of it is lost or left.
import { expect } from "bun:test"
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { basename, join } from "node:path"
import { eventually, startEngine, type TestEngine } from "../fixtures/engine.ts"

export interface Crashing {
  readonly engine: TestEngine
  /** Restarts the daemon so that it dies at a step, does what leads there, and starts a daemon that does not. */
  dieAt(step: string, act: () => Promise<unknown>): Promise<void>
  /** The container that ran before everything still runs, with its output whole. */
  bystanderLives(): Promise<void>
  /** Docker's word for the state of a container; "" when there is none of that name. */
  stateOf(name: string): Promise<string>
  /** Nothing is there that no container accounts for: directories, cgroups, links, namespaces, monitors, volumes. */
  expectWhole(): Promise<void>
}

const names = (path: string): string[] => (existsSync(path) ? readdirSync(path).toSorted() : [])

/** Names of the cgroups that containers have in any hierarchy. */
const cgroups = (parent: string): string[] => {
  const roots = ["/sys/fs/cgroup", ...names("/sys/fs/cgroup").map((name) => join("/sys/fs/cgroup", name))]
  const found = roots
    .map((root) => join(root, parent))
    .filter((path) => existsSync(path))
    .flatMap((path) => readdirSync(path, { withFileTypes: true }).filter((entry) => entry.isDirectory()))
  return [...new Set(found.map((entry) => entry.name))].toSorted()
}

/** Ports of the bridge: the host's ends of veth pairs. */
const bridgePorts = (bridge: string): string[] => names(`/sys/class/net/${bridge}/brif`)

/** Monitors of this engine; each container that runs has one. */
const monitors = (engine: TestEngine): number =>
  names("/proc").filter((pid) => {
    try {
      const isOurs = readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(`${engine.root}/`)
      return isOurs && readFileSync(`/proc/${pid}/comm`, "utf8") === "sloop-monitor\n"
    } catch {
      return false
    }
  }).length

const bystanderScript = "i=0; while :; do echo $i; i=$((i+1)); sleep 0.02; done"
/** Most namespaces that the pool keeps ready after a few starts. */
const pooled = 16

export const startCrashing = async (): Promise<Crashing> => {
  const engine = await startEngine()
  await engine.ok("run", "-d", "--name", "bystander", "busybox", "sh", "-c", bystanderScript)
  const pidOf = (name: string) => engine.ok("inspect", "-f", "{{.State.Pid}}", name)
  const bystander = await pidOf("bystander")

  /** What is on the machine and on the disk, against what the engine says; undefined when they agree. */
  const disagreement = async (): Promise<string | undefined> => {
    const lines = (await engine.ok("ps", "-a", "--no-trunc", "--format", "{{.ID}} {{.State}}"))
      .split("\n")
      .filter(Boolean)
    const ids = lines.map((line) => line.slice(0, 64)).toSorted()
    const running = lines
      .filter((line) => /running|paused/.test(line))
      .map((line) => line.slice(0, 64))
      .toSorted()
    const volumes = (await engine.ok("volume", "ls", "-q")).split("\n").filter(Boolean).toSorted()
    const used = (await engine.ok("inspect", "-f", "{{range .Mounts}}{{.Name}} {{end}}", ...ids))
      .split(/\s+/)
      .filter(Boolean)
      .toSorted()
    const data = join(engine.root, "data")
    const directories = names(join(data, "containers"))
    const pairs: [what: string, there: readonly string[], accounted: readonly string[]][] = [
      // A container that never ran may have none yet.
      ["container directories", directories.filter((id) => !ids.includes(id)), []],
      [
        "run directories",
        names(join(engine.root, "run", "c")),
        running.map((id) => id.slice(0, 16)).toSorted(),
      ],
      ["cgroups", cgroups(engine.cgroupParent), running],
      ["volumes", volumes, used],
      [
        "volume directories",
        names(join(data, "volumes")).filter((name) => /^[0-9a-f]{64}$/.test(name)),
        used,
      ],
      ["graves", names(join(data, "reap")), []],
    ]
    for (const [what, there, accounted] of pairs) {
      if (there.join() !== accounted.join())
        return `${what}: there are ${there.join(" ")}, accounted for ${accounted.join(" ")}`
    }
    if (monitors(engine) !== running.length)
      return `${monitors(engine)} monitors for ${running.length} containers`
    const ports = bridgePorts(engine.bridge).length
    if (ports > running.length + pooled)
      return `${ports} links on the bridge for ${running.length} containers`
    return undefined
  }

  return {
    engine,
    async dieAt(step, act) {
      await engine.kill9()
      process.env.SLOOP_CRASH_AT = step
      try {
        await engine.start()
      } finally {
        delete process.env.SLOOP_CRASH_AT
      }
      const daemon = engine.pid()
      const acting = act()
      await eventually(
        `the daemon dies at ${step}`,
        () =>
          !existsSync(`/proc/${daemon}`) ||
          /^State:\s+Z/m.test(readFileSync(`/proc/${daemon}/status`, "utf8")),
      )
      await acting
      await engine.start()
    },
    async bystanderLives() {
      expect(await pidOf("bystander")).toBe(bystander)
      const lines = (await engine.ok("logs", "bystander")).split("\n")
      expect(lines).toEqual(lines.map((_, index) => String(index)))
    },
    async stateOf(name) {
      const { code, stdout } = await engine.docker("inspect", "-f", "{{.State.Status}}", name)
      return code === 0 ? stdout.trim() : ""
    },
    async expectWhole() {
      let last: string | undefined
      try {
        await eventually(
          "the world is whole",
          async () => {
            last = await disagreement()
            return last === undefined
          },
          8000,
        )
      } catch {
        throw new Error(`${last}\n${engine.daemonLog().split("\n").slice(-25).join("\n")}`)
      }
      const mounts = readFileSync("/proc/self/mountinfo", "utf8")
        .split("\n")
        .filter((line) => line.includes(`${engine.root}/`))
      expect(mounts.map((line) => basename(line.split(" ")[4] ?? ""))).toEqual([])
    },
  }
}
