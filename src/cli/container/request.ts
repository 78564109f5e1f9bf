// Flags of run and create into the Engine API's create request.
import { errorMessage, failure } from "../../base/errors.ts"
import type { Parsed } from "../flags.ts"
import { fileSystem } from "../lazy-modules.ts"
import { refuseImpossible } from "./conflicts.ts"
import { readMount, readVolumes } from "./mounts.ts"
import { readNetworking } from "./networks.ts"
import { readExposed, readPublished } from "./ports.ts"
import { readBytes, readDuration, readLinesOf, readPairs, readVariables } from "./values.ts"

type Body = Record<string, unknown>

const bytes = (parsed: Parsed, name: string): number | undefined => {
  const value = parsed.string(name)
  return value === undefined || value === "" ? undefined : readBytes(value)
}

function healthcheck(parsed: Parsed): Body | undefined {
  if (parsed.bool("no-healthcheck")) {
    if (parsed.given("health-cmd"))
      throw failure("invalid", "--no-healthcheck conflicts with --health-* options")
    return { Test: ["NONE"] }
  }
  const names = ["cmd", "interval", "timeout", "start-period", "start-interval", "retries"].map(
    (name) => `health-${name}`,
  )
  if (!names.some((name) => parsed.given(name))) return undefined
  const duration = (name: string) =>
    parsed.string(name) === undefined ? undefined : readDuration(parsed.string(name) ?? "0")
  const command = parsed.string("health-cmd")
  return {
    Test: command ? ["CMD-SHELL", command] : undefined,
    Interval: duration("health-interval"),
    Timeout: duration("health-timeout"),
    StartPeriod: duration("health-start-period"),
    StartInterval: duration("health-start-interval"),
    Retries: parsed.int("health-retries"),
  }
}

export function readRestartPolicy(value: string): Body {
  const [name = "no", count] = value.split(":")
  if (count !== undefined && !/^\d+$/.test(count))
    throw failure("invalid", "invalid restart policy format: maximum retry count must be an integer")
  return { Name: name === "" ? "no" : name, MaximumRetryCount: Number(count ?? 0) }
}

function ulimits(values: readonly string[]): Body[] {
  return values.map((value) => {
    const match = /^([a-z]+)=(-?\d+)(?::(-?\d+))?$/.exec(value)
    if (!match) throw failure("invalid", `invalid ulimit argument: ${value}`)
    const [soft, hard] = [Number(match[2]), Number(match[3] ?? match[2])]
    if (hard !== -1 && soft > hard)
      throw failure(
        "invalid",
        `ulimit soft limit must be less than or equal to hard limit: ${soft} > ${hard}`,
      )
    return { Name: match[1], Soft: soft, Hard: hard }
  })
}

/** Seccomp profiles are read here, where the file is; the daemon gets their text. */
const securityOptions = (values: readonly string[]): string[] =>
  values.map((value) => {
    const match = /^seccomp[=:](.*)$/.exec(value)
    const file = match?.[1]
    if (file === undefined || ["unconfined", "builtin"].includes(file)) return value
    try {
      return `seccomp=${JSON.stringify(JSON.parse(fileSystem().readFileSync(file, "utf8")))}`
    } catch (error) {
      throw failure(
        "invalid",
        `opening seccomp profile (${file}) failed: ${errorMessage(error).replace(/^ENOENT: (.*), open .*/, `open ${file}: $1`)}`,
        { cause: error },
      )
    }
  })

const devices = (values: readonly string[]): Body[] =>
  values.map((value) => {
    const [host = "", second, third] = value.split(":")
    const isMode = second !== undefined && /^[rwm]{1,3}$/.test(second) && third === undefined
    return {
      PathOnHost: host,
      PathInContainer: isMode || !second ? host : second,
      CgroupPermissions: (isMode ? second : third) ?? "rwm",
    }
  })

/** "all", a count, or "device=…". */
const gpus = (value: string): Body => ({
  Driver: "",
  Count: value === "all" ? -1 : /^\d+$/.test(value) ? Number(value) : 0,
  DeviceIDs: value.startsWith("device=") ? value.slice(7).split(",") : undefined,
  Capabilities: [["gpu"]],
  Options: {},
})

