// A container as GET /containers/{id}/json shows it.
import type { EngineDescription } from "../../engine/engine.ts"
import type { ContainerRecord, HealthState, MountPoint } from "../../state/state.ts"
import type {
  ContainerConfigView,
  ContainerInspect,
  HealthcheckView,
  HealthView,
  MountPointView,
} from "../../wire/wire.ts"
import { bridgeAddresses, endpointViews, mainMac } from "./endpoints.ts"
import { hostConfigView } from "./host-config.ts"
import { publishedPorts } from "./ports.ts"
import { present } from "./present.ts"
import { rfc3339, ZERO_TIME } from "./times.ts"

export interface InspectSizes {
  readonly writable: number
  readonly root: number
}

export function containerInspect(
  record: ContainerRecord,
  engine: EngineDescription,
  minor: number,
  sizes?: InspectSizes,
): ContainerInspect {
  const directory = `${engine.dataRoot}/containers/${record.id}`
  const run = `${engine.runRoot}/c/${record.id.slice(0, 16)}`
  return {
    Id: record.id,
    Created: rfc3339(record.createdAt),
    Path: record.path,
    Args: [...record.args],
    State: {
      Status: record.status,
      Running: isRunning(record),
      Paused: record.status === "paused",
      Restarting: record.status === "restarting",
      OOMKilled: record.oomKilled,
      Dead: record.status === "dead",
      Pid: record.pid,
      ExitCode: record.exitCode,
      Error: record.error,
      StartedAt: rfc3339(record.startedAt),
      FinishedAt: rfc3339(record.finishedAt),
      ...(record.health === undefined ? {} : { Health: healthView(record.health) }),
    },
    Image: record.imageId,
    ResolvConfPath: `${run}/resolv.conf`,
    HostnamePath: `${run}/hostname`,
    HostsPath: `${run}/hosts`,
    LogPath: record.config.logDriver !== "json-file" ? "" : `${directory}/${record.id}-json.log`,
    Name: `/${record.name}`,
    RestartCount: record.restartCount,
    Driver: driverName(engine),
    Platform: "linux",
    MountLabel: "",
    ProcessLabel: "",
    AppArmorProfile: "",
    ExecIDs: null,
    HostConfig: {
      ...hostConfigView(record.config, record.name),
      ...(minor < 42 ? { KernelMemory: 0, KernelMemoryTCP: 0 } : {}),
    },
    GraphDriver: { Data: null, Name: driverName(engine) },
    ...(sizes === undefined ? {} : { SizeRw: sizes.writable, SizeRootFs: sizes.root }),
    Mounts: record.mountPoints.map(mountPointView),
    Config: configView(record.config, minor),
    NetworkSettings: {
      Bridge: "",
      SandboxID: record.endpoints.length === 0 ? "" : record.id,
      SandboxKey: record.pid > 0 ? `/proc/${record.pid}/ns/net` : "",
      Ports: publishedPorts(record),
      HairpinMode: false,
      LinkLocalIPv6Address: "",
      LinkLocalIPv6PrefixLen: 0,
      SecondaryIPAddresses: null,
      SecondaryIPv6Addresses: null,
      ...bridgeAddresses(record.endpoints.find(({ networkName }) => networkName === "bridge")),
      Networks: endpointViews(record, minor),
    },
  }
}

/** Docker's "Running" is true while paused and while it waits to restart. */
export const isRunning = (record: ContainerRecord): boolean =>
  record.status === "running" || record.status === "paused" || record.status === "restarting"

/** Clients look for the name that Docker gives its overlay driver. */
export const driverName = (engine: EngineDescription): string =>
  engine.snapshotter === "overlay" || engine.snapshotter === "erofs" ? "overlay2" : engine.snapshotter

function healthView(health: HealthState): HealthView {
  return {
    Status: health.status,
    FailingStreak: health.failingStreak,
    Log: health.log.map(({ start, end, exitCode, output }) => ({
      Start: rfc3339(start),
      End: end === 0 ? ZERO_TIME : rfc3339(end),
      ExitCode: exitCode,
      Output: output,
    })),
  }
}

export function mountPointView(mount: MountPoint): MountPointView {
  return {
    Type: mount.type,
    ...(mount.name === undefined ? {} : { Name: mount.name }),
    Source: mount.source,
    Destination: mount.target,
    ...(mount.driver === undefined ? {} : { Driver: mount.driver }),
    Mode: mount.mode,
    RW: !mount.readOnly,
    Propagation: mount.propagation,
  }
}

type ConfigSource = Pick<
  ContainerRecord["config"],
  | "user"
  | "env"
  | "command"
  | "entrypoint"
  | "workingDirectory"
  | "labels"
  | "exposedPorts"
  | "volumes"
  | "stopSignal"
  | "healthcheck"
  | "shell"
  | "onBuild"
  | "argsEscaped"
>

function configView(config: ContainerRecord["config"], minor: number): ContainerConfigView {
  return {
    Hostname: config.hostname,
    Domainname: config.domainname,
    User: config.user,
    AttachStdin: config.attachStdin,
    AttachStdout: config.attachStdout,
    AttachStderr: config.attachStderr,
    ...keySetView("ExposedPorts", config.exposedPorts),
    Tty: config.tty,
    OpenStdin: config.openStdin,
    StdinOnce: config.stdinOnce,
    Env: [...config.env],
    Cmd: config.command.length > 0 ? [...config.command] : null,
    Image: config.image,
    Volumes: config.volumes.length > 0 ? setOf(config.volumes) : null,
    WorkingDir: config.workingDirectory,
    Entrypoint: config.entrypoint === undefined ? null : [...config.entrypoint],
    ...(config.networkDisabled ? { NetworkDisabled: true } : {}),
    ...(minor < 44 ? mainMac(config) : {}),
    OnBuild: config.onBuild?.length ? [...config.onBuild] : null,
    Labels: { ...config.labels },
    ...(config.stopSignal === undefined ? {} : { StopSignal: config.stopSignal }),
    ...(config.stopTimeout === undefined ? {} : { StopTimeout: config.stopTimeout }),
    ...sharedView(config),
  }
}

/** The optional keys that container and image configs share. */
export function sharedView(config: Partial<ConfigSource>): Partial<ContainerConfigView> {
  return present<Partial<ContainerConfigView>>({
    Healthcheck: config.healthcheck === undefined ? undefined : healthcheckView(config.healthcheck),
    ArgsEscaped: config.argsEscaped || undefined,
    Shell: config.shell?.length ? [...config.shell] : undefined,
  } as Partial<ContainerConfigView>)
}

function healthcheckView(check: NonNullable<ConfigSource["healthcheck"]>): HealthcheckView {
  const nanoseconds = (milliseconds: number | undefined) =>
    milliseconds === undefined ? undefined : Math.round(milliseconds * 1_000_000)
  return present<HealthcheckView>({
    Test: check.test === undefined ? undefined : [...check.test],
    Interval: nanoseconds(check.interval),
    Timeout: nanoseconds(check.timeout),
    StartPeriod: nanoseconds(check.startPeriod),
    StartInterval: nanoseconds(check.startInterval),
    Retries: check.retries,
  } as HealthcheckView)
}

const keySetView = <K extends string>(key: K, values: readonly string[]) =>
  values.length > 0 ? ({ [key]: setOf(values) } as Record<K, Record<string, Record<string, never>>>) : {}

/** A Go set: keys with empty objects. */
export const setOf = (keys: readonly string[]): Record<string, Record<string, never>> =>
  Object.fromEntries(keys.map((key) => [key, {}]))
