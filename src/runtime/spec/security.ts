// What is hidden, read-only or forbidden in a container.
import type { ContainerConfig } from "../../state/container.ts"
import type { With } from "./spec.ts"

export const defaultMaskedPaths: readonly string[] = [
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

export const defaultReadonlyPaths: readonly string[] = [
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
  spec.linux.maskedPaths = config.maskedPaths ?? (exposed ? [] : defaultMaskedPaths)
  spec.linux.readonlyPaths = config.readonlyPaths ?? (exposed ? [] : defaultReadonlyPaths)
  const filter = seccomp(capabilities)
  if (filter !== undefined) spec.linux.seccomp = filter
}
