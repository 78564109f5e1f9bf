// Refuses what this machine cannot do and warns, in Docker's words, of what it does differently.
import { existsSync } from "node:fs"
import { availableParallelism } from "node:os"
import { failure } from "../base/errors.ts"
import type { KernelFeatures } from "../kernel/kernel.ts"
import type { ContainerConfig, Resources } from "../state/container.ts"
import { capabilityMask, containerCapabilities } from "./capabilities.ts"
import { parseDeviceRule } from "./cgroup/devices.ts"
import { readCgroup } from "./cgroup/files.ts"
import { cgroupPath } from "./cgroup/layout.ts"
import type { SeccompChoice } from "./seccomp/choice.ts"
import { filterProgram } from "./seccomp/filter.ts"
import { requestedDevices } from "./spec/devices.ts"
import { checkSysctl } from "./spec/sysctls.ts"

const invalid = (message: string): never => {
  throw failure("invalid", message)
}

/** Warnings about a config. Throws invalid for what cannot be done, not-found for missing devices. */
export function validateConfig(
  config: ContainerConfig,
  features: KernelFeatures,
  seccomp: SeccompChoice,
): string[] {
  checkSecurityOptions(config)
  const capabilities = containerCapabilities(config, features.capabilities)
  const filter = seccomp(config, features.kernelVersion)(capabilities)
  if (filter !== undefined) filterProgram(filter)
  for (const name of Object.keys(config.sysctls)) checkSysctl(name, config)
  if (config.resources.cgroupParent) cgroupPath(config.resources.cgroupParent, "")
  for (const device of config.resources.devices ?? []) checkDevice(device)
  for (const rule of config.resources.deviceCgroupRules ?? []) parseDeviceRule(rule)
  checkUlimits(config.resources, features)
  if (config.oomScoreAdjust < -1000 || config.oomScoreAdjust > 1000)
    invalid(`Invalid value ${config.oomScoreAdjust}, range for oom score adj is [-1000, 1000]`)
  if (config.shmSize < 0) invalid("SHM size can not be less than 0")
  return validateResources(config.resources, features, "create")
}

function checkDevice(device: { hostPath: string; containerPath: string; access: string }): void {
  if (!/^[rwm]{1,3}$/.test(device.access)) invalid(`invalid device mode: ${device.access}`)
  requestedDevices(device)
}

function checkSecurityOptions(config: ContainerConfig): void {
  for (const option of config.securityOptions) {
    const [name = "", value] = option.split(/[=:](.*)/s)
    switch (name) {
      case "seccomp":
      case "label":
        break
      case "no-new-privileges":
      case "writable-cgroups":
        if (value !== undefined && value !== "true" && value !== "false")
          invalid(`invalid --security-opt 2: "${option}"`)
        break
      case "apparmor":
        if (
          value !== "unconfined" &&
          value !== undefined &&
          value !== "" &&
          !existsSync("/sys/kernel/security/apparmor")
        )
          invalid(`AppArmor is not available on this machine, so the profile "${value}" cannot be used`)
        break
      case "systempaths":
        if (value !== "unconfined") invalid(`invalid --security-opt 2: "${option}"`)
        break
      default:
        invalid(`invalid --security-opt 2: "${option}"`)
    }
  }
}

const ulimitNames = new Set([
  "as",
  "core",
  "cpu",
  "data",
  "fsize",
  "locks",
  "memlock",
  "msgqueue",
  "nice",
  "nofile",
  "nproc",
  "rss",
  "rtprio",
  "rttime",
  "sigpending",
  "stack",
])

/** Lines of /proc/self/limits by the names of ulimits. */
const limitLines: Readonly<Record<string, string>> = {
  as: "Max address space",
  core: "Max core file size",
  cpu: "Max cpu time",
  data: "Max data size",
  fsize: "Max file size",
  locks: "Max file locks",
  memlock: "Max locked memory",
  msgqueue: "Max msgqueue size",
  nice: "Max nice priority",
  nofile: "Max open files",
  nproc: "Max processes",
  rss: "Max resident set",
  rtprio: "Max realtime priority",
  rttime: "Max realtime timeout",
  sigpending: "Max pending signals",
  stack: "Max stack size",
}

