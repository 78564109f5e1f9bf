// HostConfig as inspect shows it: what a create request would say to get the same container.

import { isUserDefined } from "../../engine/engine.ts"
import type { ContainerConfig, MountRequest, Resources } from "../../state/state.ts"
import { shownMode } from "./endpoints.ts"
import { portBindings } from "./ports.ts"

/** `name`: the container's, which its links are told with. */
export function hostConfigView(config: ContainerConfig, name: string): Record<string, unknown> {
  const binds = config.mounts.filter(({ origin }) => origin === "binds")
  const mounts = config.mounts.filter(({ origin }) => origin === "mounts")
  const tmpfs = config.mounts.filter(({ origin }) => origin === "tmpfs")
  return {
    Binds: binds.length > 0 ? binds.map(bindText) : null,
    ContainerIDFile: config.cidFile,
    LogConfig: { Type: config.logDriver, Config: { ...config.logOptions } },
    NetworkMode: shownMode(config.networkMode),
    PortBindings: portBindings(config.ports),
    RestartPolicy: { Name: config.restart.name, MaximumRetryCount: config.restart.maximumRetries },
    AutoRemove: config.autoRemove,
    VolumeDriver: config.volumeDriver ?? "",
    VolumesFrom: orNull(config.volumesFrom),
    ConsoleSize: config.consoleSize,
    ...(Object.keys(config.annotations).length > 0 ? { Annotations: config.annotations } : {}),
    CapAdd: orNull(config.capAdd),
    CapDrop: orNull(config.capDrop),
    CgroupnsMode: config.cgroupnsMode,
    Dns: config.dns,
    DnsOptions: config.dnsOptions,
    DnsSearch: config.dnsSearch,
    ExtraHosts: orNull(config.extraHosts),
    GroupAdd: orNull(config.groupAdd),
    IpcMode: config.ipcMode,
    Cgroup: "",
    Links: orNull(linkTexts(config, name)),
    OomScoreAdj: config.oomScoreAdjust,
    PidMode: config.pidMode,
    Privileged: config.privileged,
    PublishAllPorts: config.publishAllPorts,
    ReadonlyRootfs: config.readOnlyRoot,
    SecurityOpt: orNull(config.securityOptions),
    ...(Object.keys(config.storageOptions).length > 0 ? { StorageOpt: config.storageOptions } : {}),
    ...(tmpfs.length > 0
      ? { Tmpfs: Object.fromEntries(tmpfs.map(({ target, mode }) => [target, mode ?? ""])) }
      : {}),
    UTSMode: config.utsMode,
    UsernsMode: config.usernsMode,
    ShmSize: config.shmSize,
    ...(Object.keys(config.sysctls).length > 0 ? { Sysctls: config.sysctls } : {}),
    Runtime: config.runtime || "sloop",
    Isolation: config.isolation,
    ...resourcesView(config.resources),
    ...(mounts.length > 0 ? { Mounts: mounts.map(mountView) } : {}),
    MaskedPaths: config.maskedPaths ?? (config.privileged ? null : MASKED),
    ReadonlyPaths: config.readonlyPaths ?? (config.privileged ? null : READONLY),
    ...(config.init === undefined ? {} : { Init: config.init }),
  }
}

/** "/other:/own/alias", as Docker tells of links on the default bridge; elsewhere they are the endpoint's. */
const linkTexts = (config: ContainerConfig, name: string): string[] =>
  isUserDefined(config.networkMode)
    ? []
    : config.links.map((link) => {
        const [other = "", alias = other] = link.replace(/^\//, "").split(":")
        return `/${other}:/${name}/${alias}`
      })

const MASKED = [
  "/proc/acpi",
  "/proc/asound",
  "/proc/interrupts",
  "/proc/kcore",
  "/proc/keys",
  "/proc/latency_stats",
  "/proc/sched_debug",
  "/proc/scsi",
  "/proc/timer_list",
  "/proc/timer_stats",
  "/sys/devices/virtual/powercap",
  "/sys/firmware",
]
const READONLY = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]

