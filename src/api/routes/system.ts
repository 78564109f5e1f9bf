// The engine itself: ping, version, info, disk use.
import { release } from "node:os"
import { failure } from "../../base/errors.ts"
import { VERSION, VERSION_DATE } from "../../base/version.ts"
import type { Builder } from "../../build/build.ts"
import type { Engine } from "../../engine/engine.ts"
import type { Image } from "../../images/images.ts"
import type { ContainerRecord } from "../../state/state.ts"
import type { VersionView } from "../../wire/wire.ts"
import { API_VERSION, MIN_API_VERSION } from "../api-version.ts"
import type { Call } from "../call.ts"
import type { Route } from "../route.ts"
import { cacheUseView } from "../translate/build-cache.ts"
import { imageSummary } from "../translate/images.ts"
import { informationView } from "../translate/information.ts"
import { containerSummary } from "../translate/summary.ts"
import { volumeView } from "../translate/things.ts"

const ARCHITECTURE = process.arch === "x64" ? "amd64" : process.arch

type Used = Pick<
  Engine,
  "containers" | "images" | "volumes" | "volumeUsers" | "describe" | "diskUse" | "events"
>

export function systemRoutes(engine: Used, builder: Pick<Builder, "usage"> | undefined): Route[] {
  const ping = (call: Call) =>
    call.text("OK", {
      // Clients that can do both build with BuildKit's API then.
      "Builder-Version": builder === undefined ? "1" : "2",
      "Cache-Control": "no-cache, no-store, must-revalidate",
      Pragma: "no-cache",
      Swarm: "inactive",
    })

  async function info(call: Call): Promise<void> {
    const records = await engine.containers.list({ all: true, filters: new Map() })
    const count = (status: ContainerRecord["status"]) =>
      records.filter((record) => record.status === status).length
    const counted = {
      containers: records.length,
      running: count("running"),
      paused: count("paused"),
      images: (await engine.images.list()).length,
      eventListeners: engine.events.listeners(),
    }
    call.json(informationView(engine.describe(), counted, engine.images.registries.options, call.minor))
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
    // Before 1.42 everything was told.
    const asked = call.minor < 42 ? [] : call.query.all("type")
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
    if (wants("build-cache")) {
      const cache = (await builder?.usage()) ?? []
      view.BuildCache = cache.map((usage) => cacheUseView(usage, call.minor))
      if (call.minor < 42) view.BuilderSize = cache.reduce((sum, { size }) => sum + size, 0)
    }
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
