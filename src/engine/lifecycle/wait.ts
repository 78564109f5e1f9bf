// Waits for the end or the removal of a container.
import type { Context } from "../context.ts"
import type { WaitCondition } from "../engine.ts"
import type { Waiter } from "../live.ts"
import { isActive } from "./transitions.ts"

/** The wait verb. Throws not-found at once; `cancel` forgets the wait. */
export const waitFor = (
  context: Context,
  reference: string,
  condition: WaitCondition,
): { ended: Promise<{ exitCode: number; error?: string }>; cancel(): void } => {
  const record = context.catalogue.get(reference)
  if (condition === "not-running" && !isActive(record.status)) {
    return {
      ended: Promise.resolve({
        exitCode: record.exitCode,
        ...(record.error !== "" && { error: record.error }),
      }),
      cancel: () => {},
    }
  }
  const { waiters } = context.live.of(record.id)
  const { promise, resolve } = Promise.withResolvers<{ exitCode: number; error?: string }>()
  const waiter: Waiter = { condition, resolve }
  waiters.add(waiter)
  return { ended: promise, cancel: () => waiters.delete(waiter) }
}
