// Builds the engine from its rooms: every verb of the contract, bound to one context.

import { hostname, release } from "node:os"
import { join } from "node:path"
import { currentBoot } from "../base/boot.ts"
import { errorMessage, failure } from "../base/errors.ts"
import { newId } from "../base/ids.ts"
import { KeyedMutex } from "../base/keyed-mutex.ts"
import { createLog } from "../base/log.ts"
import { announceBriefly } from "./announce.ts"
import { createCatalogue } from "./catalogue.ts"
import {
  Background,
  type BuildCache,
  type Context,
  type EngineConfiguration,
  type EngineRooms,
} from "./context.ts"
import { createContainer } from "./creation/create.ts"
import type { Containers, Engine, EngineDescription } from "./engine.ts"
import { createExecs, ExecTable, recoverExecs } from "./execs/exec.ts"
import { ExecNotes } from "./execs/exec-notes.ts"
import { archiveGet, archivePut, archiveStat, changesOf, exportContainer, sizesOf } from "./files/archive.ts"
import { commitContainer } from "./files/commit.ts"
import { watchDiskBudget } from "./files/disk-budget.ts"
import { diskUse } from "./files/disk-use.ts"
import { Reaper } from "./files/reap.ts"
import { recoverEngine } from "./lifecycle/recover.ts"
import { removeVerb } from "./lifecycle/remove.ts"
import { restartContainer, startContainer } from "./lifecycle/start.ts"
import {
  killContainer,
  pauseContainer,
  restartVerb,
  stopAll,
  stopContainer,
  unpauseContainer,
} from "./lifecycle/stop.ts"
import { permit } from "./lifecycle/transitions.ts"
import { renameContainer, updateContainer } from "./lifecycle/update.ts"
import { waitFor } from "./lifecycle/wait.ts"
import { LiveContainers } from "./live.ts"
import { connectContainerTo, disconnectContainerFrom } from "./networking/living.ts"
import { createNetwork, pruneNetworks, removeNetwork } from "./networking/networks.ts"
import { changePorts } from "./networking/ports.ts"
import { imageUsers, pruneContainers, volumeUsers } from "./prune.ts"
import { attachContainer } from "./streams/attach.ts"
import { readLogs } from "./streams/read-logs.ts"
import { listContainers } from "./views/list.ts"
import { statsOf } from "./views/stats.ts"
import { topOf } from "./views/top.ts"

const log = createLog("engine")

export interface EngineOptions extends EngineRooms {
  /** Directory of everything that lasts. */
  readonly dataRoot: string
  /** Directory of sockets; short, because a socket's path holds 107 bytes. */
  readonly runRoot: string
  readonly config?: EngineConfiguration
  readonly buildCache?: BuildCache
}

const containersOf = (context: Context): Containers => ({
  create: (request) => createContainer(context, request),
  get: (reference) => context.catalogue.get(reference),
  find: (reference) => context.catalogue.find(reference),
  list: (filter) => listContainers(context, filter),
  sizes: (reference) => sizesOf(context, reference),
  start: (reference, options) => startContainer(context, reference, options),
  stop: (reference, options) => stopContainer(context, reference, options),
  restart: (reference, options) => restartVerb(context, reference, options),
  kill: (reference, signal) => killContainer(context, reference, signal),
  pause: (reference) => pauseContainer(context, reference),
  unpause: (reference) => unpauseContainer(context, reference),
  rename: (reference, name) => renameContainer(context, reference, name),
  async resize(reference, rows, columns) {
    const record = context.catalogue.get(reference)
    permit("resize", record)
    const task = context.live.find(record.id)?.task
    if (task === undefined) throw failure("conflict", `container ${record.id} is not running`)
    // Docker lets sizes of a process without a terminal pass.
    if (record.config.tty) await task.resize(rows, columns)
    announceBriefly(context, record, "resize", { height: String(rows), width: String(columns) })
  },
  wait: (reference, condition) => waitFor(context, reference, condition),
  attach: (reference, options) => attachContainer(context, reference, options),
  logs: (reference, options) => readLogs(context, reference, options),
  top: (reference, psArguments) => topOf(context, reference, psArguments),
  stats: (reference) => statsOf(context, reference),
  changes: (reference) => changesOf(context, reference),
  archiveStat: (reference, path) => archiveStat(context, reference, path),
  archiveGet: (reference, path) => archiveGet(context, reference, path),
  archivePut: (reference, path, tar, options) => archivePut(context, reference, path, tar, options),
  export: (reference) => exportContainer(context, reference),
  update: (reference, changes) => updateContainer(context, reference, changes),
  connect: (reference, request) => connectContainerTo(context, reference, request),
  disconnect: (reference, network, options) => disconnectContainerFrom(context, reference, network, options),
  changePorts: (reference, change) => changePorts(context, reference, change),
  remove: (reference, options) => removeVerb(context, reference, options),
  prune: (options) => pruneContainers(context, options),
  commit: (reference, options) => commitContainer(context, reference, options),
})

