// What clients send to create or update a container: schemas of Config, HostConfig and NetworkingConfig.
import * as v from "valibot"
import {
  flag,
  keySet,
  listOf,
  mapOf,
  maybe,
  maybeFlag,
  maybeText,
  maybeTexts,
  maybeWhole,
  text,
  textMap,
  texts,
  whole,
  words,
} from "./lenient.ts"

const healthcheckSchema = v.object({
  Test: maybeTexts,
  Interval: whole,
  Timeout: whole,
  StartPeriod: whole,
  StartInterval: whole,
  Retries: whole,
})

const throttle = listOf(v.object({ Path: text, Rate: whole }))

const resourcesEntries = {
  Memory: maybeWhole,
  MemoryReservation: maybeWhole,
  MemorySwap: maybeWhole,
  MemorySwappiness: maybeWhole,
  KernelMemory: maybeWhole,
  OomKillDisable: maybeFlag,
  CpuShares: maybeWhole,
  CpuPeriod: maybeWhole,
  CpuQuota: maybeWhole,
  NanoCpus: maybeWhole,
  CpusetCpus: maybeText,
  CpusetMems: maybeText,
  CpuRealtimePeriod: maybeWhole,
  CpuRealtimeRuntime: maybeWhole,
  PidsLimit: maybeWhole,
  BlkioWeight: maybeWhole,
  BlkioWeightDevice: listOf(v.object({ Path: text, Weight: whole })),
  BlkioDeviceReadBps: throttle,
  BlkioDeviceWriteBps: throttle,
  BlkioDeviceReadIOps: throttle,
  BlkioDeviceWriteIOps: throttle,
  Devices: listOf(v.object({ PathOnHost: text, PathInContainer: text, CgroupPermissions: text })),
  DeviceCgroupRules: texts,
  DeviceRequests: listOf(
    v.object({ Driver: text, Count: whole, DeviceIDs: texts, Capabilities: listOf(texts), Options: textMap }),
  ),
  Ulimits: listOf(v.object({ Name: text, Soft: whole, Hard: whole })),
  CgroupParent: maybeText,
}

const restartPolicySchema = v.object({ Name: text, MaximumRetryCount: whole })

const mountSchema = v.object({
  Type: text,
  Source: text,
  Target: text,
  ReadOnly: flag,
  Consistency: text,
  BindOptions: maybe(
    v.object({
      Propagation: text,
      NonRecursive: flag,
      CreateMountpoint: flag,
      ReadOnlyNonRecursive: flag,
      ReadOnlyForceRecursive: flag,
    }),
  ),
  VolumeOptions: maybe(
    v.object({
      NoCopy: flag,
      Labels: textMap,
      Subpath: text,
      DriverConfig: maybe(v.object({ Name: text, Options: textMap })),
    }),
  ),
  ImageOptions: maybe(v.object({ Subpath: text })),
  TmpfsOptions: maybe(v.object({ SizeBytes: whole, Mode: whole, Options: listOf(texts) })),
})
export type WireMount = v.InferOutput<typeof mountSchema>

const portBindingsSchema = mapOf(listOf(v.object({ HostIp: text, HostPort: text })))
export type WirePortBindings = v.InferOutput<typeof portBindingsSchema>

const hostConfigSchema = v.object({
  ...resourcesEntries,
  Binds: texts,
  ContainerIDFile: text,
  LogConfig: maybe(v.object({ Type: text, Config: textMap })),
  NetworkMode: text,
  PortBindings: portBindingsSchema,
  RestartPolicy: maybe(restartPolicySchema),
  AutoRemove: flag,
  VolumeDriver: text,
  VolumesFrom: texts,
  ConsoleSize: maybe(v.tuple([whole, whole])),
  Annotations: textMap,
  CapAdd: words,
  CapDrop: words,
  CgroupnsMode: text,
  Dns: texts,
  DnsOptions: texts,
  DnsSearch: texts,
  ExtraHosts: texts,
  GroupAdd: texts,
  IpcMode: text,
  Cgroup: text,
  Links: texts,
  OomScoreAdj: whole,
  PidMode: text,
  Privileged: flag,
  PublishAllPorts: flag,
  ReadonlyRootfs: flag,
  SecurityOpt: texts,
  StorageOpt: textMap,
  Tmpfs: textMap,
  UTSMode: text,
  UsernsMode: text,
  ShmSize: maybeWhole,
  Sysctls: textMap,
  Runtime: text,
  Isolation: text,
  Mounts: listOf(mountSchema),
  MaskedPaths: maybeTexts,
  ReadonlyPaths: maybeTexts,
  Init: maybeFlag,
})
export type WireHostConfig = v.InferOutput<typeof hostConfigSchema>

export const endpointSettingsSchema = v.object({
  IPAMConfig: maybe(v.object({ IPv4Address: text, IPv6Address: text, LinkLocalIPs: texts })),
  Links: texts,
  Aliases: texts,
  MacAddress: text,
  DriverOpts: textMap,
  GwPriority: whole,
  NetworkID: text,
})
export type WireEndpointSettings = v.InferOutput<typeof endpointSettingsSchema>

export const containerConfigEntries = {
  Hostname: text,
  Domainname: text,
  User: text,
  AttachStdin: flag,
  AttachStdout: flag,
  AttachStderr: flag,
  ExposedPorts: keySet,
  Tty: flag,
  OpenStdin: flag,
  StdinOnce: flag,
  Env: texts,
  Cmd: words,
  Healthcheck: maybe(healthcheckSchema),
  ArgsEscaped: maybeFlag,
  Image: text,
  Volumes: keySet,
  WorkingDir: text,
  Entrypoint: words,
  NetworkDisabled: maybeFlag,
  MacAddress: text,
  OnBuild: maybeTexts,
  Labels: textMap,
  StopSignal: text,
  StopTimeout: maybeWhole,
  Shell: maybeTexts,
}

export const createRequestSchema = v.object({
  ...containerConfigEntries,
  HostConfig: maybe(hostConfigSchema),
  NetworkingConfig: maybe(v.object({ EndpointsConfig: mapOf(maybe(endpointSettingsSchema)) })),
})
/** POST /containers/create, decoded: every list and map is there, null is gone. */
export type CreateRequest = v.InferOutput<typeof createRequestSchema>
export type WireResources = Pick<WireHostConfig, keyof typeof resourcesEntries>

export const updateRequestSchema = v.object({
  ...resourcesEntries,
  RestartPolicy: maybe(restartPolicySchema),
  /** This engine's own: ports to publish, and to take back, in the form of PortBindings. */
  PublishedPorts: maybe(v.object({ Add: portBindingsSchema, Remove: portBindingsSchema })),
})
