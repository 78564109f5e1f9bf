// Limits as files and values of cgroup v1 and v2: pure, in the order in which they must be written.
import type { BlockIo, LinuxResources, Throttle } from "../../oci/runtime-spec.ts"
import type { CgroupLayout, Controller } from "./layout.ts"

/** One value for one cgroup file. `optional`: a kernel without the file or the value may refuse it. */
export interface CgroupWrite {
  readonly file: string
  readonly value: string
  readonly optional: boolean
}

type Write = readonly [controller: Controller, file: string, value: string, optional?: "optional"]

/** Every write that the limits take, in order. Devices are not limits; see devices.ts. */
export function limitWrites(layout: CgroupLayout, resources: LinuxResources): CgroupWrite[] {
  if (layout.unified !== undefined) {
    const directory = layout.unified
    return [...unifiedWrites(resources)].map(([file, value, optional]) => ({
      file: `${directory}/${file}`,
      value,
      optional: optional !== undefined,
    }))
  }
  const writes: CgroupWrite[] = []
  for (const [controller, file, value, optional] of hierarchyWrites(resources)) {
    const directory = layout.directories.get(controller)
    if (directory !== undefined)
      writes.push({ file: `${directory}/${file}`, value, optional: optional !== undefined })
  }
  return writes
}

const throttleFiles = [
  ["throttleReadBpsDevice", "blkio.throttle.read_bps_device", "rbps"],
  ["throttleWriteBpsDevice", "blkio.throttle.write_bps_device", "wbps"],
  ["throttleReadIOPSDevice", "blkio.throttle.read_iops_device", "riops"],
  ["throttleWriteIOPSDevice", "blkio.throttle.write_iops_device", "wiops"],
] as const satisfies readonly (readonly [keyof BlockIo, string, string])[]

function* hierarchyWrites(resources: LinuxResources): Generator<Write> {
  const { memory, cpu, pids, blockIO } = resources
  if (memory?.limit !== undefined) yield ["memory", "memory.limit_in_bytes", String(memory.limit)]
  if (memory?.swap !== undefined)
    yield ["memory", "memory.memsw.limit_in_bytes", String(memory.swap), "optional"]
  if (memory?.reservation !== undefined)
    yield ["memory", "memory.soft_limit_in_bytes", String(memory.reservation)]
  if (memory?.swappiness !== undefined)
    yield ["memory", "memory.swappiness", String(memory.swappiness), "optional"]
  if (memory?.disableOOMKiller === true) yield ["memory", "memory.oom_control", "1", "optional"]
  if (cpu?.shares !== undefined) yield ["cpu", "cpu.shares", String(cpu.shares)]
  if (cpu?.period !== undefined) yield ["cpu", "cpu.cfs_period_us", String(cpu.period)]
  if (cpu?.quota !== undefined) yield ["cpu", "cpu.cfs_quota_us", String(cpu.quota)]
  if (cpu?.realtimePeriod !== undefined) yield ["cpu", "cpu.rt_period_us", String(cpu.realtimePeriod)]
  if (cpu?.realtimeRuntime !== undefined) yield ["cpu", "cpu.rt_runtime_us", String(cpu.realtimeRuntime)]
  if (cpu?.cpus !== undefined) yield ["cpuset", "cpuset.cpus", cpu.cpus]
  if (cpu?.mems !== undefined) yield ["cpuset", "cpuset.mems", cpu.mems]
  if (pids !== undefined) yield ["pids", "pids.max", pids.limit > 0 ? String(pids.limit) : "max"]
  if (blockIO === undefined) return
  if (blockIO.weight !== undefined) {
    yield ["blkio", "blkio.weight", String(blockIO.weight), "optional"]
    yield ["blkio", "blkio.bfq.weight", String(blockIO.weight), "optional"]
  }
  for (const { major, minor, weight } of blockIO.weightDevice ?? [])
    yield ["blkio", "blkio.weight_device", `${major}:${minor} ${weight}`, "optional"]
  for (const [field, file] of throttleFiles)
    for (const { major, minor, rate } of blockIO[field] ?? [])
      yield ["blkio", file, `${major}:${minor} ${rate}`]
}

type UnifiedWrite = readonly [file: string, value: string, optional?: "optional"]

function* unifiedWrites(resources: LinuxResources): Generator<UnifiedWrite> {
  const { memory, cpu, pids, blockIO } = resources
  if (memory?.limit !== undefined) yield ["memory.max", unlimited(memory.limit)]
  if (memory?.swap !== undefined) yield ["memory.swap.max", swapOnly(memory.limit, memory.swap), "optional"]
  if (memory?.reservation !== undefined) yield ["memory.low", unlimited(memory.reservation)]
  if (cpu?.shares !== undefined) yield ["cpu.weight", String(weightOfShares(cpu.shares))]
  if (cpu?.quota !== undefined || cpu?.period !== undefined) yield ["cpu.max", cpuMax(cpu.quota, cpu.period)]
  if (cpu?.cpus !== undefined) yield ["cpuset.cpus", cpu.cpus]
  if (cpu?.mems !== undefined) yield ["cpuset.mems", cpu.mems]
  if (pids !== undefined) yield ["pids.max", pids.limit > 0 ? String(pids.limit) : "max"]
  if (blockIO === undefined) return
  if (blockIO.weight !== undefined) {
    yield ["io.bfq.weight", String(blockIO.weight), "optional"]
    yield ["io.weight", `default ${ioWeight(blockIO.weight)}`, "optional"]
  }
  for (const { major, minor, weight } of blockIO.weightDevice ?? [])
    yield ["io.bfq.weight", `${major}:${minor} ${weight}`, "optional"]
  for (const [field, , key] of throttleFiles)
    for (const { major, minor, rate } of throttles(blockIO[field]))
      yield ["io.max", `${major}:${minor} ${key}=${rate === 0 ? "max" : rate}`]
}

const throttles = (list: readonly Throttle[] | undefined): readonly Throttle[] => list ?? []

const unlimited = (value: number): string => (value < 0 ? "max" : String(value))

/** v2 counts swap alone, Docker memory and swap together. */
function swapOnly(limit: number | undefined, swap: number): string {
  if (swap < 0) return "max"
  return String(Math.max(0, swap - (limit ?? 0)))
}

const cpuMax = (quota: number | undefined, period: number | undefined): string =>
  `${quota === undefined || quota <= 0 ? "max" : quota} ${period ?? 100_000}`

/** cpu.shares 2..262144 onto cpu.weight 1..10000, linearly as the OCI runtimes do. */
export const weightOfShares = (shares: number): number =>
  shares === 0 ? 100 : 1 + Math.floor(((Math.min(Math.max(shares, 2), 262_144) - 2) * 9999) / 262_142)

/** blkio.weight 10..1000 onto io.weight 1..10000. */
export const ioWeight = (weight: number): number => 1 + Math.floor(((weight - 10) * 9999) / 990)
