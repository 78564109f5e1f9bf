// Removes a container: the record goes first and is the decision, its traces follow and are finished after a crash.

import { crashPoint } from "../../base/crash-point.ts"
import { failure } from "../../base/errors.ts"
import { signalKill } from "../../base/signals.ts"
import type { ContainerRecord, RemovalRecord } from "../../state/state.ts"
import { announce } from "../announce.ts"
import { describeContainer, durability } from "../catalogue.ts"
import type { Context } from "../context.ts"
import type { Live } from "../live.ts"
import { removeLink } from "../networking/links.ts"
import { containerDirectory } from "../places.ts"
import { finishForwarding } from "../streams/forward-logs.ts"
import { signalRun } from "./signal-run.ts"
import { takeDown } from "./take-down.ts"
import { isActive, permit } from "./transitions.ts"

/** Anonymous volumes of a container that no other one uses. */
const ownVolumes = (context: Context, record: ContainerRecord): string[] => {
  const names = record.mountPoints.flatMap((point) =>
    point.name !== undefined && context.volumes.find(point.name)?.anonymous ? [point.name] : [],
  )
  if (names.length === 0) return []
  const others = context.catalogue.list().filter((other) => other.id !== record.id)
  return names.filter(
    (name) => !others.some((other) => other.mountPoints.some((point) => point.name === name)),
  )
}

const removeVolumes = async (context: Context, names: readonly string[]): Promise<void> => {
  for (const name of names) await context.volumes.remove(name, { force: true }, [])
}

/** Clears what is left of a removed container. Every step may be repeated. */
export const finishRemoval = async (
  context: Context,
  removal: RemovalRecord,
  options: { silently?: boolean } = {},
): Promise<void> => {
  const { container } = removal
  await removeVolumes(context, removal.volumes)
  crashPoint("remove:volumes")
  await takeDown(context, container, options)
  crashPoint("remove:down")
  await context.snapshots.remove(container.snapshot)
  crashPoint("remove:snapshot")
  context.reaper.take(containerDirectory(context, container.id))
  crashPoint("remove:directory")
  context.state.removals.remove(container.id, { durable: false })
  crashPoint("remove:done")
}

/**
 * Removes a container that does not run: record and name are gone when it returns, its own volumes too (at the next turn),
 * and `removed` waits are resolved.
 * What nobody sees any more is cleared in the background.
 */
export const removeRecord = (
  context: Context,
  live: Live,
  record: ContainerRecord,
  options: { volumes: boolean },
): void => {
  live.removing = true
  clearTimeout(live.restartTimer)
  const teardown = live.teardown
  const removal: RemovalRecord = {
    container: record,
    volumes: options.volumes ? ownVolumes(context, record) : [],
  }
  try {
    context.state.transaction(
      () => {
        context.state.removals.put(record.id, removal)
        context.catalogue.remove(record.id)
      },
      { ...durability(record), makesRoom: true },
    )
  } catch (error) {
    // The record is back; its name must be, too.
    context.catalogue.reserve(record.name, record.id)
    live.removing = false
    throw error
  }
  crashPoint("remove:recorded")
  // At once: whoever hears that the container is gone must not find its volumes in a list.
  const volumes = removeVolumes(context, removal.volumes)
  for (const waiter of live.waiters) {
    waiter.resolve(
      record.error === ""
        ? { exitCode: record.exitCode }
        : { exitCode: record.exitCode, error: record.error },
    )
  }
  live.waiters.clear()
  for (const attach of live.pending) attach.stream.finish()
  live.pending.clear()
  context.live.forget(record.id)
  announce(context, record, "destroy")
  context.background.run(`removing ${describeContainer(record)}`, async () => {
    await volumes
    if (teardown !== undefined) await teardown
    await finishForwarding(live)
    await finishRemoval(context, removal, { silently: live.tellsOfLeaving })
  })
}

/** Kills the container if it runs and waits until its end is recorded. */
const killFirst = async (context: Context, live: Live): Promise<void> => {
  const { task, ended } = live
  if (task === undefined) return
  const delivery = await signalRun(context, live, signalKill)
  if (delivery === "delivered") await task.resume().catch(() => {})
  announce(context, context.catalogue.get(live.id), "kill", { signal: "9" })
  await ended
}

/** The remove verb. */
export const removeVerb = async (
  context: Context,
  reference: string,
  options: { force: boolean; volumes: boolean; link?: boolean },
): Promise<void> => {
  if (options.link) return removeLink(context, reference)
  const { id, name } = context.catalogue.get(reference)
  const busy = context.live.find(id)
  if (busy?.removing) throw failure("conflict", `removal of container ${name} is already in progress`)
  await context.mutex.run(id, async () => {
    const record = context.catalogue.get(id)
    if (!options.force) permit("remove", record)
    const live = context.live.of(id)
    if (live.removing) throw failure("conflict", `removal of container ${name} is already in progress`)
    live.removing = true
    crashPoint("remove:begun")
    try {
      clearTimeout(live.restartTimer)
      if (isActive(record.status)) await killFirst(context, live)
      removeRecord(context, live, context.catalogue.get(id), { volumes: options.volumes })
    } catch (error) {
      live.removing = false
      throw error
    }
  })
}
