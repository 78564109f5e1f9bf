// A new image from what a container has written.

import { applyChanges } from "../../images/images.ts"
import { announce } from "../announce.ts"
import type { Context } from "../context.ts"
import type { CommitOptions } from "../engine.ts"
import { imageConfigOf, withCommitConfig } from "./commit-config.ts"

/** The commit verb; returns the image id. The container is paused meanwhile unless told otherwise. */
export const commitContainer = async (
  context: Context,
  reference: string,
  options: CommitOptions,
): Promise<string> => {
  const record = context.catalogue.get(reference)
  const config = applyChanges(
    withCommitConfig(imageConfigOf(record.config), options.config ?? {}),
    options.changes,
  )
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
