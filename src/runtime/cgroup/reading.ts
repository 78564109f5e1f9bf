// Reads what a container uses, as Docker's statistics count it.
import { readFileSync } from "node:fs"
import { availableParallelism } from "node:os"
import type { Reading } from "../runtime.ts"
import { readCgroup, readNumber, readTable } from "./files.ts"
import type { CgroupLayout, Controller } from "./layout.ts"

type BlockIoEntry = Reading["blockIo"][number]

/** /proc counts in hundredths of a second on every Linux. */
const tick = 10_000_000

/** Total CPU time of the host over all cores, in nanoseconds: user, nice, system, idle, iowait, irq, softirq, steal. */
function hostCpu(): number {
  const line = /^cpu +(.+)$/m.exec(readFileSync("/proc/stat", "utf8"))?.[1] ?? ""
  return line
    .split(" ")
    .slice(0, 8)
    .reduce((sum, value) => sum + Number(value) * tick, 0)
}

const finite = (value: number): number => (Number.isFinite(value) ? value : 0)

/** One reading. Files that are missing count as zero; `memoryLimit` and `pidsLimit` are 0 when unlimited. */
export function readUsage(layout: CgroupLayout): Reading {
  const common = { readAt: Date.now(), hostCpuTotal: hostCpu(), onlineCpus: availableParallelism() }
  return layout.unified === undefined
    ? { ...common, ...readHierarchies(layout) }
    : { ...common, ...readUnified(layout.unified) }
}

type Usage = Omit<Reading, "readAt" | "hostCpuTotal" | "onlineCpus">

/** A v1 limit beyond this means none: the kernel rounds the largest number down to a page. */
const noLimit = 2 ** 62

function readHierarchies(layout: CgroupLayout): Usage {
  const file = (controller: Controller, name: string): string =>
    `${layout.directories.get(controller) ?? "/nonexistent"}/${name}`
  const throttled = readTable(file("cpu", "cpu.stat"))
  const modes = readTable(file("cpuacct", "cpuacct.stat"))
  const limit = readNumber(file("memory", "memory.limit_in_bytes"))
  const usage = readNumber(file("memory", "memory.usage_in_bytes"))
  return {
    cpuTotal: readNumber(file("cpuacct", "cpuacct.usage")),
    cpuUser: (modes.get("user") ?? 0) * tick,
    cpuSystem: (modes.get("system") ?? 0) * tick,
    cpuPerCore: (readCgroup(file("cpuacct", "cpuacct.usage_percpu"))?.trim().split(" ") ?? []).map(Number),
    cpuPeriods: throttled.get("nr_periods") ?? 0,
    cpuThrottledPeriods: throttled.get("nr_throttled") ?? 0,
    cpuThrottledTime: throttled.get("throttled_time") ?? 0,
    memoryUsage: usage,
    memoryMaxUsage: readNumber(file("memory", "memory.max_usage_in_bytes")),
    memoryLimit: limit >= noLimit ? 0 : limit,
    memoryFailures: readNumber(file("memory", "memory.failcnt")),
    memoryDetail: Object.fromEntries(readTable(file("memory", "memory.stat"))),
    pids: readNumber(file("pids", "pids.current")),
    pidsLimit: finite(readNumber(file("pids", "pids.max"))),
    blockIo: mergeBlockIo(
      readCgroup(file("blkio", "blkio.throttle.io_service_bytes_recursive")),
      readCgroup(file("blkio", "blkio.throttle.io_serviced_recursive")),
    ),
  }
}

/** Lines "8:0 Read 4096" of bytes and of counts, side by side. */
function mergeBlockIo(bytes: string | undefined, counts: string | undefined): BlockIoEntry[] {
  const parse = (text: string | undefined): Map<string, number> => {
    const values = new Map<string, number>()
    for (const [, key = "", value] of (text ?? "").matchAll(/^(\d+:\d+ \w+) (\d+)$/gm))
      values.set(key, Number(value))
    return values
  }
  const operations = parse(counts)
  return [...parse(bytes)].map(([key, value]) => {
    const [numbers = "", operation = ""] = key.split(" ")
    const [major = 0, minor = 0] = numbers.split(":").map(Number)
    return { major, minor, operation, bytes: value, operations: operations.get(key) ?? 0 }
  })
}

function readUnified(directory: string): Usage {
  const cpu = readTable(`${directory}/cpu.stat`)
  const microseconds = (key: string): number => (cpu.get(key) ?? 0) * 1000
  const events = readTable(`${directory}/memory.events`)
  const usage = readNumber(`${directory}/memory.current`)
  return {
    cpuTotal: microseconds("usage_usec"),
    cpuUser: microseconds("user_usec"),
    cpuSystem: microseconds("system_usec"),
    cpuPerCore: [],
    cpuPeriods: cpu.get("nr_periods") ?? 0,
    cpuThrottledPeriods: cpu.get("nr_throttled") ?? 0,
    cpuThrottledTime: microseconds("throttled_usec"),
    memoryUsage: usage,
    memoryMaxUsage: readNumber(`${directory}/memory.peak`),
    memoryLimit: finite(readNumber(`${directory}/memory.max`)),
    memoryFailures: events.get("max") ?? 0,
    memoryDetail: Object.fromEntries(readTable(`${directory}/memory.stat`)),
    pids: readNumber(`${directory}/pids.current`),
    pidsLimit: finite(readNumber(`${directory}/pids.max`)),
    blockIo: parseIoStat(readCgroup(`${directory}/io.stat`) ?? ""),
  }
}

/** Lines "8:0 rbytes=1 wbytes=2 rios=3 wios=4 …". */
export function parseIoStat(text: string): BlockIoEntry[] {
  const entries: BlockIoEntry[] = []
  for (const line of text.split("\n")) {
    const [numbers = "", ...fields] = line.split(" ")
    if (!/^\d+:\d+$/.test(numbers)) continue
    const [major = 0, minor = 0] = numbers.split(":").map(Number)
    const values = new Map(fields.map((field) => [field.split("=")[0], Number(field.split("=")[1])]))
    const entry = (operation: string, letter: string): BlockIoEntry => ({
      major,
      minor,
      operation,
      bytes: values.get(`${letter}bytes`) ?? 0,
      operations: values.get(`${letter}ios`) ?? 0,
    })
    entries.push(entry("Read", "r"), entry("Write", "w"))
  }
  return entries
}
