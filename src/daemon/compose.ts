// Builds the rooms in their order and hands out the engine that they make.
import { createHash } from "node:crypto"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { parseByteSize } from "../base/byte-size.ts"
import { errorMessage, failure } from "../base/errors.ts"
import { createLog } from "../base/log.ts"
import { VERSION } from "../base/version.ts"
import { type Builder, openBuilder } from "../build/build.ts"
import { openContent } from "../content/content.ts"
import { createEngine, type Engine } from "../engine/engine.ts"
import { createEvents } from "../events/events.ts"
import { openImages, readPolicy } from "../images/images.ts"
import { openKernel } from "../kernel/kernel.ts"
import { createLogs } from "../logs/logs.ts"
import { openNetworks } from "../network/network.ts"
import { openRegistries, type Registries } from "../registry-client/registry-client.ts"
import { createRuntime } from "../runtime/runtime.ts"
import { chooseLayerForm, openOverlaySnapshotter } from "../snapshots/snapshotter.ts"
import { openState } from "../state/state.ts"
import { openVolumes } from "../volumes/volumes.ts"
import { favorCgroupMoves } from "./cgroup-moves.ts"
import { removeCgroupParents } from "./cgroup-parents.ts"
import { type Configuration, DEFAULT_DATA_ROOT } from "./configuration.ts"
import { extractLauncher } from "./embedded-launcher.ts"
import { hostRegistry } from "./registry.ts"
import { keepRunFilesInMemory, releaseRunFiles } from "./run-files.ts"

const log = createLog("daemon")

/** Where certificates of registries are looked for; docker's own place counts too. */
const DEFAULT_CERTIFICATES = ["/etc/sloop/certs.d", "/etc/docker/certs.d"]

export interface Composed {
  readonly engine: Engine
  readonly builder: Builder
  /** Lets everything go. Containers run on unless told otherwise; when none runs, nothing of ours stays behind. */
  close(options: { stopContainers: boolean }): Promise<void>
}

/** Short name of this engine among those of the machine; "" for the default data root. */
export const instanceOf = (dataRoot: string): string =>
  dataRoot === DEFAULT_DATA_ROOT ? "" : createHash("sha256").update(dataRoot).digest("hex").slice(0, 8)

/** Opens every room and finds again what runs. Throws what a room throws; the caller ends the process then. */
export async function compose(configuration: Configuration): Promise<Composed> {
  const { dataRoot, runRoot } = configuration
  keepRunFilesInMemory(runRoot)
  const launcherBinary = configuration.launcher ?? (await extractLauncher(dataRoot))
  const kernel = await openKernel({ launcherBinary, runRoot, dataRoot })
  try {
    return await composeOver(kernel, configuration)
  } catch (error) {
    // Containers do not need the launcher; nothing of ours may outlive a start that failed.
    await kernel.stopLauncher()
    await kernel.close()
    throw error
  }
}

async function composeOver(
  kernel: Awaited<ReturnType<typeof openKernel>>,
  configuration: Configuration,
): Promise<Composed> {
  const { dataRoot, runRoot } = configuration
  const imagePolicy = configuration["image-policy"]
  const instance = instanceOf(dataRoot)
  if (!configuration["leave-cgroup-moves"]) await favorCgroupMoves(kernel)
  const state = openState(join(dataRoot, "state.db"))
  const events = createEvents()
  const content = await openContent(join(dataRoot, "content"))
  const layersRoot = join(dataRoot, "snapshots")
  const form = await chooseLayerForm({ root: layersRoot, kernel, state, wanted: configuration.snapshotter })
  const snapshots = openOverlaySnapshotter({ root: layersRoot, kernel, state, form })
  const images = openImages({
    content,
    snapshots,
    state,
    events,
    root: join(dataRoot, "images"),
    keepCompressed: configuration["keep-compressed"],
    registries: registriesOf(configuration),
    policy: imagePolicy === undefined ? undefined : readPolicy(imagePolicy),
    concurrency: {
      downloads: configuration["max-concurrent-downloads"],
      uploads: configuration["max-concurrent-uploads"],
    },
  })
  const volumes = openVolumes({ root: join(dataRoot, "volumes"), kernel, state, events })
  const networks = openNetworks({
    kernel,
    state,
    instance,
    bridgeName: configuration.bridge,
    subnet: configuration.bip,
    defaultPools: configuration["default-address-pools"],
    poolSize: configuration["network-pool-size"],
    hostGateways: configuration["host-gateway-ips"],
    firewallMode: configuration["firewall-mode"],
    publishDefault: configuration["publish-default"],
    nameSocket: join(runRoot, "names.sock"),
    warn: (message) => log.warn(message),
  })
  const cgroupParent = configuration["cgroup-parent"] ?? (instance === "" ? "sloop" : `sloop-${instance}`)
  const runtime = createRuntime({
    kernel,
    cgroupParent,
    seccompProfile: readProfile(configuration["seccomp-profile"]),
  })
  const builder = openBuilder(
    {
      ...{ kernel, state, content, snapshots, runtime, networks, images },
      root: join(dataRoot, "build"),
      runRoot: join(runRoot, "b"),
    },
    {
      parallelism: configuration["max-concurrent-steps"],
      budget: bytesOf(configuration, "build-cache-budget"),
    },
  )
  const engine = createEngine({
    state,
    events,
    kernel,
    runtime,
    networks,
    snapshots,
    images,
    volumes,
    logs: createLogs(),
    dataRoot,
    runRoot,
    config: {
      name: configuration.name,
      logDriver: configuration["log-driver"],
      logOptions: configuration["log-opts"],
      stopTimeout: configuration["stop-timeout"],
      init: configuration.init,
      diskBudget: bytesOf(configuration, "disk-budget"),
    },
    buildCache: builder,
  })
  await engine.recover()
  await builder.recover()
  const registry = await hostRegistry(configuration, { content, state, images })
  return {
    engine,
    builder,
    async close({ stopContainers }) {
      await registry?.close()
      await builder.close()
      await engine.close({ stopContainers })
      const running = state.containers
        .list()
        .some(({ status }) => status === "running" || status === "paused")
      await networks.close({ remove: !running })
      await snapshots.settle()
      await volumes.settle()
      if (!running) removeCgroupParents(await kernel.features(), cgroupParent)
      if (!running) await kernel.stopLauncher()
      await kernel.close()
      state.close()
      if (!running) releaseRunFiles(runRoot)
    },
  }
}

function registriesOf(configuration: Configuration): Registries {
  const attempts = configuration["max-download-attempts"]
  return openRegistries({
    mirrors: configuration["registry-mirrors"] ?? [],
    insecure: configuration["insecure-registries"] ?? [],
    certificates: configuration["certs-dirs"] ?? DEFAULT_CERTIFICATES,
    agent: `sloop/${VERSION} (linux)`,
    ...(attempts === undefined ? {} : { timing: { attempts } }),
  })
}

function bytesOf(
  configuration: Configuration,
  flag: "disk-budget" | "build-cache-budget",
): number | undefined {
  const text = configuration[flag]
  return text === undefined ? undefined : parseByteSize(text, `--${flag}`)
}

function readProfile(path: string | undefined): string | undefined {
  if (path === undefined) return undefined
  try {
    return readFileSync(path, "utf8")
  } catch (cause) {
    throw failure("invalid", `cannot read the seccomp profile ${path}: ${errorMessage(cause)}`, { cause })
  }
}
