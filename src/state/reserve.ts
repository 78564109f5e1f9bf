// A little room kept aside on the disk, given up so that what makes room can still be written when the disk is full.
import { randomFillSync } from "node:crypto"
import { closeSync, openSync, rmSync, statSync, writeSync } from "node:fs"

const reserveBytes = 1 << 20

export interface Reserve {
  /** Gives the room up; false when there was none. */
  release(): boolean
  /** Takes the room again, if there is enough by now. */
  restore(): void
}

const exists = (path: string): boolean => statSync(path, { throwIfNoEntry: false })?.size === reserveBytes

/** The reserve is the file at `path`; a full disk is no error, it then only begins without one. */
export const openReserve = (path: string): Reserve => {
  const restore = (): void => {
    if (exists(path)) return
    try {
      const file = openSync(path, "w", 0o600)
      try {
        // Not zeros: a file system that compresses would keep no room for them.
        const written = writeSync(file, randomFillSync(Buffer.allocUnsafe(reserveBytes)))
        if (written < reserveBytes) rmSync(path)
      } finally {
        closeSync(file)
      }
    } catch {
      rmSync(path, { force: true })
    }
  }
  restore()
  return {
    release() {
      const held = exists(path)
      rmSync(path, { force: true })
      return held
    },
    restore,
  }
}