const describe = (context: Context): EngineDescription => ({
  id: context.state.settings.find("engine-id") ?? "",
  name: context.config.name ?? hostname(),
  dataRoot: context.dataRoot,
  runRoot: context.runRoot,
  snapshotter: context.snapshots.name,
  cgroupMode: context.features?.cgroupMode ?? "v1",
  kernelVersion: context.features?.kernelVersion ?? release(),
  logDriver: context.config.logDriver ?? "json-file",
  warnings: [],
})

const close = async (context: Context, options: { stopContainers: boolean }): Promise<void> => {
  context.closing = true
  for (const live of context.live.list()) {
    clearTimeout(live.restartTimer)
    live.restartTimer = undefined
    live.stopHealth?.()
  }
  if (options.stopContainers) await stopAll(context)
  for (const live of context.live.list()) {
    live.task?.release()
    live.forwarding?.controller.abort()
  }
  await context.background.settle()
  await context.reaper.settle()
}

/** Builds the engine. Nothing is touched before recover(), which must have resolved before the first verb. */
export const createEngine = (options: EngineOptions): Engine => {
  const { dataRoot, runRoot, config = {}, buildCache, ...rooms } = options
  const context: Context = {
    ...rooms,
    dataRoot,
    runRoot,
    boot: currentBoot(),
    config,
    buildCache,
    mutex: new KeyedMutex(),
    catalogue: createCatalogue(rooms.state),
    live: new LiveContainers(),
    background: new Background(),
    reaper: new Reaper(join(dataRoot, "reap"), rooms.kernel),
    features: undefined,
    closing: false,
    relaunch: (live) => restartContainer(context, live),
  }
  if (rooms.state.settings.find("engine-id") === undefined) rooms.state.settings.put("engine-id", newId())
  let unwatchBudget = () => {}
  const execs = new ExecTable(new ExecNotes(context))
  rooms.events.subscribe((event) => {
    if (event.type === "container" && event.action === "destroy") execs.forgetContainer(event.id)
  })
  return {
    containers: containersOf(context),
    execs: createExecs(context, execs),
    images: rooms.images,
    volumes: rooms.volumes,
    networks: rooms.networks,
    events: rooms.events,
    describe: () => describe(context),
    diskUse: () => diskUse(context),
    removeImage: (reference, request) =>
      rooms.images.remove(reference, request, (imageId) => imageUsers(context, imageId)),
    pruneImages: (request) => rooms.images.prune(request, (imageId) => imageUsers(context, imageId)),
    removeVolume: (name, request) => rooms.volumes.remove(name, request, volumeUsers(context, name)),
    pruneVolumes: (request) => rooms.volumes.prune(request, (name) => volumeUsers(context, name).length > 0),
    createNetwork: (request) => createNetwork(context, request),
    removeNetwork: (reference) => removeNetwork(context, reference),
    pruneNetworks: (request) => pruneNetworks(context, request),
    volumeUsers: (name) => volumeUsers(context, name),
    async recover() {
      await recoverEngine(context)
      await recoverExecs(context, execs)
      if (config.diskBudget !== undefined) unwatchBudget = watchDiskBudget(context, config.diskBudget)
    },
    close: async (request) => {
      unwatchBudget()
      try {
        await close(context, request)
      } catch (error) {
        log.error("the engine did not close cleanly", { error: errorMessage(error) })
      }
    },
  }
}
