// Sends a container's lines on to where its log driver says, for as long as a run lasts.

import { hostname } from "node:os"
import { join } from "node:path"
import { parseTarget } from "../../logs/logs.ts"
import type { ContainerRecord } from "../../state/state.ts"
import { describeContainer } from "../catalogue.ts"
import type { Context } from "../context.ts"
import type { Live } from "../live.ts"
import { containerDirectory, logPath } from "../places.ts"

/** Milliseconds that a removal waits for a receiver that has not taken the last lines. */
const lastWords = 5000

/** Begins after the run before is sent; `ended`: the run's end, none when it is over already. */
export const forwardLogs = (
  context: Context,
  live: Live,
  record: ContainerRecord,
  ended: Promise<unknown> | undefined,
): void => {
  const { logDriver, logOptions, labels, env, image } = record.config
  const target = parseTarget(logDriver, logOptions)
  if (target === undefined) return
  const before = live.forwarding
  const controller = before?.controller ?? new AbortController()
  const named = (option: string) => new Set((logOptions[option] ?? "").split(",").filter(Boolean))
  const [wantedLabels, wantedVariables] = [named("labels"), named("env")]
  const attributes = Object.fromEntries([
    ...Object.entries(labels).filter(([key]) => wantedLabels.has(key)),
    ...env.flatMap((entry) => {
      const equals = entry.indexOf("=")
      const key = entry.slice(0, Math.max(0, equals))
      return wantedVariables.has(key) ? [[key, entry.slice(equals + 1)] as const] : []
    }),
  ])
  const done = context.background.run(`sending on the log of ${describeContainer(record)}`, async () => {
    await before?.done
    if (controller.signal.aborted) return
    await context.logs.forward({
      path: logPath(context, record.id),
      target,
      origin: {
        id: record.id,
        name: record.name,
        imageId: record.imageId,
        imageName: image,
        host: hostname(),
        attributes,
      },
      positionPath: join(containerDirectory(context, record.id), "sent"),
      signal: controller.signal,
      ...(ended === undefined ? {} : { ended }),
    })
  })
  live.forwarding = { controller, done }
}

/** Before the log goes: what is left of it is sent, if the receiver takes it in time. */
export const finishForwarding = async (live: Live): Promise<void> => {
  const { forwarding } = live
  if (forwarding === undefined) return
  const late = setTimeout(() => forwarding.controller.abort(), lastWords)
  await forwarding.done
  clearTimeout(late)
}
