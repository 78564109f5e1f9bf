// What every change of a living container's networks shares: what the room is told, and what is stored and written after it.
import { errorMessage, failure } from "../../base/errors.ts"
import { createLog } from "../../base/log.ts"
import type { Changed, LivingContainer } from "../../network/network.ts"
import type { ContainerConfig, ContainerRecord, NetworkRequest } from "../../state/state.ts"
import { describeContainer, durability } from "../catalogue.ts"
import type { Context } from "../context.ts"
import { runDirectory } from "../places.ts"
import { resolveLinks } from "./links.ts"
import { rewriteManagedFiles } from "./managed-files.ts"
import { joinRequest, settledNetworks } from "./requests.ts"

const log = createLog("engine")

/** What the network room knows a running container by; undefined when it does not run. */
export const livingOf = (context: Context, record: ContainerRecord): LivingContainer | undefined => {
  const task = context.live.find(record.id)?.task
  if (task === undefined) return undefined
  const { networkLease } = record
  return {
    id: record.id,
    name: record.name,
    pid: task.pid,
    ...(networkLease === undefined ? {} : { lease: networkLease }),
  }
}

export const requestOf = (context: Context, record: ContainerRecord, networks: readonly NetworkRequest[]) =>
  joinRequest(
    record,
    settledNetworks(context.networks, networks),
    resolveLinks(context, record, { onlyLiving: true }).addresses,
  )

export const requireKept = (record: ContainerRecord): void => {
  if (record.status === "removing" || record.status === "dead")
    throw failure(
      "conflict",
      `Container ${record.id} is marked for removal and cannot be connected or disconnected to the network`,
    )
}

/** The managed files say what the record says. */
export const freshen = (context: Context, id: string, changed: Changed): void => {
  const record = context.catalogue.find(id)
  if (record === undefined) return
  try {
    rewriteManagedFiles(runDirectory(context, id), changed)
    context.catalogue.change(id, { filesStale: undefined }, { durable: false })
  } catch (error) {
    log.warn("managed files could not be brought up to date", {
      container: describeContainer(record),
      error: errorMessage(error),
    })
  }
}

/** Stores what changed for a running container; gives back what was changed for one that ended meanwhile. */
export const keep = async (
  context: Context,
  living: LivingContainer,
  changed: Changed,
  config: Partial<ContainerConfig>,
): Promise<boolean> => {
  const { id } = living
  const record = context.catalogue.find(id)
  const runs = context.live.find(id)?.task?.pid === living.pid
  if (record === undefined || !runs) {
    await context.networks.leave(changed.lease)
    if (record !== undefined) context.catalogue.change(id, { config: { ...record.config, ...config } })
    return false
  }
  const facts = {
    config: { ...record.config, ...config },
    networkLease: changed.lease,
    endpoints: changed.endpoints,
    publishedPorts: changed.ports,
    filesStale: true,
  }
  // What the kernel has is so even when the disk is full.
  context.catalogue.change(id, facts, { ...durability(record), anyway: true })
  return true
}

/** The monitor of a container that has names relays what is asked. */
export const relay = async (context: Context, id: string, { nameRelay }: Changed): Promise<void> => {
  if (nameRelay !== undefined) await context.live.find(id)?.task?.relayNames(nameRelay)
}
