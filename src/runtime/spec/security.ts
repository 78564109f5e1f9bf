// What is hidden, read-only or forbidden in a container.
import { existsSync } from "node:fs"
import { availableParallelism } from "node:os"
import type { ContainerConfig } from "../../state/container.ts"
import type { With } from "./spec.ts"

const defaultMaskedPaths: readonly string[] = [
  "/proc/asound",
  "/proc/acpi",
  "/proc/interrupts",
  "/proc/kcore",
  "/proc/keys",
  "/proc/latency_stats",
  "/proc/timer_list",
  "/proc/timer_stats",
  "/proc/sched_debug",
  "/proc/scsi",
  "/sys/firmware",
  "/sys/devices/virtual/powercap",
]

/** Thermal counters tell of other containers' load; each CPU of this host may have its own. */
const thermalPaths = (): readonly string[] => {
  const found: string[] = []
  for (let cpu = 0; cpu < availableParallelism(); cpu++) {
    const path = `/sys/devices/system/cpu/cpu${cpu}/thermal_throttle`
    if (existsSync(path)) found.push(path)
  }
  return found
}

let masked: readonly string[] | undefined

/** The default masks that apply on this host; CPUs do not change often enough to look again for each container. */
function hostMaskedPaths(): readonly string[] {
  masked ??= [...defaultMaskedPaths, ...thermalPaths()]
  return masked
}

const defaultReadonlyPaths: readonly string[] = [
  "/proc/bus",
  "/proc/fs",
  "/proc/irq",
  "/proc/sys",
  "/proc/sysrq-trigger",
]

const isExposed = (config: ContainerConfig): boolean =>
  config.privileged || config.securityOptions.some((option) => /^systempaths[=:]unconfined$/.test(option))

export const withSecurity: With = (spec, { request: { config }, capabilities, seccomp }) => {
  const exposed = isExposed(config)
  spec.linux.maskedPaths = config.maskedPaths ?? (exposed ? [] : hostMaskedPaths())
  spec.linux.readonlyPaths = config.readonlyPaths ?? (exposed ? [] : defaultReadonlyPaths)
  const filter = seccomp(capabilities)
  if (filter !== undefined) spec.linux.seccomp = filter
}
