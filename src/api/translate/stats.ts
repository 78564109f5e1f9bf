// Readings of a container's cgroups as GET /containers/{id}/stats shows them.
import { totalmem } from "node:os"
import type { StatsReading } from "../../engine/engine.ts"
import type { BlkioEntryView, CpuStatsView, StatsView } from "../../wire/wire.ts"
import { rfc3339, ZERO_TIME } from "./times.ts"

const NO_CPU: CpuStatsView = {
  cpu_usage: { total_usage: 0, usage_in_kernelmode: 0, usage_in_usermode: 0 },
  throttling_data: { periods: 0, throttled_periods: 0, throttled_time: 0 },
}

/** `reading` undefined = the container does not run: everything is zero, as Docker answers. */
export function statsView(
  container: { readonly id: string; readonly name: string },
  reading: StatsReading | undefined,
  previous: StatsReading | undefined,
): StatsView {
  return {
    name: `/${container.name}`,
    id: container.id,
    read: reading === undefined ? ZERO_TIME : rfc3339(reading.readAt),
    preread: previous === undefined ? ZERO_TIME : rfc3339(previous.readAt),
    pids_stats: reading === undefined ? {} : pids(reading),
    blkio_stats: {
      io_service_bytes_recursive: reading === undefined ? null : blockIo(reading, "bytes"),
      io_serviced_recursive: reading === undefined ? null : blockIo(reading, "operations"),
      io_queue_recursive: null,
      io_service_time_recursive: null,
      io_wait_time_recursive: null,
      io_merged_recursive: null,
      io_time_recursive: null,
      sectors_recursive: null,
    },
    num_procs: 0,
    storage_stats: {},
    cpu_stats: reading === undefined ? NO_CPU : cpu(reading),
    precpu_stats: previous === undefined ? NO_CPU : cpu(previous),
    memory_stats: reading === undefined ? {} : memory(reading),
    ...(reading === undefined || reading.networks.length === 0 ? {} : { networks: networks(reading) }),
  }
}

function pids({ pids, pidsLimit }: StatsReading) {
  // Unlimited is 2^64-1 in Docker, which no double holds: left out, as Docker does with zero.
  return { current: pids, ...(pidsLimit > 0 ? { limit: pidsLimit } : {}) }
}

function cpu(reading: StatsReading): CpuStatsView {
  return {
    cpu_usage: {
      total_usage: Math.round(reading.cpuTotal),
      ...(reading.cpuPerCore.length > 0 ? { percpu_usage: reading.cpuPerCore.map(Math.round) } : {}),
      usage_in_kernelmode: Math.round(reading.cpuSystem),
      usage_in_usermode: Math.round(reading.cpuUser),
    },
    system_cpu_usage: Math.round(reading.hostCpuTotal),
    online_cpus: reading.onlineCpus,
    throttling_data: {
      periods: Math.round(reading.cpuPeriods),
      throttled_periods: Math.round(reading.cpuThrottledPeriods),
      throttled_time: Math.round(reading.cpuThrottledTime),
    },
  }
}

function memory(reading: StatsReading): StatsView["memory_stats"] {
  return {
    usage: reading.memoryUsage,
    ...(reading.memoryMaxUsage > 0 ? { max_usage: reading.memoryMaxUsage } : {}),
    stats: { ...reading.memoryDetail },
    ...(reading.memoryFailures > 0 ? { failcnt: reading.memoryFailures } : {}),
    limit: reading.memoryLimit > 0 ? Math.min(reading.memoryLimit, totalmem()) : totalmem(),
  }
}

const blockIo = (reading: StatsReading, field: "bytes" | "operations"): BlkioEntryView[] =>
  reading.blockIo.map((entry) => ({
    major: entry.major,
    minor: entry.minor,
    op: entry.operation,
    value: entry[field],
  }))

const networks = (reading: StatsReading): NonNullable<StatsView["networks"]> =>
  Object.fromEntries(
    reading.networks.map((counters) => [
      counters.name,
      {
        rx_bytes: counters.rxBytes,
        rx_packets: counters.rxPackets,
        rx_errors: counters.rxErrors,
        rx_dropped: counters.rxDropped,
        tx_bytes: counters.txBytes,
        tx_packets: counters.txPackets,
        tx_errors: counters.txErrors,
        tx_dropped: counters.txDropped,
      },
    ]),
  )
