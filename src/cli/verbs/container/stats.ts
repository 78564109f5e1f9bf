// sloop stats

import type { Parsed } from "../../flags.ts"
import { printList, type Row, templateFlag } from "../../format/list.ts"
import { binarySize, humanSize, shortId } from "../../format/units.ts"
import type { Context, Verb } from "../../verb.ts"

interface Cpu {
  cpu_usage: { total_usage: number }
  system_cpu_usage?: number
  online_cpus?: number
}

/** What the API measures of a container. */
export interface Reading {
  id: string
  name: string
  cpu_stats: Cpu
  precpu_stats: Cpu
  memory_stats: { usage?: number; limit?: number; stats?: Record<string, number> }
  pids_stats: { current?: number }
  networks?: Record<string, { rx_bytes: number; tx_bytes: number }>
  blkio_stats: { io_service_bytes_recursive?: { op: string; value: number }[] | null }
}

function cpuPercent({ cpu_stats: now, precpu_stats: before }: Reading): number {
  const used = now.cpu_usage.total_usage - (before.cpu_usage?.total_usage ?? 0)
  const passed = (now.system_cpu_usage ?? 0) - (before.system_cpu_usage ?? 0)
  return passed > 0 && used > 0 ? (used / passed) * (now.online_cpus ?? 1) * 100 : 0
}

/** Its columns, as `stats` shows them. */
export function readingRow(name: string, reading: Reading, noTrunc: boolean): Row {
  const { usage = 0, limit = 0, stats = {} } = reading.memory_stats
  const cache = stats.total_inactive_file ?? stats.inactive_file ?? 0
  const memory = usage > cache ? usage - cache : usage
  const networks = Object.values(reading.networks ?? {})
  const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0)
  const io = (operation: string) =>
    sum(
      (reading.blkio_stats.io_service_bytes_recursive ?? [])
        .filter(({ op }) => op.toLowerCase() === operation)
        .map(({ value }) => value),
    )
  const ID = noTrunc ? reading.id : shortId(reading.id)
  const Name = reading.name.replace(/^\//, "")
  return {
    ID,
    Container: name,
    Name,
    CPUPerc: `${cpuPercent(reading).toFixed(2)}%`,
    MemUsage: `${binarySize(memory)} / ${binarySize(limit)}`,
    MemPerc: `${(limit > 0 ? (memory / limit) * 100 : 0).toFixed(2)}%`,
    NetIO: `${humanSize(sum(networks.map(({ rx_bytes }) => rx_bytes)), 3)} / ${humanSize(sum(networks.map(({ tx_bytes }) => tx_bytes)), 3)}`,
    BlockIO: `${humanSize(io("read"), 3)} / ${humanSize(io("write"), 3)}`,
    PIDs: String(reading.pids_stats.current ?? 0),
  }
}

const headings = {
  ID: "CONTAINER ID",
  Container: "CONTAINER",
  Name: "NAME",
  CPUPerc: "CPU %",
  MemUsage: "MEM USAGE / LIMIT",
  MemPerc: "MEM %",
  NetIO: "NET I/O",
  BlockIO: "BLOCK I/O",
  PIDs: "PIDS",
}
const columns = ["ID", "Name", "CPUPerc", "MemUsage", "MemPerc", "NetIO", "BlockIO", "PIDs"]

async function readAll(context: Context, parsed: Parsed): Promise<Row[]> {
  let names: readonly string[] = parsed.arguments
  if (names.length === 0) {
    const all = await context.client.json<{ Id: string }[]>("GET", "/containers/json", {
      query: { all: parsed.bool("all") },
    })
    names = all.map(({ Id }) => Id)
  }
  const path = (name: string) => `/containers/${encodeURIComponent(name)}/stats`
  const readings = await Promise.all(
    names.map((name) => context.client.json<Reading>("GET", path(name), { query: { stream: false } })),
  )
  const shown = (name: string) =>
    parsed.arguments.length > 0 || parsed.bool("no-trunc") ? name : shortId(name)
  return readings.map((reading, index) =>
    readingRow(shown(names[index] ?? ""), reading, parsed.bool("no-trunc")),
  )
}

export const verb: Verb = {
  usage: "[OPTIONS] [CONTAINER...]",
  summary: "Display a live stream of container(s) resource usage statistics",
  flags: [
    { name: "all", short: "a", kind: "bool", summary: "Show all containers (default shows just running)" },
    templateFlag,
    { name: "no-stream", kind: "bool", summary: "Disable streaming stats and only pull the first result" },
    { name: "no-trunc", kind: "bool", summary: "Do not truncate output" },
  ],
  interspersed: true,
  least: 0,
  most: Number.POSITIVE_INFINITY,
  async run(context, parsed) {
    for (;;) {
      const rows = await readAll(context, parsed)
      // Home and clear only on a terminal: a file gets one table after the other.
      if (!parsed.bool("no-stream") && context.out.isTTY) context.out.write("\u001b[H\u001b[J")
      printList(context, { columns, headings }, rows, {
        whole: parsed.bool("no-trunc"),
        format: parsed.string("format"),
      })
      if (parsed.bool("no-stream")) return 0
    }
  },
}
