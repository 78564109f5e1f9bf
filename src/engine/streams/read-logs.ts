// The logs verb: a container's log, followed until the present run ends.
import { failure } from "../../base/errors.ts"
import type { LogEntry } from "../../logs/logs.ts"
import type { Context } from "../context.ts"
import type { Containers } from "../engine.ts"
import { isActive } from "../lifecycle/transitions.ts"
import { waitFor } from "../lifecycle/wait.ts"
import { logPath } from "../places.ts"

/** Resolves at the end of the present run, or when the reader is gone: then nothing of it stays with the container. */
const endOrAbort = (context: Context, id: string, signal: AbortSignal | undefined): Promise<void> => {
  const { ended, cancel } = waitFor(context, id, "not-running")
  const { promise, resolve } = Promise.withResolvers<void>()
  const done = () => {
    cancel()
    signal?.removeEventListener("abort", done)
    resolve()
  }
  signal?.addEventListener("abort", done)
  ended.then(done)
  return promise
}

/** Resolves when the container does not run any more; an automatic restart goes on. */
const restsAt = async (context: Context, id: string, signal: AbortSignal | undefined): Promise<void> => {
  while (!signal?.aborted) {
    const live = context.live.find(id)
    const record = context.catalogue.find(id)
    if (live === undefined || record === undefined || !isActive(record.status)) return
    if (live.task === undefined) {
      await new Promise((resolve) => setTimeout(resolve, 100))
      continue
    }
    await endOrAbort(context, id, signal)
  }
}

/** Throws not-implemented when the log driver keeps nothing to read. */
export const readLogs = (
  context: Context,
  reference: string,
  options: Parameters<Containers["logs"]>[1],
): AsyncIterable<readonly LogEntry[]> => {
  const record = context.catalogue.get(reference)
  if (record.config.logDriver === "none") {
    throw failure("not-implemented", "configured logging driver does not support reading")
  }
  return context.logs.read(logPath(context, record.id), {
    ...options,
    ...(options.follow && { ended: restsAt(context, record.id, options.signal) }),
  })
}
