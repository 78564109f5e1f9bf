// What a machine must offer before anything is touched; each lack is one clear sentence.
import { existsSync, mkdirSync, statfsSync } from "node:fs"
import { join } from "node:path"
import { errorMessage, failure } from "../base/errors.ts"

const NEEDED_MEGABYTES = 64

/** Throws unavailable or forbidden. Makes both directories, private to root (the run root may be entered for its socket). */
export function requireMachine(dataRoot: string, runRoot: string): void {
  if (process.platform !== "linux") {
    throw failure(
      "unavailable",
      `Sloop runs containers with the Linux kernel, and this is ${process.platform}`,
    )
  }
  if (process.getuid?.() !== 0) {
    throw failure(
      "forbidden",
      "the Sloop daemon needs root to make namespaces, mounts and networks: run it again with sudo",
    )
  }
  makeDirectory(dataRoot, 0o700)
  makeDirectory(runRoot, 0o711)
  // What exists already must come up on a full disk too: only a running daemon can remove things to make room.
  if (existsSync(join(dataRoot, "state.db"))) return
  const { bavail, bsize } = statfsSync(dataRoot)
  const free = Math.floor((bavail * bsize) / 1e6)
  if (free < NEEDED_MEGABYTES) {
    throw failure(
      "exhausted",
      `${dataRoot} has ${free} MB free and at least ${NEEDED_MEGABYTES} MB are needed: make room there`,
    )
  }
}

function makeDirectory(path: string, mode: number): void {
  try {
    mkdirSync(path, { recursive: true, mode })
  } catch (cause) {
    throw failure("unavailable", `cannot make the directory ${path}: ${errorMessage(cause)}`, { cause })
  }
}