function checkUlimits(resources: Resources, features: KernelFeatures): void {
  if ((resources.ulimits ?? []).length === 0) return
  const mayRaise = (features.capabilities & capabilityMask(["CAP_SYS_RESOURCE"])) !== 0n
  const own = mayRaise ? "" : (readCgroup("/proc/self/limits") ?? "")
  for (const { name, soft, hard } of resources.ulimits ?? []) {
    if (!ulimitNames.has(name)) invalid(`invalid ulimit type: ${name}`)
    if (hard >= 0 && (soft > hard || soft < 0))
      invalid(
        `ulimit soft limit must be less than or equal to hard limit: ${soft < 0 ? "unlimited" : soft} > ${hard}`,
      )
    if (mayRaise) continue
    const line = own.split("\n").find((text) => text.startsWith(limitLines[name] ?? name))
    const limit = line?.slice(47, 68).trim() ?? "unlimited"
    if (limit === "unlimited" || (hard >= 0 && hard <= Number(limit))) continue
    invalid(
      `ulimit ${name}=${soft}:${hard} is above this engine's hard limit of ${limit}, and it lacks CAP_SYS_RESOURCE to raise it; ask for at most ${limit}`,
    )
  }
}

const minMemory = 6 << 20

/** Warnings about limits. Throws invalid as Docker words it. An update need not name all that belongs together. */
export function validateResources(
  resources: Resources,
  features: KernelFeatures,
  purpose: "create" | "update",
): string[] {
  checkCpu(resources, features)
  return [...memoryWarnings(resources, features, purpose), ...ioWarnings(resources, features)]
}

/** Whether a controller has a file: looked for at the root of its hierarchy, or by kind of machine on v2. */
function hasFile(features: KernelFeatures, controller: string, file: string): boolean {
  const mount = features.cgroupV1.get(controller)
  return mount !== undefined && existsSync(`${mount}/${file}`)
}

function memoryWarnings(
  resources: Resources,
  features: KernelFeatures,
  purpose: "create" | "update",
): string[] {
  const warnings: string[] = []
  const { memory = 0, memorySwap = 0, memoryReservation = 0, memorySwappiness } = resources
  if (memory < 0) invalid("invalid memory limit: it cannot be negative")
  if (memory > 0 && memory < minMemory) invalid("Minimum memory limit allowed is 6MB")
  if (memory > 0 && memorySwap > 0 && memorySwap < memory)
    invalid("Minimum memoryswap limit should be larger than memory limit, see usage")
  if (purpose === "create" && memory === 0 && memorySwap > 0)
    invalid("You should always set the Memory limit when using Memoryswap limit, see usage")
  if (memoryReservation > 0 && memoryReservation < minMemory)
    invalid("Minimum memory reservation allowed is 6MB")
  if (memory > 0 && memoryReservation > 0 && memory < memoryReservation)
    invalid("Minimum memory limit can not be less than memory reservation limit, see usage")
  if (memorySwappiness !== undefined && (memorySwappiness < -1 || memorySwappiness > 100))
    invalid(`Invalid value: ${memorySwappiness}, valid memory swappiness range is 0-100`)
  const hasSwap = () =>
    features.cgroupMode === "v2"
      ? existsSync("/proc/swaps")
      : hasFile(features, "memory", "memory.memsw.limit_in_bytes")
  if (memory > 0 && memorySwap !== -1 && !hasSwap())
    warnings.push(
      "Your kernel does not support swap limit capabilities or the cgroup is not mounted. Memory limited without swap.",
    )
  if (
    memorySwappiness !== undefined &&
    memorySwappiness !== -1 &&
    !hasFile(features, "memory", "memory.swappiness")
  )
    warnings.push(
      "Your kernel does not support memory swappiness capabilities or the cgroup is not mounted. Memory swappiness discarded.",
    )
  if (resources.oomKillDisable === true && memory === 0)
    warnings.push(
      "OOM killer is disabled for the container, but no memory limit is set, this can result in the system running out of resources.",
    )
  return warnings
}

