// Names on a user-defined network: answers a second, and how long one takes when nothing else is asked, against dockerd's.
import { spawnSync } from "node:child_process"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { command } from "./harness/measure.ts"
import type { Peer } from "./harness/peers.ts"
import type { Bench } from "./harness/promise.ts"

/** Seconds of one measurement. */
const SECONDS = 3
/** Questions a second while nothing else is asked. */
const CALM = 200

const has = (name: string) => spawnSync("sh", ["-c", `command -v ${name}`]).status === 0

/** Answers a second, and each answer's time in milliseconds. */
interface Asked {
  readonly perSecond: number
  readonly times: readonly number[]
}

/** dnsperf in the network namespace of a peer's container, asking for a neighbour's name. */
function ask(place: string, questions: string, ...words: readonly string[]): Asked {
  const { stdout, stderr, status } = spawnSync(
    "nsenter",
    [`--net=${place}`, "dnsperf", "-s", "127.0.0.11", "-d", questions, "-l", String(SECONDS), ...words],
    { encoding: "utf8", maxBuffer: 1 << 28 },
  )
  if (status !== 0) throw new Error(`dnsperf failed: ${stderr}`)
  const completed = Number(/Queries completed:\s+(\d+)/.exec(stdout)?.[1] ?? 0)
  const seconds = Number(/Run time \(s\):\s+([\d.]+)/.exec(stdout)?.[1] ?? 1)
  const times = [...stdout.matchAll(/^> NOERROR \S+ \S+ ([\d.]+)$/gm)].map((match) => Number(match[1]) * 1000)
  return { perSecond: completed / seconds, times }
}

const NAMES = ["bench-dns-asker", "bench-dns-named"]
async function prepare(peer: Peer): Promise<string> {
  await command([...peer.client, "network", "create", "bench-dns"])
  for (const name of NAMES)
    await command([
      ...peer.client,
      "run",
      "-d",
      "--name",
      name,
      "--network",
      "bench-dns",
      "busybox",
      "sleep",
      "3600",
    ])
  const [program = "", ...words] = peer.client
  const { stdout } = spawnSync(program, [...words, "inspect", "-f", "{{.State.Pid}}", NAMES[0] ?? ""], {
    encoding: "utf8",
  })
  return `/proc/${stdout.trim()}/ns/net`
}
async function clear(peer: Peer): Promise<void> {
  await command([...peer.client, "rm", "-f", ...NAMES])
  await command([...peer.client, "network", "rm", "bench-dns"])
}

const percentile = (samples: readonly number[], part: number): number =>
  samples.toSorted((one, other) => one - other)[
    Math.min(samples.length - 1, Math.floor(samples.length * part))
  ] ?? 0

export const bench: Bench = {
  name: "dns",
  async run({ sloop, docker, rounds }) {
    if (!has("dnsperf") || !has("nsenter")) {
      console.log("dnsperf is not installed (Debian: dnsperf): names are not measured.")
      return []
    }
    const questions = join(sloop.directory, "questions")
    writeFileSync(questions, "bench-dns-named A\n")
    const peers = [sloop, ...(docker ? [docker] : [])]
    const rates: Record<string, number[]> = {}
    const times: Record<string, number[]> = {}
    const places = new Map<string, string>()
    for (const peer of peers) places.set(peer.name, await prepare(peer))
    for (let round = 0; round < Math.max(2, Math.round(rounds / 7)); round++)
      for (const { name } of peers) {
        const place = places.get(name) ?? ""
        rates[name] = [...(rates[name] ?? []), ask(place, questions, "-c", "4", "-q", "100").perSecond]
        times[name] = [
          ...(times[name] ?? []),
          ...ask(place, questions, "-c", "1", "-q", "1", "-v", "-Q", String(CALM)).times,
        ]
      }
    for (const peer of peers) await clear(peer)
    const figures = (of: Record<string, number[]>, part: number) =>
      Object.fromEntries(Object.entries(of).map(([name, samples]) => [name, percentile(samples, part)]))
    return [
      {
        promise: "names on a user-defined network, answers a second",
        measured: percentile(rates.sloop ?? [], 0.5),
        unit: "/s",
        limit: 20_000,
        better: "higher",
        figures: figures(rates, 0.5),
        raw: rates,
      },
      {
        promise: "a name on a user-defined network when little is asked, 99 of 100 answers",
        measured: percentile(times.sloop ?? [], 0.99),
        unit: "ms",
        limit: 1,
        better: "lower",
        figures: figures(times, 0.99),
        raw: times,
      },
    ]
  },
}
