// A create request as the engine takes it. Pure; throws invalid in Docker's words.
import { failure } from "../../base/errors.ts"
import type { CommitConfig, CreateConfig } from "../../engine/engine.ts"
import { LOG_DRIVERS, parseTarget } from "../../logs/logs.ts"
import type { Healthcheck } from "../../state/state.ts"
import type { CommitRequest, CreateRequest, WireHostConfig } from "../../wire/wire.ts"
import { anonymousVolumes, mountRequests } from "./mounts.ts"
import { endpointRequests } from "./networking.ts"
import { exposedPorts, portRequests } from "./ports.ts"
import { present } from "./present.ts"
import { resources, restartPolicy } from "./resources.ts"
import { millisecondsOf } from "./times.ts"

/**
 * What the client asked for, in the domain's words; what it left out is absent. `minor` is the API's version: older
 * clients mean some fields differently.
 */
export function createConfig(
  request: CreateRequest,
  minor: number,
): { config: CreateConfig; warnings: readonly string[] } {
  const host = request.HostConfig
  const mounts = mountRequests(request)
  const restart = restartPolicy(host?.RestartPolicy)
  requireConsistent(request)
  if (host?.AutoRemove && restart !== undefined && restart.name !== "no") {
    throw failure("invalid", "can't create 'AutoRemove' container with restart policy")
  }
  const { networks, sysctls, warnings } = endpointRequests(request, minor)
  const config = present<CreateConfig>({
    image: request.Image,
    hostname: request.Hostname || undefined,
    domainname: request.Domainname || undefined,
    user: request.User || undefined,
    env: filled(environment(request.Env)),
    command: filled(request.Cmd ?? []),
    entrypoint: request.Entrypoint,
    argsEscaped: request.ArgsEscaped,
    workingDirectory: workingDirectory(request.WorkingDir),
    labels: filledMap(request.Labels),
    tty: request.Tty,
    openStdin: request.OpenStdin,
    stdinOnce: request.StdinOnce,
    attachStdin: request.AttachStdin,
    attachStdout: request.AttachStdout,
    attachStderr: request.AttachStderr,
    exposedPorts: filled(exposedPorts(request.ExposedPorts)),
    volumes: filled(anonymousVolumes(request.Volumes, mounts)),
    stopSignal: request.StopSignal || undefined,
    stopTimeout: request.StopTimeout,
    healthcheck: healthcheck(request.Healthcheck),
    shell: request.Shell,
    onBuild: request.OnBuild,
    networkDisabled: request.NetworkDisabled,
    networks: filled(networks),
    restart,
    mounts: filled(mounts),
    ...(host === undefined ? {} : { ...hostOptions(host), sysctls: filledMap(sysctls) }),
  } as { [K in keyof CreateConfig]: CreateConfig[K] | undefined })
  return { config, warnings }
}

/** What a commit asks to be changed in the image's config; what it left out is absent. Throws invalid. */
export const commitConfig = (request: CommitRequest): CommitConfig =>
  present<CommitConfig>({
    user: request.User || undefined,
    exposedPorts: filled(exposedPorts(request.ExposedPorts)),
    env: filled(environment(request.Env)),
    entrypoint: request.Entrypoint,
    command: filled(request.Cmd ?? []),
    argsEscaped: request.ArgsEscaped,
    volumes: filled(anonymousVolumes(request.Volumes, [])),
    workingDirectory: workingDirectory(request.WorkingDir),
    labels: filledMap(request.Labels),
    stopSignal: request.StopSignal || undefined,
    healthcheck: healthcheck(request.Healthcheck),
    shell: request.Shell,
    onBuild: request.OnBuild,
  } as { [K in keyof CommitConfig]: CommitConfig[K] | undefined })

function hostOptions(
  host: WireHostConfig,
): Partial<{ [K in keyof CreateConfig]: CreateConfig[K] | undefined }> {
  if (host.Isolation !== "" && host.Isolation !== "default") {
    throw failure(
      "invalid",
      `invalid isolation: ${host.Isolation}: only 'default' isolation is supported on Linux`,
    )
  }
  if (host.OomScoreAdj < -1000 || host.OomScoreAdj > 1000) {
    throw failure("invalid", `Invalid value ${host.OomScoreAdj}, range for oom score adj is [-1000, 1000]`)
  }
  if ((host.ShmSize ?? 0) < 0) throw failure("invalid", "SHM size can not be less than 0")
  return {
    volumesFrom: filled(host.VolumesFrom),
    ports: filled(portRequests(host.PortBindings)),
    publishAllPorts: host.PublishAllPorts,
    resources: resources(host),
    autoRemove: host.AutoRemove,
    privileged: host.Privileged,
    readOnlyRoot: host.ReadonlyRootfs,
    capAdd: filled(host.CapAdd ?? []),
    capDrop: filled(host.CapDrop ?? []),
    securityOptions: filled(host.SecurityOpt),
    groupAdd: filled(host.GroupAdd),
    oomScoreAdjust: host.OomScoreAdj === 0 ? undefined : host.OomScoreAdj,
    init: host.Init,
    shmSize: host.ShmSize || undefined,
    extraHosts: filled(host.ExtraHosts.map(requireExtraHost)),
    dns: filled(host.Dns),
    dnsSearch: filled(host.DnsSearch),
    dnsOptions: filled(host.DnsOptions),
    links: filled(host.Links),
    networkMode: host.NetworkMode || undefined,
    pidMode: host.PidMode || undefined,
    ipcMode: host.IpcMode || undefined,
    utsMode: host.UTSMode || undefined,
    usernsMode: host.UsernsMode || undefined,
    cgroupnsMode: host.CgroupnsMode || undefined,
    maskedPaths: host.MaskedPaths,
    readonlyPaths: host.ReadonlyPaths,
    ...logging(host.LogConfig),
    consoleSize: host.ConsoleSize,
    runtime: host.Runtime || undefined,
    isolation: host.Isolation || undefined,
    volumeDriver: host.VolumeDriver || undefined,
    annotations: filledMap(host.Annotations),
    storageOptions: filledMap(host.StorageOpt),
    cidFile: host.ContainerIDFile || undefined,
  }
}