function checkCpu(resources: Resources, features: KernelFeatures): void {
  const {
    nanoCpus = 0,
    cpuPeriod = 0,
    cpuQuota = 0,
    cpuShares = 0,
    cpusetCpus = "",
    cpusetMems = "",
  } = resources
  const cpus = nanoCpus === 0 ? 0 : availableParallelism()
  if (nanoCpus > 0 && cpuPeriod > 0)
    invalid("Conflicting options: Nano CPUs and CPU Period cannot both be set")
  if (nanoCpus > 0 && cpuQuota > 0) invalid("Conflicting options: Nano CPUs and CPU Quota cannot both be set")
  if (nanoCpus < 0 || (nanoCpus > 0 && nanoCpus < 1e7) || nanoCpus > cpus * 1e9)
    invalid(`range of CPUs is from 0.01 to ${cpus}.00, as there are only ${cpus} CPUs available`)
  if (cpuShares < 0) invalid(`invalid CPU shares (${cpuShares}): value must be a positive integer`)
  if (cpuPeriod !== 0 && (cpuPeriod < 1000 || cpuPeriod > 1_000_000))
    invalid("CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)")
  if (cpuQuota > 0 && cpuQuota < 1000) invalid("CPU cfs quota can not be less than 1ms (i.e. 1000)")
  checkSet("cpus", cpusetCpus, "/sys/devices/system/cpu/online")
  checkSet("mems", cpusetMems, "/sys/devices/system/node/online")
  const realtime = (resources.cpuRealtimePeriod ?? 0) !== 0 || (resources.cpuRealtimeRuntime ?? 0) !== 0
  if (realtime && !hasFile(features, "cpu", "cpu.rt_runtime_us"))
    invalid("Your kernel does not support CPU real-time scheduler")
}

/** "0-2,5" as numbers; undefined when it is not such a list. */
function parseNumberList(text: string): Set<number> | undefined {
  const numbers = new Set<number>()
  for (const part of text.trim().split(",")) {
    const match = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(part)
    if (match === null) return undefined
    const first = Number(match[1])
    const last = match[2] === undefined ? first : Number(match[2])
    if (last < first) return undefined
    for (let number = first; number <= last; number++) numbers.add(number)
  }
  return numbers
}

function checkSet(kind: "cpus" | "mems", asked: string, onlineFile: string): void {
  if (asked === "") return
  const wanted = parseNumberList(asked)
  if (wanted === undefined) throw failure("invalid", `Invalid value ${asked} for cpuset ${kind}`)
  const text = readCgroup(onlineFile) ?? "0"
  const online = parseNumberList(text) ?? new Set([0])
  for (const number of wanted)
    if (!online.has(number))
      invalid(
        `Requested ${kind === "cpus" ? "CPUs" : "memory nodes"} are not available - requested ${asked}, available: ${text.trim()}`,
      )
}

function ioWarnings(resources: Resources, features: KernelFeatures): string[] {
  const { blkioWeight = 0, blkioWeightDevice = [] } = resources
  const warnings: string[] = []
  if (blkioWeight !== 0 && (blkioWeight < 10 || blkioWeight > 1000))
    invalid("Range of blkio weight is from 10 to 1000")
  const hasWeight = () =>
    features.cgroupMode === "v2" ||
    hasFile(features, "blkio", "blkio.weight") ||
    hasFile(features, "blkio", "blkio.bfq.weight")
  if (blkioWeight > 0 && !hasWeight())
    warnings.push(
      "Your kernel does not support Block I/O weight or the cgroup is not mounted. Weight discarded.",
    )
  if (blkioWeightDevice.length > 0 && !hasFile(features, "blkio", "blkio.weight_device"))
    warnings.push(
      "Your kernel does not support Block I/O weight_device or the cgroup is not mounted. Weight-device discarded.",
    )
  return warnings
}
