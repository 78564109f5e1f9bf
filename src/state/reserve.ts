// A little room kept aside on the disk, given up so that what makes room can still be written when the disk is full.
import { randomFillSync } from "node:crypto"
import { closeSync, openSync, rmSync, statSync, writeSync } from "node:fs"

const reserveBytes = 1 << 20

export interface Reserve {
  /** Gives the room up; false when there was none. */
  release(): boolean
  /** Takes the room again; false when there is not enough yet. */
  restore(): boolean
}

const exists = (path: string): boolean => statSync(path, { throwIfNoEntry: false })?.size === reserveBytes

/** The reserve is the file at `path`; a full disk is no error, it then only begins without one. */
export const openReserve = (path: string): Reserve => {
  const restore = (): boolean => {
    if (exists(path)) return true
    try {
      const file = openSync(path, "w", 0o600)
      try {
        // Not zeros: a file system that compresses would keep no room for them.
        const written = writeSync(file, randomFillSync(Buffer.allocUnsafe(reserveBytes)))
        if (written < reserveBytes) rmSync(path)
        return written === reserveBytes
      } finally {
        closeSync(file)
      }
    } catch {
      rmSync(path, { force: true })
      return false
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
