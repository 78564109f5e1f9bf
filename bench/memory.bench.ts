// Memory: the idle engine, and what each running container adds (proportional set size of daemon, launcher, monitors).
import { readdirSync, readFileSync } from "node:fs"
import { command, together } from "./harness/measure.ts"
import type { Peer } from "./harness/peers.ts"
import type { Bench } from "./harness/promise.ts"

const field = (pid: number, file: string, name: string): number => {
  try {
    return (
      Number(
        new RegExp(`^${name}:\\s+(\\d+)`, "m").exec(readFileSync(`/proc/${pid}/${file}`, "utf8"))?.[1] ?? 0,
      ) / 1024
    )
  } catch {
    return 0
  }
}

/** Pids of an engine: its own and every descendant's monitor or shim, without the containers' own processes. */
function enginePids(peer: Peer): number[] {
  const own = new Set(peer.pids())
  for (const name of readdirSync("/proc").filter((entry) => /^\d+$/.test(entry))) {
    try {
      const comm = readFileSync(`/proc/${name}/comm`, "utf8").trim()
      const line = readFileSync(`/proc/${name}/cmdline`, "utf8")
      if (
        /^sloop-monitor|containerd-shim/.test(comm) ||
        (peer.name === "docker" && /docker-proxy/.test(line))
      )
        own.add(Number(name))
    } catch {
      // It ended while we looked.
    }
  }
  return [...own]
}

const megabytes = (peer: Peer) =>
  enginePids(peer).reduce((sum, pid) => sum + field(pid, "smaps_rollup", "Pss"), 0)
const settle = (milliseconds = 3000) => new Promise((resolve) => setTimeout(resolve, milliseconds))
/** After so long without a request the daemon gives back what a burst left behind. */
const IDLE = 35_000

export const bench: Bench = {
  name: "memory",
  async run({ sloop, docker }) {
    await settle(IDLE)
    const resident = field(sloop.pids()[0] ?? 0, "status", "VmRSS")
    const figures: Record<string, number> = { "sloop daemon resident": resident }
    const added: Record<string, number> = {}
    for (const peer of [sloop, ...(docker ? [docker] : [])]) {
      const idle = megabytes(peer)
      await together(30, 4, (index) =>
        command([...peer.client, "run", "-d", "--name", `memory-${index}`, "busybox", "sleep", "3600"]),
      )
      await settle()
      added[peer.name] = (megabytes(peer) - idle) / 30
      figures[`${peer.name} idle`] = idle
      figures[`${peer.name} per container`] = added[peer.name] ?? 0
      await command([
        ...peer.client,
        "rm",
        "-f",
        ...Array.from({ length: 30 }, (_, index) => `memory-${index}`),
      ])
    }
    await settle(IDLE)
    const afterLoad = field(sloop.pids()[0] ?? 0, "status", "VmRSS")
    figures["sloop daemon resident, idle after load"] = afterLoad
    return [
      {
        promise: "idle daemon after load, resident",
        measured: afterLoad,
        unit: "MB",
        limit: 70,
        better: "lower",
        figures,
        raw: {},
      },
      {
        promise: "idle daemon, resident",
        measured: resident,
        unit: "MB",
        limit: 70,
        better: "lower",
        figures,
        raw: {},
      },
      {
        promise: "each running container adds",
        measured: added.sloop ?? 0,
        unit: "MB",
        limit: 1,
        better: "lower",
        figures,
        raw: {},
      },
    ]
  },
}
