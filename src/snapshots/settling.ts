// Which layers may not have reached the disk yet: unpacked files, and layers of builds, are not synced; the system writes them
// back within half a minute. After power loss in that time such layers are dropped; images unpacks them again from their
// blobs, or drops what was built a moment before. Whoever must be sure asks for a layer to be brought to the disk now.
import type { State } from "../state/state.ts"

export interface Settling {
  /** Notes a fresh layer; to be called in the transaction that records it. */
  begin(chainId: string): void
  /** Brings a fresh layer to the disk where that can be done; free for others. Throws what kept it from there. */
  persist(chainId: string): Promise<void>
  /** Layers that were fresh when the machine went down, and are forgotten by this call. */
  takeLost(): string[]
}

/** More than the kernel lets dirty pages wait (30 s) and the journal (5 s). */
const settledAfter = 90_000
const prefix = "unsettled-layer:"

/** `sync` brings a layer's files to the disk; undefined for layers of which that cannot be said. */
export const openSettling = (
  state: State,
  boot: string,
  sync: (chainId: string) => Promise<void> | undefined,
): Settling => {
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
  const running = new Map<string, Promise<void>>()
  for (const [key, value] of state.settings.entries())
    if (key.startsWith(prefix) && value === boot) settleLater(key.slice(prefix.length))

  return {
    begin(chainId) {
      state.settings.put(prefix + chainId, boot)
      settleLater(chainId)
    },
    async persist(chainId) {
      if (state.settings.find(prefix + chainId) === undefined) return
      const known = running.get(chainId)
      if (known !== undefined) return known
      const work = sync(chainId)
      if (work === undefined) return
      running.set(chainId, work)
      try {
        await work
        end(chainId)
      } finally {
        running.delete(chainId)
      }
    },
    takeLost() {
      const lost = state.settings.entries().filter(([key, value]) => key.startsWith(prefix) && value !== boot)
      for (const [key] of lost) state.settings.remove(key)
      return lost.map(([key]) => key.slice(prefix.length))
    },
  }
}
