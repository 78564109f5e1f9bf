// 200 MB through a container's standard output to the docker client, against dockerd; the daemon's memory stays flat.
import { readFileSync } from "node:fs"
import { alternate, command, median } from "./harness/measure.ts"
import type { Bench } from "./harness/promise.ts"

const produce = [
  "run",
  "--rm",
  "busybox",
  "sh",
  "-c",
  "yes 0123456789012345678901234567890123456789012345678901234567890123456789 | head -c 200000000",
]

export const bench: Bench = {
  name: "stdout",
  async run({ sloop, docker, rounds }) {
    const peers = [sloop, ...(docker ? [docker] : [])]
    const resident = () =>
      Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${sloop.pids()[0]}/status`, "utf8"))?.[1] ?? 0) /
      1024
    const before = resident()
    let peak = before
    const watch = setInterval(() => {
      peak = Math.max(peak, resident())
    }, 20)
    const raw = await alternate(
      Object.fromEntries(peers.map((peer) => [peer.name, () => command([...peer.client, ...produce])])),
      Math.max(2, Math.round(rounds / 5)),
    )
    clearInterval(watch)
    const figures: Record<string, number> = Object.fromEntries(
      Object.entries(raw).map(([name, samples]) => [name, median(samples)]),
    )
    figures["sloop memory before"] = before
    figures["sloop memory peak"] = peak
    return [
      {
        promise: "200 MB through stdout to the client: times faster than dockerd",
        measured: (figures.docker ?? 0) / (figures.sloop ?? 1),
        unit: "×",
        limit: 3,
        better: "higher",
        figures,
        raw,
      },
      {
        promise: "memory added at the peak while 200 MB pass",
        measured: peak - before,
        unit: "MB",
        limit: 60,
        better: "lower",
        figures,
        raw: {},
      },
    ]
  },
}
