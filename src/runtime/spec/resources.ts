// Limits of a container in the OCI's terms.
import { statSync } from "node:fs"
import { errorMessage, failure } from "../../base/errors.ts"
import type { BlockIo, LinuxResources, Throttle } from "../../oci/runtime-spec.ts"
import type { Resources } from "../../state/container.ts"
import { deviceNumbers } from "./devices.ts"
import type { With } from "./spec.ts"

const defaultPeriod = 100_000

export const withResources: With = (spec, { request }) => {
  spec.linux.resources = { ...limits(request.config.resources), devices: spec.linux.resources.devices }
}

const given = (value: number | undefined): number | undefined =>
  value === undefined || value === 0 ? undefined : value

/**
 * Asked-for limits without the unlimited ones; memory without a swap limit gets twice as much with swap.
 * Throws not-found for throttled devices that are missing.
 */
export function limits(resources: Resources): LinuxResources {
  const changed = changedLimits(resources)
  if (changed.memory?.limit !== undefined && changed.memory.limit > 0 && changed.memory.swap === undefined)
    changed.memory.swap = changed.memory.limit * 2
  if (changed.pids !== undefined && changed.pids.limit <= 0) delete changed.pids
  return changed
}

/** The limits that an update names, as they are. */
export function changedLimits(resources: Resources): LinuxResources {
  const result: LinuxResources = {}
  const memory = withoutUndefined({
    limit: given(resources.memory),
    reservation: given(resources.memoryReservation),
    swap: given(resources.memorySwap),
    swappiness: resources.memorySwappiness === -1 ? undefined : resources.memorySwappiness,
    disableOOMKiller: resources.oomKillDisable === true ? true : undefined,
  })
  if (Object.keys(memory).length > 0) result.memory = memory
  const cpu = withoutUndefined({
    shares: given(resources.cpuShares),
    ...quota(resources),
    realtimePeriod: given(resources.cpuRealtimePeriod),
    realtimeRuntime: given(resources.cpuRealtimeRuntime),
    cpus: resources.cpusetCpus || undefined,
    mems: resources.cpusetMems || undefined,
  })
  if (Object.keys(cpu).length > 0) result.cpu = cpu
  const pids = given(resources.pids)
  if (pids !== undefined) result.pids = { limit: pids }
  const blockIO = blockIo(resources)
  if (Object.keys(blockIO).length > 0) result.blockIO = blockIO
  return result
}

function quota(resources: Resources): { quota?: number; period?: number } {
  const nano = given(resources.nanoCpus)
  if (nano === undefined) return { quota: given(resources.cpuQuota), period: given(resources.cpuPeriod) }
  return { quota: Math.floor((nano * defaultPeriod) / 1e9), period: defaultPeriod }
}

function blockIo(resources: Resources): BlockIo {
  const weights = (resources.blkioWeightDevice ?? []).map(({ path, weight }) => ({
    ...numbersOf(path),
    weight,
  }))
  return withoutUndefined({
    weight: given(resources.blkioWeight),
    weightDevice: weights.length > 0 ? weights : undefined,
    throttleReadBpsDevice: throttles(resources.blkioReadBps),
    throttleWriteBpsDevice: throttles(resources.blkioWriteBps),
    throttleReadIOPSDevice: throttles(resources.blkioReadIops),
    throttleWriteIOPSDevice: throttles(resources.blkioWriteIops),
  })
}

const throttles = (asked: readonly { path: string; rate: number }[] | undefined): Throttle[] | undefined =>
  asked === undefined || asked.length === 0
    ? undefined
    : asked.map(({ path, rate }) => ({ ...numbersOf(path), rate }))

function numbersOf(path: string): { major: number; minor: number } {
  try {
    return deviceNumbers(statSync(path).rdev)
  } catch (error) {
    throw failure("invalid", `The device ${path} cannot be looked up: ${errorMessage(error)}`, {
      cause: error,
    })
  }
}

function withoutUndefined<T extends object>(value: T): T {
  for (const key of Object.keys(value) as (keyof T)[]) if (value[key] === undefined) delete value[key]
  return value
}