const rates = (values: readonly string[], read: (text: string) => number): Body[] =>
  values.map((value) => {
    const colon = value.indexOf(":")
    if (colon < 0 || !value.startsWith("/dev/"))
      throw failure("invalid", `bad format: ${value} (want /dev/PATH:RATE)`)
    return { Path: value.slice(0, colon), Rate: read(value.slice(colon + 1)) }
  })

function nanoCpus(value: string | undefined): number | undefined {
  if (value === undefined) return undefined
  if (!/^\d+(\.\d{1,9})?$|^\.\d{1,9}$/.test(value))
    throw failure(
      "invalid",
      `invalid argument "${value}" for "--cpus" flag: failed to parse ${value} as a rational number`,
    )
  return Math.round(Number(value) * 1e9)
}

export function readResources(parsed: Parsed): Body {
  const number = (name: string) => parsed.int(name)
  return {
    Memory: bytes(parsed, "memory"),
    MemoryReservation: bytes(parsed, "memory-reservation"),
    MemorySwap: bytes(parsed, "memory-swap"),
    MemorySwappiness: number("memory-swappiness"),
    KernelMemory: bytes(parsed, "kernel-memory"),
    OomKillDisable: parsed.given("oom-kill-disable") ? parsed.bool("oom-kill-disable") : undefined,
    NanoCpus: nanoCpus(parsed.string("cpus")),
    CpuShares: number("cpu-shares"),
    CpuPeriod: number("cpu-period"),
    CpuQuota: number("cpu-quota"),
    CpuRealtimePeriod: number("cpu-rt-period"),
    CpuRealtimeRuntime: number("cpu-rt-runtime"),
    CpusetCpus: parsed.string("cpuset-cpus"),
    CpusetMems: parsed.string("cpuset-mems"),
    PidsLimit: number("pids-limit"),
    BlkioWeight: number("blkio-weight"),
    BlkioWeightDevice: rates(parsed.list("blkio-weight-device"), Number).map(({ Path, Rate }) => ({
      Path,
      Weight: Rate,
    })),
    BlkioDeviceReadBps: rates(parsed.list("device-read-bps"), readBytes),
    BlkioDeviceWriteBps: rates(parsed.list("device-write-bps"), readBytes),
    BlkioDeviceReadIOps: rates(parsed.list("device-read-iops"), Number),
    BlkioDeviceWriteIOps: rates(parsed.list("device-write-iops"), Number),
    Devices: devices(parsed.list("device")),
    DeviceRequests: parsed.string("gpus") === undefined ? undefined : [gpus(parsed.string("gpus") ?? "")],
    DeviceCgroupRules: parsed.list("device-cgroup-rule"),
    Ulimits: ulimits(parsed.list("ulimit")),
    CgroupParent: parsed.string("cgroup-parent"),
  }
}

function hostConfig(
  parsed: Parsed,
  binds: readonly string[],
  mode: string,
  bindings: Body,
  consoleSize: readonly [number, number],
): Body {
  return {
    ...readResources(parsed),
    Binds: binds,
    Mounts: parsed.list("mount").map(readMount),
    Tmpfs: Object.fromEntries(
      parsed.list("tmpfs").map((value) => [value.split(":")[0], value.split(":").slice(1).join(":")]),
    ),
    VolumesFrom: parsed.list("volumes-from"),
    VolumeDriver: parsed.string("volume-driver"),
    PortBindings: bindings,
    PublishAllPorts: parsed.bool("publish-all"),
    NetworkMode: mode,
    Links: parsed.list("link"),
    ExtraHosts: parsed.list("add-host").map((value) => value.replace(/^([^:=]+)=/, "$1:")),
    Dns: parsed.list("dns"),
    DnsOptions: [...parsed.list("dns-option"), ...parsed.list("dns-opt")],
    DnsSearch: parsed.list("dns-search"),
    RestartPolicy: readRestartPolicy(parsed.string("restart") ?? "no"),
    AutoRemove: parsed.bool("rm"),
    Privileged: parsed.bool("privileged"),
    ReadonlyRootfs: parsed.bool("read-only"),
    CapAdd: parsed.list("cap-add"),
    CapDrop: parsed.list("cap-drop"),
    SecurityOpt: securityOptions(parsed.list("security-opt")),
    GroupAdd: parsed.list("group-add"),
    OomScoreAdj: parsed.int("oom-score-adj"),
    Init: parsed.given("init") ? parsed.bool("init") : undefined,
    ShmSize: bytes(parsed, "shm-size"),
    StorageOpt: readPairs(parsed.list("storage-opt")),
    Sysctls: readPairs(parsed.list("sysctl")),
    Annotations: readPairs(parsed.list("annotation")),
    PidMode: parsed.string("pid"),
    IpcMode: parsed.string("ipc"),
    UTSMode: parsed.string("uts"),
    UsernsMode: parsed.string("userns"),
    CgroupnsMode: parsed.string("cgroupns"),
    Isolation: parsed.string("isolation"),
    Runtime: parsed.string("runtime"),
    LogConfig: { Type: parsed.string("log-driver") ?? "", Config: readPairs(parsed.list("log-opt")) },
    ContainerIDFile: parsed.string("cidfile"),
    ConsoleSize: consoleSize,
  }
}

