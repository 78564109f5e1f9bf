// What was asked for, the image's defaults and the engine's defaults become one configuration. Pure.
import type { ImageConfig } from "../../images/images.ts"
import type { ContainerConfig, Healthcheck } from "../../state/state.ts"
import type { EngineConfiguration } from "../context.ts"
import type { CreateConfig } from "../engine.ts"
import { networksOf } from "../networking/requests.ts"

const variable = (entry: string): string => entry.split("=", 1)[0] ?? ""

/** `base` with entries of the same variable replaced in place and new ones appended; "NAME" alone removes it. */
export const overrideEnv = (base: readonly string[], changes: readonly string[]): string[] => {
  const result = [...base]
  const positions = new Map(result.map((entry, index) => [variable(entry), index]))
  for (const change of changes) {
    const name = variable(change)
    const position = positions.get(name)
    if (position === undefined) {
      positions.set(name, result.length)
      result.push(change)
    } else result[position] = change
  }
  return result.filter((entry) => entry.includes("="))
}

/** Docker's order: what the user gave first, then the image's variables that the user did not give. */
const mergeEnv = (user: readonly string[], image: readonly string[]): string[] => {
  const given = new Set(user.map(variable))
  return [...user, ...image.filter((entry) => !given.has(variable(entry)))]
}

const union = (first: readonly string[], second: readonly string[]): string[] => [
  ...new Set([...first, ...second]),
]

const mergeHealthcheck = (
  asked: Healthcheck | undefined,
  image: Healthcheck | undefined,
): Healthcheck | undefined => {
  if (asked === undefined) return image
  if (image === undefined) return asked
  const or = <T>(value: T | undefined, fallback: T | undefined): T | undefined =>
    value === undefined || value === 0 ? fallback : value
  return {
    test: asked.test !== undefined && asked.test.length > 0 ? asked.test : image.test,
    interval: or(asked.interval, image.interval),
    timeout: or(asked.timeout, image.timeout),
    startPeriod: or(asked.startPeriod, image.startPeriod),
    startInterval: or(asked.startInterval, image.startInterval),
    retries: or(asked.retries, image.retries),
  }
}

/** Entrypoint and command by Docker's rules: an entrypoint given by the user drops the image's command. */
const mergeCommand = (
  asked: CreateConfig,
  image: ImageConfig,
): { entrypoint?: readonly string[]; command: readonly string[] } => {
  const reset = asked.entrypoint?.length === 1 && asked.entrypoint[0] === ""
  const given = asked.entrypoint !== undefined && asked.entrypoint.length > 0
  const command = asked.command ?? []
  if (given) return { entrypoint: reset ? undefined : asked.entrypoint, command }
  return {
    entrypoint: asked.entrypoint === undefined ? image.entrypoint : asked.entrypoint,
    command: command.length > 0 ? command : (image.command ?? []),
  }
}

/** `id` names the host when nobody else does; `hostName` is this machine's, for the host's network. */
export const mergeConfig = (
  asked: CreateConfig,
  image: ImageConfig,
  engine: EngineConfiguration,
  identity: { id: string; hostName: string },
): ContainerConfig => {
  const networkMode =
    asked.networkMode === undefined || asked.networkMode === "" ? "default" : asked.networkMode
  const sharesHostName = networkMode === "host" || asked.utsMode === "host"
  const logDriver =
    asked.logDriver === undefined || asked.logDriver === ""
      ? (engine.logDriver ?? "json-file")
      : asked.logDriver
  const restart = asked.restart ?? { name: "no", maximumRetries: 0 }
  return {
    hostname: asked.hostname || (sharesHostName ? identity.hostName : identity.id.slice(0, 12)),
    domainname: asked.domainname ?? "",
    image: asked.image,
    user: asked.user || image.user,
    env: mergeEnv(asked.env ?? [], image.env),
    ...mergeCommand(asked, image),
    argsEscaped: asked.argsEscaped ?? image.argsEscaped,
    workingDirectory: asked.workingDirectory || image.workingDirectory,
    labels: { ...image.labels, ...asked.labels },
    tty: asked.tty ?? false,
    openStdin: asked.openStdin ?? false,
    stdinOnce: asked.stdinOnce ?? false,
    attachStdin: asked.attachStdin ?? false,
    attachStdout: asked.attachStdout ?? false,
    attachStderr: asked.attachStderr ?? false,
    exposedPorts: union(asked.exposedPorts ?? [], image.exposedPorts),
    volumes: union(asked.volumes ?? [], image.volumes),
    stopSignal: asked.stopSignal || image.stopSignal,
    stopTimeout: asked.stopTimeout,
    healthcheck: mergeHealthcheck(asked.healthcheck, image.healthcheck),
    shell: asked.shell ?? image.shell,
    onBuild: asked.onBuild,
    networkDisabled: asked.networkDisabled,
    macAddress: asked.macAddress,
    mounts: asked.mounts ?? [],
    volumesFrom: asked.volumesFrom ?? [],
    ports: asked.ports ?? [],
    publishAllPorts: asked.publishAllPorts ?? false,
    resources: asked.resources ?? {},
    restart,
    autoRemove: asked.autoRemove ?? false,
    privileged: asked.privileged ?? false,
    readOnlyRoot: asked.readOnlyRoot ?? false,
    capAdd: asked.capAdd ?? [],
    capDrop: asked.capDrop ?? [],
    securityOptions: asked.securityOptions ?? [],
    groupAdd: asked.groupAdd ?? [],
    oomScoreAdjust: asked.oomScoreAdjust ?? 0,
    init: asked.init ?? engine.init,
    shmSize: asked.shmSize || 64 << 20,
    sysctls: asked.sysctls ?? {},
    extraHosts: asked.extraHosts ?? [],
    dns: asked.dns ?? [],
    dnsSearch: asked.dnsSearch ?? [],
    dnsOptions: asked.dnsOptions ?? [],
    links: asked.links ?? [],
    networkMode,
    networks: networksOf(networkMode, asked.networks ?? []),
    pidMode: asked.pidMode ?? "",
    ipcMode: asked.ipcMode || "private",
    utsMode: asked.utsMode ?? "",
    usernsMode: asked.usernsMode ?? "",
    cgroupnsMode: asked.cgroupnsMode || (asked.privileged ? "host" : "private"),
    maskedPaths: asked.maskedPaths,
    readonlyPaths: asked.readonlyPaths,
    logDriver,
    // As asked for: what nobody said is decided where the log is written (log-options.ts).
    logOptions: {
      ...(logDriver === (engine.logDriver ?? "json-file") ? engine.logOptions : {}),
      ...asked.logOptions,
    },
    consoleSize: asked.consoleSize ?? [0, 0],
    runtime: asked.runtime ?? "",
    annotations: asked.annotations ?? {},
    storageOptions: asked.storageOptions ?? {},
    isolation: asked.isolation ?? "",
    ...(asked.volumeDriver === undefined ? {} : { volumeDriver: asked.volumeDriver }),
    cidFile: asked.cidFile ?? "",
  }
}

/** Path and arguments as they run: entrypoint, then command. */
export const argvOf = (config: Pick<ContainerConfig, "entrypoint" | "command">): string[] => [
  ...(config.entrypoint ?? []),
  ...config.command,
]
