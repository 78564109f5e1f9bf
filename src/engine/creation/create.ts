// Creates a container: image and defaults merged, name taken, writable layer and volumes made, record written last.

import { hostname } from "node:os"
import { unixMilliseconds } from "../../base/clock.ts"
import { crashPoint } from "../../base/crash-point.ts"
import { errorKind, errorMessage, failure } from "../../base/errors.ts"
import { newId, randomName } from "../../base/ids.ts"
import { UndoStack } from "../../base/undo-stack.ts"
import type { ContainerConfig, ContainerRecord } from "../../state/state.ts"
import { announce } from "../announce.ts"
import type { Context } from "../context.ts"
import type { CreateConfig } from "../engine.ts"
import { checkNetworks } from "../networking/check.ts"
import { namedNetworks } from "../networking/requests.ts"
import { argvOf, mergeConfig } from "./merge.ts"
import { makeMountPoints } from "./mount-points.ts"
import { validateConfig, validateName } from "./validate.ts"

/** "container:web" → "container:ID". Throws invalid. */
const resolveMode = (context: Context, mode: string): string =>
  mode.startsWith("container:")
    ? `container:${context.catalogue.required(mode.slice("container:".length)).id}`
    : mode

const resolveModes = (context: Context, config: ContainerConfig): ContainerConfig => {
  const { networkMode, pidMode, ipcMode } = config
  if (![networkMode, pidMode, ipcMode].some((mode) => mode.startsWith("container:"))) return config
  const owner = networkMode.startsWith("container:")
    ? context.catalogue.required(networkMode.slice("container:".length))
    : undefined
  return {
    ...config,
    hostname: owner?.config.hostname ?? config.hostname,
    networkMode: resolveMode(context, networkMode),
    pidMode: resolveMode(context, pidMode),
    ipcMode: resolveMode(context, ipcMode),
  }
}

const takeName = (context: Context, asked: string | undefined, id: string): string => {
  if (asked === undefined || asked === "") {
    const name = randomName((candidate) => context.catalogue.holder(candidate) !== undefined)
    context.catalogue.reserve(name, id)
    return name
  }
  const name = asked.replace(/^\/(?=.)/, "")
  validateName(name)
  context.catalogue.reserve(name, id)
  return name
}

const newRecord = (id: string, name: string, imageId: string, config: ContainerConfig): ContainerRecord => {
  const [path = "", ...args] = argvOf(config)
  return {
    id,
    name,
    createdAt: unixMilliseconds(),
    imageId,
    path,
    args,
    config,
    snapshot: id,
    mountPoints: [],
    status: "created",
    pid: 0,
    exitCode: 0,
    oomKilled: false,
    error: "",
    startedAt: 0,
    finishedAt: 0,
    restartCount: 0,
    stoppedByUser: false,
    endpoints: [],
    publishedPorts: [],
  }
}

/** Throws invalid, not-found (image, container of a mode), conflict (name). Nothing is left when it fails. */
export const createContainer = async (
  context: Context,
  request: { name?: string; config: CreateConfig },
): Promise<{ id: string; warnings: string[] }> => {
  const { catalogue, state } = context
  const image = await context.images.get(request.config.image)
  const id = newId()
  const merged = mergeConfig(request.config, image.config, context.config, {
    id,
    get hostName() {
      return context.config.name ?? hostname()
    },
  })
  if (request.config.hostname && merged.networkMode.startsWith("container:")) {
    throw failure("invalid", "conflicting options: hostname and the network mode")
  }
  if (request.config.hostname && merged.utsMode === "host") {
    throw failure("invalid", "conflicting options: hostname and the UTS mode")
  }
  const config = namedNetworks(context.networks, resolveModes(context, merged))
  if (argvOf(config).length === 0 || argvOf(config)[0] === "")
    throw failure("invalid", "no command specified")
  validateConfig(config)
  checkNetworks(context.networks, config)
  const warnings = await context.runtime.validate(config)
  if (config.networkMode === "host" && config.ports.length > 0)
    warnings.push("Published ports are discarded when using host network mode")

  const undo = new UndoStack()
  try {
    const name = takeName(context, request.name, id)
    undo.push("name", () => catalogue.unreserve(name, id))
    let record = newRecord(id, name, image.id, config)
    crashPoint("create:begun")

    const mountPoints = await makeMountPoints(context, record, undo, () => context.images.view(image))
    if (mountPoints.length > 0) record = { ...record, mountPoints }
    crashPoint("create:volumes")

    // On the disk with the start, which is, or within a second.
    const together = () => {
      catalogue.put(record)
      state.removals.remove(id)
    }
    await context.snapshots.prepare(id, image.chainId, { ephemeral: config.autoRemove, together })
    undo.discard()
    crashPoint("create:recorded")
    announce(context, record, "create")
    return { id, warnings }
  } catch (error) {
    await undo.unwind()
    // Not-found means to clients that the image is missing, which they pull then.
    if (errorKind(error) === "not-found") throw failure("invalid", errorMessage(error), { cause: error })
    throw error
  }
}