const LOG_OPTIONS: ReadonlySet<string> = new Set([
  "max-size",
  "max-file",
  "compress",
  "mode",
  "max-buffer-size",
  "labels",
  "labels-regex",
  "env",
  "env-regex",
  "tag",
])

function logging(wire: WireHostConfig["LogConfig"]) {
  if (wire === undefined || (wire.Type === "" && Object.keys(wire.Config).length === 0)) return {}
  const driver = wire.Type || "json-file"
  if (!LOG_DRIVERS.includes(driver)) {
    throw failure("invalid", `logger: no log driver named '${driver}' is registered`)
  }
  if (driver === "json-file" || driver === "local") {
    for (const option of Object.keys(wire.Config)) {
      if (!LOG_OPTIONS.has(option)) {
        throw failure("invalid", `unknown log opt '${option}' for ${driver} log driver`)
      }
    }
  }
  parseTarget(driver, wire.Config)
  return { logDriver: driver, logOptions: wire.Config }
}

function environment(env: readonly string[]): readonly string[] {
  for (const entry of env) {
    if (entry === "" || entry.startsWith("=")) {
      throw failure("invalid", `invalid environment variable: ${JSON.stringify(entry)}`)
    }
  }
  return env
}

function workingDirectory(path: string): string | undefined {
  if (path !== "" && !path.startsWith("/")) {
    throw failure("invalid", `the working directory '${path}' is invalid, it needs to be an absolute path`)
  }
  return path || undefined
}

/** Docker's healthcheck in the domain's milliseconds; undefined when none is given. */
function healthcheck(wire: CreateRequest["Healthcheck"]): Healthcheck | undefined {
  if (wire === undefined) return undefined
  for (const name of ["Interval", "Timeout", "StartPeriod", "StartInterval"] as const) {
    if (wire[name] !== 0 && wire[name] < 1_000_000) {
      throw failure("invalid", `${name} in Healthcheck cannot be less than 1ms`)
    }
  }
  if (wire.Retries < 0) throw failure("invalid", "Retries in Healthcheck cannot be negative")
  const kind = wire.Test?.[0]
  if (kind !== undefined && kind !== "" && kind !== "NONE" && kind !== "CMD" && kind !== "CMD-SHELL") {
    throw failure("invalid", `Unknown healthcheck type '${kind}' (expected 'CMD', 'CMD-SHELL' or 'NONE')`)
  }
  return present<Healthcheck>({
    test: wire.Test?.length ? wire.Test : undefined,
    interval: millisecondsOf(wire.Interval),
    timeout: millisecondsOf(wire.Timeout),
    startPeriod: millisecondsOf(wire.StartPeriod),
    startInterval: millisecondsOf(wire.StartInterval),
    retries: wire.Retries || undefined,
  })
}

/** Options that exclude each other, as Docker refuses them. */
function requireConsistent(request: CreateRequest): void {
  const host = request.HostConfig
  if (host === undefined) return
  const refuse = (reason: string) => failure("invalid", `conflicting options: ${reason}`)
  if (host.UTSMode === "host" && request.Hostname !== "") throw refuse("hostname and the UTS mode")
  if (host.NetworkMode === "host" && host.Links.length > 0) {
    throw refuse("host type networking can't be used with links. This would result in undefined behavior")
  }
  if (!host.NetworkMode.startsWith("container:")) return
  if (host.NetworkMode === "container:") {
    throw failure("invalid", "Invalid network mode: invalid container format container:<name|id>")
  }
  if (request.Hostname !== "") throw refuse("hostname and the network mode")
  if (host.Links.length > 0) {
    throw refuse("container type network can't be used with links. This would result in undefined behavior")
  }
  if (host.Dns.length > 0) throw refuse("dns and the network mode")
  if (host.ExtraHosts.length > 0) throw refuse("custom host-to-IP mapping and the network mode")
  if (request.MacAddress !== "") throw refuse("mac-address and the network mode")
  if (Object.keys(host.PortBindings).length > 0 || host.PublishAllPorts) {
    throw refuse("port publishing and the container type network mode")
  }
  if (request.ExposedPorts.length > 0) throw refuse("port exposing and the container type network mode")
}

function requireExtraHost(entry: string): string {
  const separator = entry.search(/[:=]/)
  if (separator <= 0 || separator === entry.length - 1) {
    throw failure("invalid", `bad format for add-host: ${JSON.stringify(entry)}`)
  }
  return entry
}

const filled = <T>(list: readonly T[]): readonly T[] | undefined => (list.length > 0 ? list : undefined)

const filledMap = (map: Readonly<Record<string, string>>) => (Object.keys(map).length > 0 ? map : undefined)
