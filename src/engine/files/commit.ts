// A new image from what a container has written.

import { applyChanges, type ImageConfig } from "../../images/images.ts"
import type { ContainerConfig } from "../../state/state.ts"
import { announce } from "../announce.ts"
import type { Context } from "../context.ts"
import type { CommitOptions } from "../engine.ts"

const imageConfigOf = (config: ContainerConfig): ImageConfig => ({
  user: config.user,
  exposedPorts: config.exposedPorts,
  env: config.env,
  entrypoint: config.entrypoint,
  command: config.command.length > 0 ? config.command : undefined,
  argsEscaped: config.argsEscaped,
  volumes: config.volumes,
  workingDirectory: config.workingDirectory,
  labels: config.labels,
  stopSignal: config.stopSignal,
  healthcheck: config.healthcheck,
  shell: config.shell,
  onBuild: config.onBuild,
})

/** The commit verb; returns the image id. The container is paused meanwhile unless told otherwise. */
export const commitContainer = async (
  context: Context,
  reference: string,
  options: CommitOptions,
): Promise<string> => {
  const record = context.catalogue.get(reference)
  const config = applyChanges(imageConfigOf(record.config), options.changes)
  const parent = await context.images.get(record.imageId)
  const task = context.live.find(record.id)?.task
  const pauses = options.pause && task !== undefined && record.status === "running"
  if (pauses) await task.pause()
  try {
    const id = await context.images.commit({
      snapshotKey: record.snapshot,
      parent,
      reference: options.reference,
      author: options.author,
      comment: options.comment,
      config,
      createdBy: [record.path, ...record.args].join(" "),
    })
    announce(context, record, "commit", {
      imageID: id,
      ...(options.comment && { comment: options.comment }),
    })
    return id
  } finally {
    if (pauses) await task.resume().catch(() => {})
  }
}
