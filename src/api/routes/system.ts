// The engine itself: ping, version, info, disk use.
import { cpus, release, totalmem } from "node:os"
import { failure } from "../../base/errors.ts"
import { VERSION, VERSION_DATE } from "../../base/version.ts"
import type { Engine } from "../../engine/engine.ts"
import type { Image } from "../../images/images.ts"
import type { ContainerRecord } from "../../state/state.ts"
import type { VersionView } from "../../wire/wire.ts"
import { API_VERSION, MIN_API_VERSION } from "../api-version.ts"
import type { Call } from "../call.ts"
import { hostDescription } from "../host.ts"
import type { Route } from "../route.ts"
import { imageSummary } from "../translate/images.ts"
import { driverName } from "../translate/inspect.ts"
import { INDEX_SERVER, registryConfig } from "../translate/registry.ts"
import { containerSummary } from "../translate/summary.ts"
import { volumeView } from "../translate/things.ts"
import { rfc3339Nano } from "../translate/times.ts"

const ARCHITECTURE = process.arch === "x64" ? "amd64" : process.arch

type Used = Pick<Engine, "containers" | "images" | "volumes" | "volumeUsers" | "describe" | "diskUse">

export function systemRoutes(engine: Used): Route[] {
  const ping = (call: Call) =>
    call.text("OK", {
      "Cache-Control": "no-cache, no-store, must-revalidate",
      Pragma: "no-cache",
      Swarm: "inactive",
    })

  async function info(call: Call): Promise<void> {
    const about = engine.describe()
    const records = await engine.containers.list({ all: true, filters: new Map() })
    const count = (status: ContainerRecord["status"]) =>
      records.filter((record) => record.status === status).length
    const running = count("running")
    const paused = count("paused")
    const host = hostDescription()
    const v1 = about.cgroupMode !== "v2"
    call.json({
      ID: about.id,
      Containers: records.length,
      ContainersRunning: running,
      ContainersPaused: paused,
      ContainersStopped: records.length - running - paused,
      Images: (await engine.images.list()).length,
      Driver: driverName(about),
      DriverStatus: [
        ["Backing Filesystem", host.fileSystemOf(about.dataRoot)],
        ["Layers", about.snapshotter === "erofs" ? "EROFS images over their tars" : "unpacked"],
      ],
      Plugins: {
        Volume: ["local"],
        Network: ["bridge", "host", "null"],
        Authorization: null,
        Log: ["json-file", "none"],
      },
      MemoryLimit: true,
      SwapLimit: true,
      KernelMemoryTCP: false,
      CpuCfsPeriod: true,
      CpuCfsQuota: true,
      CPUShares: true,
      CPUSet: true,
      PidsLimit: true,
      IPv4Forwarding: true,
      Debug: false,
      NFd: host.openDescriptors(),
      OomKillDisable: v1,
      NGoroutines: 0,
      SystemTime: rfc3339Nano(BigInt(Date.now()) * 1_000_000n),
      LoggingDriver: about.logDriver,
      CgroupDriver: "cgroupfs",
      CgroupVersion: v1 ? "1" : "2",
      NEventsListener: 0,
      KernelVersion: about.kernelVersion,
      OperatingSystem: host.operatingSystem,
      OSVersion: host.osVersion,
      OSType: "linux",
      Architecture: process.arch === "x64" ? "x86_64" : process.arch === "arm64" ? "aarch64" : process.arch,
      IndexServerAddress: INDEX_SERVER,
      RegistryConfig: registryConfig(engine.images.registries.options),
      NCPU: cpus().length,
      MemTotal: totalmem(),
      GenericResources: null,
      DockerRootDir: about.dataRoot,
      HttpProxy: process.env.HTTP_PROXY ?? "",
      HttpsProxy: process.env.HTTPS_PROXY ?? "",
      NoProxy: process.env.NO_PROXY ?? "",
      Name: about.name,
      Labels: [],
      ExperimentalBuild: false,
      ServerVersion: VERSION,
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
      ContainerdCommit: { ID: "" },
      RuncCommit: { ID: "" },
      InitCommit: { ID: "" },
      SecurityOptions: ["name=seccomp,profile=builtin", ...(v1 ? [] : ["name=cgroupns"])],
      CDISpecDirs: [],
      Warnings: about.warnings.length > 0 ? about.warnings : null,
    })
  }

  function version(call: Call): void {
    const { kernelVersion } = engine.describe()
    const view: VersionView = {
      Platform: { Name: "Sloop" },
      Components: [
        {
          Name: "Engine",
          Version: VERSION,
          Details: {
            ApiVersion: API_VERSION,
            Arch: ARCHITECTURE,
            BuildTime: VERSION_DATE,
            Experimental: "false",
            GitCommit: "",
            GoVersion: "",
            KernelVersion: kernelVersion || release(),
            MinAPIVersion: MIN_API_VERSION,
            Os: "linux",
          },
        },
      ],
      Version: VERSION,
      ApiVersion: API_VERSION,
      MinAPIVersion: MIN_API_VERSION,
      GitCommit: "",
      GoVersion: "",
      Os: "linux",
      Arch: ARCHITECTURE,
      KernelVersion: kernelVersion || release(),
      BuildTime: VERSION_DATE,
    }
    call.json(view)
  }

  /** What docker's answer has no place for: everything below the data root by what it belongs to. */
  async function dataRoot() {
    const { layers, content, containers, volumes, own, total } = await engine.diskUse()
    const sum = (values: ReadonlyMap<string, number>) =>
      [...values.values()].reduce((all, one) => all + one, 0)
    const things = [
      ["image layers", sum(layers)],
      ["image documents", content],
      ["containers", sum(containers)],
      ["volumes", sum(volumes)],
      ...own,
    ] as const
    return {
      layers: sum(layers),
      view: {
        Path: engine.describe().dataRoot,
        Total: total,
        Things: things.map(([Name, Bytes]) => ({ Name, Bytes })),
      },
    }
  }

  async function diskUse(call: Call): Promise<void> {
    const asked = call.query.all("type")
    for (const type of asked) {
      if (!["container", "image", "volume", "build-cache"].includes(type)) {
        throw failure("invalid", `unknown object type: ${type}`)
      }
    }
    const wants = (type: string) => asked.length === 0 || asked.includes(type)
    const records = await engine.containers.list({ all: true, filters: new Map() })
    const view: Record<string, unknown> = {}
    if (wants("image")) Object.assign(view, imageUse(await engine.images.list(), records, call.minor))
    if (wants("container")) {
      const now = Date.now()
      view.Containers = await Promise.all(
        records.map(async (record) =>
          containerSummary(
            record,
            { image: record.config.image, sizes: await engine.containers.sizes(record.id) },
            now,
          ),
        ),
      )
    }
    if (wants("volume")) {
      view.Volumes = await Promise.all(
        engine.volumes.list().map(async (volume) => ({
          ...volumeView(volume, engine.volumes.path(volume.name)),
          UsageData: {
            RefCount: engine.volumeUsers(volume.name).length,
            Size: await engine.volumes.usage(volume.name),
          },
        })),
      )
    }
    if (wants("build-cache")) view.BuildCache = []
    const { layers, view: things } = await dataRoot()
    if (wants("image")) view.LayersSize = layers
    if (asked.length === 0) view.DataRoot = things
    call.json(view)
  }

  const yes = { support: "yes" } as const
  return [
    { ...yes, method: "GET", path: "/_ping", summary: "Is it there", run: ping },
    { ...yes, method: "HEAD", path: "/_ping", summary: "Is it there", run: ping },
    { ...yes, method: "GET", path: "/version", summary: "Versions", run: version },
    { ...yes, method: "GET", path: "/info", summary: "The engine and its host", run: info },
    { ...yes, method: "GET", path: "/system/df", summary: "Disk use", run: diskUse },
  ]
}

/** Images with how many containers use each, and the bytes of all layers, each counted once. */
function imageUse(images: readonly Image[], records: readonly ContainerRecord[], minor: number) {
  const layers = new Map<string, number>()
  for (const image of images) {
    let chain = ""
    for (const { diffId, size } of image.layers) {
      chain = `${chain} ${diffId}`
      layers.set(chain, size)
    }
  }
  return {
    LayersSize: [...layers.values()].reduce((sum, size) => sum + size, 0),
    Images: images.map((image) => ({
      ...imageSummary(image, minor, records.filter(({ imageId }) => imageId === image.id).length),
      SharedSize: sharedSize(image, images),
    })),
  }
}

/** Bytes of the layers that at least one other image has too. */
function sharedSize(image: Image, images: readonly Image[]): number {
  let shared = 0
  for (const [depth, layer] of image.layers.entries()) {
    const isShared = images.some(
      (other) =>
        other.id !== image.id &&
        image.layers.slice(0, depth + 1).every(({ diffId }, index) => other.layers[index]?.diffId === diffId),
    )
    if (!isShared) break
    shared += layer.size
  }
  return shared
}
