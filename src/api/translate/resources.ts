// Limits between Docker's HostConfig and the domain.
import { failure } from "../../base/errors.ts"
import type { Resources, RestartPolicy } from "../../state/state.ts"
import type { WireResources } from "../../wire/wire.ts"
import { present } from "./present.ts"

/** The limits that a create or update request names; those not named are absent. Throws invalid in Docker's words. */
export function resources(wire: WireResources): Resources {
  const [gpu] = wire.DeviceRequests
  if (gpu !== undefined) {
    const capabilities = `[${gpu.Capabilities.map((set) => `[${set.join(" ")}]`).join(" ")}]`
    throw failure(
      "not-implemented",
      `could not select device driver "${gpu.Driver}" with capabilities: ${capabilities}: this engine gives out devices by path only, use --device`,
    )
  }
  for (const { PathOnHost, CgroupPermissions } of wire.Devices) {
    if (!PathOnHost.startsWith("/"))
      throw failure("invalid", `invalid device path: ${JSON.stringify(PathOnHost)}`)
    if (!/^[rwm]*$/.test(CgroupPermissions)) {
      throw failure("invalid", `invalid device mode: ${CgroupPermissions}`)
    }
  }
  if (wire.NanoCpus && (wire.CpuPeriod || wire.CpuQuota)) {
    throw failure(
      "invalid",
      `Conflicting options: Nano CPUs and CPU ${wire.CpuPeriod ? "Period" : "Quota"} cannot both be set.`,
    )
  }
  return present<Resources>({
    memory: wire.Memory || undefined,
    memoryReservation: wire.MemoryReservation || undefined,
    memorySwap: wire.MemorySwap || undefined,
    memorySwappiness: wire.MemorySwappiness === -1 ? undefined : wire.MemorySwappiness,
    kernelMemory: wire.KernelMemory || undefined,
    oomKillDisable: wire.OomKillDisable,
    cpuShares: wire.CpuShares || undefined,
    cpuPeriod: wire.CpuPeriod || undefined,
    cpuQuota: wire.CpuQuota || undefined,
    nanoCpus: wire.NanoCpus || undefined,
    cpusetCpus: wire.CpusetCpus || undefined,
    cpusetMems: wire.CpusetMems || undefined,
    cpuRealtimePeriod: wire.CpuRealtimePeriod || undefined,
    cpuRealtimeRuntime: wire.CpuRealtimeRuntime || undefined,
    pids: wire.PidsLimit === 0 || wire.PidsLimit === -1 ? 0 : wire.PidsLimit,
    blkioWeight: wire.BlkioWeight || undefined,
    blkioWeightDevice: filled(
      wire.BlkioWeightDevice.map(({ Path, Weight }) => ({ path: Path, weight: Weight })),
    ),
    blkioReadBps: throttle(wire.BlkioDeviceReadBps),
    blkioWriteBps: throttle(wire.BlkioDeviceWriteBps),
    blkioReadIops: throttle(wire.BlkioDeviceReadIOps),
    blkioWriteIops: throttle(wire.BlkioDeviceWriteIOps),
    devices: filled(
      wire.Devices.map(({ PathOnHost, PathInContainer, CgroupPermissions }) => ({
        hostPath: PathOnHost,
        containerPath: PathInContainer || PathOnHost,
        access: CgroupPermissions || "rwm",
      })),
    ),
    deviceCgroupRules: filled(wire.DeviceCgroupRules.map(requireDeviceRule)),
    ulimits: filled(wire.Ulimits.map(({ Name, Soft, Hard }) => ulimit(Name, Soft, Hard))),
    cgroupParent: wire.CgroupParent || undefined,
  })
}

function ulimit(name: string, soft: number, hard: number) {
  if (!/^[a-z]+$/.test(name)) throw failure("invalid", `invalid ulimit type: ${name}`)
  if (hard !== -1 && (soft > hard || soft === -1)) {
    throw failure("invalid", `ulimit soft limit must be less than or equal to hard limit: ${soft} > ${hard}`)
  }
  return { name, soft, hard }
}

function requireDeviceRule(rule: string): string {
  if (/^[acb] ([0-9]+|\*):([0-9]+|\*) [rwm]{1,3}$/.test(rule)) return rule
  throw failure("invalid", `invalid device cgroup rule format: '${rule}'`)
}

const throttle = (list: readonly { Path: string; Rate: number }[]) =>
  filled(list.map(({ Path, Rate }) => ({ path: Path, rate: Rate })))

const filled = <T>(list: readonly T[]): readonly T[] | undefined => (list.length > 0 ? list : undefined)

const RESTART_NAMES = ["no", "always", "unless-stopped", "on-failure"] as const

/** undefined when none is named. */
export function restartPolicy(
  wire: { Name: string; MaximumRetryCount: number } | undefined,
): RestartPolicy | undefined {
  if (wire === undefined) return undefined
  if (wire.Name === "") {
    if (wire.MaximumRetryCount === 0) return undefined
    throw failure("invalid", "invalid restart policy: maximum retry count can only be used with 'on-failure'")
  }
  const name = RESTART_NAMES.find((known) => known === wire.Name)
  if (name === undefined) {
    throw failure(
      "invalid",
      `invalid restart policy: unknown policy '${wire.Name}'; use one of 'no', 'always', 'on-failure', or 'unless-stopped'`,
    )
  }
  if (wire.MaximumRetryCount !== 0 && name !== "on-failure") {
    throw failure("invalid", "invalid restart policy: maximum retry count can only be used with 'on-failure'")
  }
  if (wire.MaximumRetryCount < 0) {
    throw failure("invalid", "invalid restart policy: maximum retry count cannot be negative")
  }
  return { name, maximumRetries: wire.MaximumRetryCount }
}