function resourcesView(limits: Resources): Record<string, unknown> {
  return {
    CpuShares: limits.cpuShares ?? 0,
    Memory: limits.memory ?? 0,
    NanoCpus: limits.nanoCpus ?? 0,
    CgroupParent: limits.cgroupParent ?? "",
    BlkioWeight: limits.blkioWeight ?? 0,
    BlkioWeightDevice: (limits.blkioWeightDevice ?? []).map(({ path, weight }) => ({
      Path: path,
      Weight: weight,
    })),
    BlkioDeviceReadBps: (limits.blkioReadBps ?? []).map(throttleView),
    BlkioDeviceWriteBps: (limits.blkioWriteBps ?? []).map(throttleView),
    BlkioDeviceReadIOps: (limits.blkioReadIops ?? []).map(throttleView),
    BlkioDeviceWriteIOps: (limits.blkioWriteIops ?? []).map(throttleView),
    CpuPeriod: limits.cpuPeriod ?? 0,
    CpuQuota: limits.cpuQuota ?? 0,
    CpuRealtimePeriod: limits.cpuRealtimePeriod ?? 0,
    CpuRealtimeRuntime: limits.cpuRealtimeRuntime ?? 0,
    CpusetCpus: limits.cpusetCpus ?? "",
    CpusetMems: limits.cpusetMems ?? "",
    Devices: (limits.devices ?? []).map(({ hostPath, containerPath, access }) => ({
      PathOnHost: hostPath,
      PathInContainer: containerPath,
      CgroupPermissions: access,
    })),
    DeviceCgroupRules: orNull(limits.deviceCgroupRules ?? []),
    DeviceRequests: null,
    MemoryReservation: limits.memoryReservation ?? 0,
    MemorySwap: limits.memorySwap ?? 0,
    MemorySwappiness: limits.memorySwappiness ?? null,
    OomKillDisable: limits.oomKillDisable ?? null,
    PidsLimit: limits.pids ?? null,
    Ulimits: (limits.ulimits ?? []).map(({ name, hard, soft }) => ({ Name: name, Hard: hard, Soft: soft })),
    CpuCount: 0,
    CpuPercent: 0,
    IOMaximumIOps: 0,
    IOMaximumBandwidth: 0,
  }
}

const throttleView = ({ path, rate }: { path: string; rate: number }) => ({ Path: path, Rate: rate })

const bindText = ({ source, target, mode }: MountRequest): string =>
  `${source ?? ""}:${target}${mode ? `:${mode}` : ""}`

function mountView(mount: MountRequest): Record<string, unknown> {
  const view: Record<string, unknown> = { Type: mount.type, Target: mount.target }
  if (mount.source !== undefined) view.Source = mount.source
  if (mount.readOnly) view.ReadOnly = true
  switch (mount.type) {
    case "bind":
      if (mount.propagation || mount.nonRecursive || mount.readOnlyNonRecursive || mount.createSource) {
        view.BindOptions = {
          ...(mount.propagation ? { Propagation: mount.propagation } : {}),
          ...(mount.nonRecursive ? { NonRecursive: true } : {}),
          ...(mount.readOnlyNonRecursive ? { ReadOnlyNonRecursive: true } : {}),
          ...(mount.createSource ? { CreateMountpoint: true } : {}),
        }
      }
      return view
    case "volume":
      view.VolumeOptions = {
        ...(mount.noCopy ? { NoCopy: true } : {}),
        ...(mount.labels ? { Labels: mount.labels } : {}),
        ...(mount.subpath ? { Subpath: mount.subpath } : {}),
        ...(mount.driver || mount.driverOptions
          ? { DriverConfig: { Name: mount.driver ?? "local", Options: mount.driverOptions ?? {} } }
          : {}),
      }
      return view
    case "tmpfs":
      view.TmpfsOptions = {
        ...(mount.tmpfsSize ? { SizeBytes: mount.tmpfsSize } : {}),
        ...(mount.tmpfsMode ? { Mode: mount.tmpfsMode } : {}),
      }
      return view
    case "image":
      if (mount.subpath) view.ImageOptions = { Subpath: mount.subpath }
      return view
  }
}

const orNull = <T>(list: readonly T[]): readonly T[] | null => (list.length > 0 ? list : null)
