// Which layers may not have reached the disk yet: unpacked files are not synced one by one, the system writes them back
// within half a minute. After power loss in that time such layers are dropped; images unpacks them again from their blobs.
import type { State } from "../state/state.ts"

export interface Settling {
  /** Notes a fresh layer; to be called in the transaction that records it. */
  begin(chainId: string): void
  /** A fresh layer is being brought to the disk; when it is there it has settled. */
  follow(chainId: string, onDisk: Promise<void>): void
  /** Waits for what is followed; throws what kept it from the disk. */
  wait(chainId: string): Promise<void>
  /** Waits for all that are followed. */
  settle(): Promise<void>
  /** Layers that were fresh when the machine went down, and are forgotten by this call. */
  takeLost(): string[]
}

/** More than the kernel lets dirty pages wait (30 s) and the journal (5 s). */
const settledAfter = 90_000
const prefix = "unsettled-layer:"

export const openSettling = (state: State, boot: string): Settling => {
  const end = (chainId: string): void => {
    try {
      state.settings.remove(prefix + chainId, { durable: false })
    } catch {
      // The state was closed meanwhile; the next process counts anew.
    }
  }
  const settleLater = (chainId: string): void => {
    setTimeout(() => end(chainId), settledAfter).unref()
  }
  /** Layers on their way to the disk; one that failed stays until somebody has heard of it. */
  const followed = new Map<string, Promise<void>>()
  for (const [key, value] of state.settings.entries())
    if (key.startsWith(prefix) && value === boot) settleLater(key.slice(prefix.length))

  return {
    begin(chainId) {
      state.settings.put(prefix + chainId, boot)
      settleLater(chainId)
    },
    follow(chainId, onDisk) {
      const work = onDisk.then(() => {
        followed.delete(chainId)
        end(chainId)
      })
      work.catch(() => {})
      followed.set(chainId, work)
    },
    wait: (chainId) => followed.get(chainId) ?? Promise.resolve(),
    async settle() {
      await Promise.allSettled(followed.values())
    },
    takeLost() {
      const lost = state.settings.entries().filter(([key, value]) => key.startsWith(prefix) && value !== boot)
      for (const [key] of lost) state.settings.remove(key)
      return lost.map(([key]) => key.slice(prefix.length))
    },
  }
}
