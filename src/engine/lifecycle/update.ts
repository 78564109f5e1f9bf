// Changes what may be changed of a container that exists: limits, restart policy, name.

import { failure } from "../../base/errors.ts"
import type { ContainerConfig, ContainerRecord, Resources, RestartPolicy } from "../../state/state.ts"
import { announce } from "../announce.ts"
import type { Context } from "../context.ts"
import { validateConfig, validateName } from "../creation/validate.ts"
import { renameOnNetworks } from "../networking/living.ts"

const merged = (
  config: ContainerConfig,
  changes: { resources: Resources; restart?: RestartPolicy },
): ContainerConfig => {
  const asked = Object.fromEntries(
    Object.entries(changes.resources).filter(([, value]) => value !== undefined),
  )
  const resources: Resources = { ...config.resources, ...asked }
  return { ...config, resources, restart: changes.restart ?? config.restart }
}

/** The update verb; returns warnings. Nothing is changed when the kernel refuses a limit. */
export const updateContainer = async (
  context: Context,
  reference: string,
  changes: { resources: Resources; restart?: RestartPolicy },
): Promise<string[]> => {
  const { id } = context.catalogue.get(reference)
  return context.mutex.run(id, async () => {
    const record = context.catalogue.get(id)
    if (record.status === "removing" || record.status === "dead") {
      throw failure(
        "conflict",
        `Cannot update container ${id}: container is marked for removal and cannot be "update"`,
      )
    }
    if (record.config.autoRemove && changes.restart !== undefined && changes.restart.name !== "no") {
      throw failure(
        "invalid",
        "Restart policy cannot be updated because AutoRemove is enabled for the container",
      )
    }
    const config = merged(record.config, changes)
    validateConfig(config)
    const warnings = await context.runtime.validate(config)
    await context.live.find(id)?.task?.update(config.resources)
    const changed = context.catalogue.change(id, { config })
    announce(context, changed ?? record, "update")
    return warnings
  })
}

/** The rename verb. Throws invalid (grammar, same name), conflict (taken). */
export const renameContainer = async (context: Context, reference: string, asked: string): Promise<void> => {
  const { id } = context.catalogue.get(reference)
  const name = asked.startsWith("/") ? asked.slice(1) : asked
  if (name === "") throw failure("invalid", "Neither old nor new names may be empty")
  await context.mutex.run(id, async () => {
    const record = context.catalogue.get(id)
    if (record.name === name) {
      throw failure("invalid", "Renaming a container with the same name as its current name")
    }
    validateName(name)
    context.catalogue.reserve(name, id)
    let changed: ContainerRecord | undefined
    try {
      changed = context.catalogue.change(id, { name })
    } catch (error) {
      context.catalogue.unreserve(name, id)
      throw error
    }
    try {
      if (changed !== undefined) await renameOnNetworks(context, changed)
    } catch (error) {
      context.catalogue.change(id, { name: record.name })
      context.catalogue.unreserve(name, id)
      throw error
    }
    context.catalogue.unreserve(record.name, id)
    announce(context, changed ?? record, "rename", { oldName: `/${record.name}` })
  })
}
