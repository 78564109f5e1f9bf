// GET /info: the engine and its host, in the words of the client's version.
import { cpus, totalmem } from "node:os"
import { VERSION } from "../../base/version.ts"
import type { EngineDescription } from "../../engine/engine.ts"
import { LOG_DRIVERS } from "../../logs/logs.ts"
import type { RegistryOptions } from "../../registry-client/registry-client.ts"
import { hostDescription } from "../host.ts"
import { driverName } from "./inspect.ts"
import { INDEX_SERVER, registryConfig } from "./registry.ts"
import { rfc3339Nano } from "./times.ts"

export interface Counted {
  readonly containers: number
  readonly running: number
  readonly paused: number
  readonly images: number
  readonly eventListeners: number
}

export function informationView(
  about: EngineDescription,
  counted: Counted,
  registries: RegistryOptions,
  minor: number,
): Record<string, unknown> {
  const host = hostDescription()
  const v1 = about.cgroupMode !== "v2"
  const can = host.abilities(v1)
  const security = ["seccomp", "cgroupns"].filter((name) => name !== "cgroupns" || !v1)
  const commit = minor < 49 ? { ID: "", Expected: "" } : { ID: "" }
  const warnings = [...about.warnings, ...host.warnings(can)]
  return {
    ID: about.id,
    Containers: counted.containers,
    ContainersRunning: counted.running,
    ContainersPaused: counted.paused,
    ContainersStopped: counted.containers - counted.running - counted.paused,
    Images: counted.images,
    Driver: driverName(about),
    DriverStatus: [
      ["Backing Filesystem", host.fileSystemOf(about.dataRoot)],
      ["Layers", about.snapshotter === "erofs" ? "EROFS images over their tars" : "unpacked"],
    ],
    Plugins: {
      Volume: ["local"],
      Network: ["bridge", "host", "ipvlan", "macvlan", "null"],
      Authorization: null,
      Log: LOG_DRIVERS,
    },
    MemoryLimit: can.memory,
    SwapLimit: can.swap,
    ...(minor < 42 ? { KernelMemory: false } : {}),
    KernelMemoryTCP: false,
    CpuCfsPeriod: can.cpuQuota,
    CpuCfsQuota: can.cpuQuota,
    CPUShares: can.cpu,
    CPUSet: can.cpuset,
    PidsLimit: can.pids,
    IPv4Forwarding: can.forwarding,
    ...(minor < 50 ? { BridgeNfIptables: false, BridgeNfIp6tables: false } : {}),
    Debug: false,
    NFd: host.openDescriptors(),
    OomKillDisable: v1 && can.memory,
    NGoroutines: 0,
    SystemTime: rfc3339Nano(BigInt(Date.now()) * 1_000_000n),
    LoggingDriver: about.logDriver,
    CgroupDriver: "cgroupfs",
    CgroupVersion: v1 ? "1" : "2",
    NEventsListener: counted.eventListeners,
    KernelVersion: about.kernelVersion,
    OperatingSystem: host.operatingSystem,
    OSVersion: host.osVersion,
    OSType: "linux",
    Architecture: process.arch === "x64" ? "x86_64" : process.arch === "arm64" ? "aarch64" : process.arch,
    IndexServerAddress: INDEX_SERVER,
    RegistryConfig: {
      ...(minor < 47
        ? { AllowNondistributableArtifactsCIDRs: [], AllowNondistributableArtifactsHostnames: [] }
        : {}),
      ...registryConfig(registries),
    },
    NCPU: cpus().length,
    MemTotal: totalmem(),
    GenericResources: null,
    DockerRootDir: about.dataRoot,
    HttpProxy: withoutCredentials(process.env.HTTP_PROXY),
    HttpsProxy: withoutCredentials(process.env.HTTPS_PROXY),
    NoProxy: process.env.NO_PROXY ?? "",
    Name: about.name,
    Labels: [],
    ExperimentalBuild: false,
    ServerVersion: VERSION,
    ...(minor < 25 ? { ExecutionDriver: "<not supported>" } : {}),
    Runtimes: { sloop: { path: "launcher" } },
    DefaultRuntime: "sloop",
    Swarm: {
      NodeID: "",
      NodeAddr: "",
      LocalNodeState: "inactive",
      ControlAvailable: false,
      Error: "",
      RemoteManagers: null,
    },
    LiveRestoreEnabled: true,
    Isolation: "",
    InitBinary: "launcher",
    ContainerdCommit: commit,
    RuncCommit: commit,
    InitCommit: commit,
    SecurityOptions: security.map((name) =>
      minor < 25 ? name : name === "seccomp" ? "name=seccomp,profile=builtin" : `name=${name}`,
    ),
    ...(minor < 49 ? {} : { FirewallBackend: { Driver: "nftables" } }),
    CDISpecDirs: [],
    Warnings: warnings.length > 0 ? warnings : null,
  }
}

/** A proxy's address as anyone may see it. */
function withoutCredentials(address = ""): string {
  return address.replace(/^([a-z]+:\/\/)?[^/@]*@/i, "$1xxxxx:xxxxx@")
}