/** Which streams the client will attach, by docker's rules. */
export function attachedStreams(
  parsed: Parsed,
  detach: boolean,
): { stdin: boolean; stdout: boolean; stderr: boolean } {
  const asked = parsed.list("attach").map((name) => name.toLowerCase())
  for (const name of asked)
    if (!["stdin", "stdout", "stderr"].includes(name))
      throw failure(
        "invalid",
        `invalid argument "${name}" for "-a, --attach" flag: valid streams are STDIN, STDOUT and STDERR`,
      )
  if (detach) {
    if (asked.length > 0) throw failure("invalid", "Conflicting options: -a and -d")
    return { stdin: false, stdout: false, stderr: false }
  }
  if (asked.length > 0)
    return {
      stdin: asked.includes("stdin"),
      stdout: asked.includes("stdout"),
      stderr: asked.includes("stderr"),
    }
  return { stdin: parsed.bool("interactive"), stdout: true, stderr: true }
}

/** The create request of a parsed run or create. `detach` as the verb knows it. Throws invalid. */
export function createRequest(
  parsed: Parsed,
  options: {
    detach: boolean
    env: Readonly<Record<string, string | undefined>>
    /** Rows and columns of our terminal. */
    consoleSize: readonly [number, number]
  },
): Body {
  refuseImpossible(parsed)
  const [image = "", ...command] = parsed.arguments
  const { exposed, bindings } = readPublished(parsed.list("publish"))
  const { binds, volumes } = readVolumes(parsed.list("volume"))
  const { mode, endpoints } = readNetworking(parsed)
  const streams = attachedStreams(parsed, options.detach)
  if (parsed.bool("rm") && !["no", ""].includes(parsed.string("restart") ?? "no"))
    throw failure("invalid", "conflicting options: cannot specify both --restart and --rm")
  const entrypoint = parsed.string("entrypoint")
  return {
    Image: image,
    Cmd: command.length > 0 ? command : undefined,
    Entrypoint: entrypoint === undefined ? undefined : entrypoint === "" ? [""] : [entrypoint],
    Hostname: parsed.string("hostname"),
    Domainname: parsed.string("domainname"),
    User: parsed.string("user"),
    Env: readVariables(parsed.list("env"), parsed.list("env-file"), options.env),
    WorkingDir: parsed.string("workdir"),
    Labels: readPairs([...parsed.list("label-file").flatMap(readLinesOf), ...parsed.list("label")]),
    Tty: parsed.bool("tty"),
    OpenStdin: parsed.bool("interactive"),
    StdinOnce: parsed.bool("interactive") && !options.detach,
    AttachStdin: streams.stdin,
    AttachStdout: streams.stdout,
    AttachStderr: streams.stderr,
    ExposedPorts: { ...readExposed(parsed.list("expose")), ...exposed },
    Volumes: volumes,
    StopSignal: parsed.string("stop-signal"),
    StopTimeout: parsed.int("stop-timeout"),
    Healthcheck: healthcheck(parsed),
    HostConfig: hostConfig(parsed, binds, mode, bindings, options.consoleSize),
    NetworkingConfig: { EndpointsConfig: endpoints },
  }
}
